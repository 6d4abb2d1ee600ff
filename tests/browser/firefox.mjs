// Uses the page in Firefox, by WebDriver BiDi, and prints what is seen: node firefox.mjs ADDRESS FIREFOX FOLDER.
import puppeteer from "puppeteer-core";

const [address, executablePath, folder] = process.argv.slice(2);
const browser = await puppeteer.launch({ browser: "firefox", executablePath });
const page = await browser.newPage();
const faults = [];
page.on("pageerror", (error) => faults.push(String(error)));
page.setDefaultTimeout(60_000);
await page.setViewport({ width: 800, height: 500 });
await page.goto(`${address}/as/bob`);

const inside = (selector) => `model-registry >>> ${selector}`;
const see = (selector) => page.waitForSelector(inside(selector), { visible: true });
const press = async (selector) => (await see(selector)).click();
const text = (selector) => page.$eval(inside(selector), (node) => node.textContent);
const until = async (check, ...values) => {
  for (let i = 0; i < 2400; i += 1) {
    if (await page.evaluate(check, ...values)) return true;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return false;
};
const seen = {};

await see(".models > li");
await press('summary[aria-label="More for bobs-own"]');
seen.menu = (await see(".menu")) !== null;
await press(".models .more");
seen.menuCloses = await until(
  () => !document.querySelector("model-registry").shadowRoot.querySelector("details[open]"),
);

await press("button.primary");
await see("dialog");
await page.keyboard.type("stand");
await page.screenshot({ path: `${folder}/firefox-providers.png` });
await page.keyboard.press("Enter");
await page.keyboard.press("Tab");
seen.missing = await text("[data-field=api_key] .error");
await press("dialog details > summary");
await (await see("[data-field=base_url] input")).type("https://a.example.com/v1/chat/completions");
await page.keyboard.press("Tab");
seen.cut = await page.$eval(inside("[data-field=base_url] input"), (input) => input.value);
await page.$eval(inside("[data-field=base_url] input"), (input) => (input.value = ""));
await page.evaluate(() => {
  const models = document.querySelector("model-registry");
  const getToken = models.getToken;
  models.getToken = () => getToken();
});
await (await see("[data-field=api_key] input")).type("demo-key");
await press("[role=option][id$='-1']");
seen.filled = await page.$eval(inside("[data-field=model_id] input"), (input) => input.value);
await (await see("[data-field=model_id] input")).type("-from-firefox");
seen.covered = await page.evaluate(() => {
  const root = document.querySelector("model-registry").shadowRoot;
  const focused = root.activeElement.getBoundingClientRect();
  return focused.bottom > root.querySelector("dialog footer").getBoundingClientRect().top;
});
await page.screenshot({ path: `${folder}/firefox-form.png` });
await page.evaluate(() => {
  const { fetch } = window;
  window.fetch = async (...given) => {
    await new Promise((resolve) => (window.goOn = resolve));
    window.fetch = fetch;
    return fetch(...given);
  };
});
await page.keyboard.press("Enter");
seen.saving = await until(() => {
  const root = document.querySelector("model-registry").shadowRoot;
  return (
    root.querySelector("dialog .model").disabled && root.activeElement.textContent === "Saving…"
  );
});
await until(() => Boolean(window.goOn)); // functions arrive here as nothing
await page.evaluate(() => window.goOn());
seen.closed = await until(
  () => !document.querySelector("model-registry").shadowRoot.querySelector("dialog"),
);
seen.registered = await until(() =>
  document
    .querySelector("model-registry")
    .shadowRoot.textContent.includes("demo-small-from-firefox is registered."),
);
await see(".models > li:nth-child(4)");
await page.screenshot({ path: `${folder}/firefox-list.png` });

await page.evaluate(() => (document.querySelector("model-registry").lang = "de"));
seen.german = await until(
  () =>
    document.querySelector("model-registry").shadowRoot.querySelector("h2")?.textContent ===
    "Modelle",
);
await page.screenshot({ path: `${folder}/firefox-german.png` });
seen.faults = faults;
console.log(JSON.stringify(seen));
await browser.close();
