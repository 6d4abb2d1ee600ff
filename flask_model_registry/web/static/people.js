// @ts-check
/** The people that the host names, and who the user is. */

/** Return what the host gives: a list, or a function that returns one or a promise of it. */
export const supplied = async (source) =>
  (typeof source === "function" ? await source() : source) ?? [];

/** Name people by key. A name that could mean another goes with its key; in doubt, all do. */
export function distinct(people) {
  const named = people.map(({ key, name }) => [String(key), String(name ?? key)]);
  const meant = (word) => named.filter((each) => each.includes(word)).length;
  const withKey = ([key, name]) => (key === name ? key : `${name} (${key})`);
  const labels = named.map((each) => (meant(each[1]) === 1 ? each[1] : withKey(each)));
  const isClear = labels.every((label, i) => label === named[i][1] || meant(label) === 0);
  return new Map(named.map((each, i) => [each[0], isClear ? labels[i] : withKey(each)]));
}

/** Return whom a JWT is for; null for another token. It is only compared, so nothing is verified. */
function subject(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const { iss, sub } = JSON.parse(atob(payload));
    return sub === undefined ? null : JSON.stringify([iss, sub]);
  } catch {
    return null;
  }
}

/** Return who a user is, by the token or else by what the host says; null if neither tells. */
export const identity = (token, userId) =>
  subject(token) ?? (userId ? `${Boolean(token)} ${userId}` : null);
