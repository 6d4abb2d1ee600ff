// @ts-check
/** Buttons that are pressed: if one moves before it is released, the click misses it. */

const LONGEST = 2000; // milliseconds, as not all browsers say when a button is released

/**
 * Wait until what is pressed now is released and clicked.
 *
 * @returns {Promise<void>}
 */
export const released = () =>
  new Promise((/** @type {any} */ resolve) => {
    const signal = AbortSignal.timeout(LONGEST);
    signal.onabort = resolve;
    for (const name of ["pointerup", "pointercancel"]) {
      addEventListener(name, () => setTimeout(resolve), { signal, capture: true });
    }
  });
