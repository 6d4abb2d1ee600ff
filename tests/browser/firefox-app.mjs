// Registers a model in an app that renders all the time, in Firefox: node firefox-app.mjs ADDRESS FIREFOX.
import puppeteer from "puppeteer-core";

const [address, executablePath] = process.argv.slice(2);
const browser = await puppeteer.launch({ browser: "firefox", executablePath });
const page = await browser.newPage();
const faults = [];
page.on("pageerror", (error) => faults.push(String(error)));
page.setDefaultTimeout(60_000);
await page.goto(address);

const see = (selector) => page.waitForSelector(`model-registry >>> ${selector}`, { visible: true });
const value = async (selector) => (await see(selector)).evaluate((node) => node.value);
const rendered = () => page.$eval("output", (node) => Number(node.textContent));
const letItRender = async () => {
  const count = await rendered();
  await page.waitForFunction(
    (enough) => Number(document.querySelector("output").textContent) > enough,
    {},
    count + 10,
  );
};
const type = async (selector, text) => (await see(selector)).type(text, { delay: 60 });
const seen = {};

await see(".models > li");
await type("input[type=search]", "mine");
await see(".empty");
await (await see("button.primary")).click();
await type("[data-field=api_key] input", "demo-key");
await type("[data-field=model_name] input", "gpt-4o");
await letItRender();
seen.key = await value("[data-field=api_key] input");
seen.search = await value("input[type=search]");
const name = await see("[data-field=model_id] input");
await name.evaluate((node) => node.select());
await name.type("mine", { delay: 60 });
await letItRender();
seen.name = await value("[data-field=model_id] input");
await page.keyboard.press("Enter");
for (let i = 0; i < 200 && !seen.registered; i += 1) {
  // The test fails, as no test calls the world; the user may go on.
  const save = await page.$("model-registry >>> dialog footer button.primary");
  if ((await save?.evaluate((node) => node.textContent)) === "Register anyway") await save.click();
  seen.registered = (await page.$("model-registry >>> .models > li h3")) !== null;
  await new Promise((resolve) => setTimeout(resolve, 100));
}
seen.kept = await value("input[type=search]");
seen.faults = faults;
console.log(JSON.stringify(seen));
await browser.close();
