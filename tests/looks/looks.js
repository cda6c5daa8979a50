// Opens reports as readers do, and tells what is wrong (README.md).
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");

const AXE = require.resolve("axe-core/axe.min.js");
const DESK = { width: 1280, height: 900 };
const LOOKS = [
  { name: "light", viewport: DESK, colorScheme: "light" },
  { name: "dark", viewport: DESK, colorScheme: "dark" },
  { name: "phone", viewport: { width: 360, height: 740 }, colorScheme: "light" },
  { name: "paper", viewport: { width: 794, height: 1123 }, colorScheme: "dark", media: "print" },
];

/** What is folded on a screen and is not seen on paper. */
function hidden() {
  const folded = [...document.querySelectorAll("details")].filter((d) => !d.open);
  const lacking = folded.filter((d) => [...d.children].some((c) => !c.checkVisibility() || c.clientHeight === 0));
  return lacking.map((d) => `“${d.querySelector("summary").textContent}” is not on paper`);
}

/** Whether the element that has the focus is seen. */
function focused() {
  const element = document.activeElement;
  const box = element.getBoundingClientRect();
  return { tag: element.tagName, href: element.getAttribute("href"), seen: box.left >= 0 && box.top >= 0 && box.width > 1 };
}

/** Goes through a page with keys alone. */
async function keys(page) {
  const faults = [];
  await page.keyboard.press("Tab");
  const first = await page.evaluate(focused);
  if (first.href !== "#main" || !first.seen) {
    faults.push(`the first Tab reaches ${JSON.stringify(first)}`);
  }
  await page.keyboard.press("Enter");
  const target = await page.evaluate(() => document.querySelector(":target")?.id);
  if (target !== "main") {
    faults.push(`the first link leads to ${target}`);
  }
  const summary = page.locator("summary").first();
  if (await summary.count()) {
    await summary.focus();
    await page.keyboard.press("Enter");
    if (!(await page.evaluate(() => document.activeElement.parentElement.open))) {
      faults.push("Enter does not unfold what is focused");
    }
  }
  return faults;
}

/** Every fault of a report in one look. */
async function look(browser, file, { name, media, ...options }, pictures) {
  const faults = [];
  const context = await browser.newContext({ ...options, bypassCSP: true });
  const page = await context.newPage();
  const url = pathToFileURL(path.resolve(file)).href;
  page.on("request", (r) => r.url().split("#")[0] === url || faults.push(`it asks for ${r.url()}`));
  page.on("pageerror", (e) => faults.push(`it fails: ${e.message}`));
  await page.goto(url);
  if (media) {
    await page.emulateMedia({ media, colorScheme: options.colorScheme });
  }
  if (pictures) {
    const picture = path.join(pictures, `${path.basename(path.dirname(path.resolve(file)))}-${name}`);
    await (media
      ? page.pdf({ path: `${picture}.pdf`, preferCSSPageSize: true })
      : page.screenshot({ path: `${picture}.png`, fullPage: true }));
  }
  faults.push(...(media ? await page.evaluate(hidden) : await keys(page)));
  await page.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (over > 0) {
    faults.push(`it is ${over} pixels wider than the window`);
  }
  await page.addScriptTag({ path: AXE });
  const { violations, passes } = await page.evaluate(() => axe.run());
  for (const v of violations) {
    faults.push(`${v.impact}: ${v.help} (${v.id}), ${v.nodes.length} times, first ${v.nodes[0].html.slice(0, 160)}`);
  }
  if (passes.length < 20) {
    faults.push(`axe-core had only ${passes.length} rules to try`);
  }
  await context.close();
  return { faults, rules: passes.length };
}

async function main() {
  const options = { chromium: { type: "string" }, pictures: { type: "string" } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (!values.chromium || positionals.length === 0) {
    throw new Error("usage: looks.js --chromium PROGRAM [--pictures DIR] REPORT.html …");
  }
  if (values.pictures) {
    fs.mkdirSync(values.pictures, { recursive: true });
  }
  const browser = await chromium.launch({ executablePath: values.chromium });
  let count = 0;
  for (const file of positionals) {
    for (const how of LOOKS) {
      const { faults, rules } = await look(browser, file, how, values.pictures);
      console.log(`${faults.length ? "fault" : "good "}  ${how.name}  ${file}  (${rules} rules of axe-core hold)`);
      faults.forEach((fault) => console.log(`       ${fault}`));
      count += faults.length;
    }
  }
  await browser.close();
  process.exitCode = count ? 1 : 0;
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 2;
});
