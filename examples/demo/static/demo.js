// What a host's own page tells the component: who is logged in, and whom they can share with.
const models = document.querySelector("model-registry");
let token;

models.getToken = async () => {
  if (!token) {
    const answer = await fetch(models.dataset.token, { method: "POST" });
    ({ token } = await answer.json());
  }
  return token;
};
models.people = async () => (await fetch("/people")).json();
models.groups = async () => (await fetch("/teams")).json();
models.addEventListener("model-registry-unauthenticated", () => { token = undefined; });
