// Looks at a page of `vmleak report` as people will: in a browser, at four widths, light and dark,
// and on paper. Writes pictures, and says what is cut, overlaps or hard to reach.
//
//   node scripts/report-look.mjs report.html OUT-DIRECTORY
//
// Needs a Chromium (CHROMIUM, /usr/bin/chromium by default) and, where node finds modules
// (NODE_PATH does not do for imports: run it where node_modules is), puppeteer-core and axe-core.
// Ends with 1 if anything was found.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const [file, out] = process.argv.slice(2);
const require = createRequire(resolve(process.cwd(), "package.json"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
mkdirSync(out, { recursive: true });

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
let faults = 0;
const fault = (...words) => { faults += 1; console.log(...words); };

// What is off-screen, wider than the picture that it is in, or over another text of it.
const measured = () => {
  const found = [];
  const wide = document.documentElement.clientWidth;
  const seen = (one) => one.checkVisibility({ contentVisibilityAuto: true, checkVisibilityCSS: true });
  const name = (one) => `${one.tagName} ${(one.textContent ?? "").trim().slice(0, 40)}`;
  for (const one of document.querySelectorAll("body *")) {
    if (!seen(one) || ["TITLE", "DESC"].includes(one.tagName.toUpperCase())) continue;
    const box = one.getBoundingClientRect();
    if (box.width > 0 && (box.right > wide + 1 || box.left < -1)) found.push(`off-screen: ${name(one)} ${box.left.toFixed(0)}..${box.right.toFixed(0)}`);
  }
  for (const svg of document.querySelectorAll("svg[role=img]")) {
    if (!seen(svg)) continue;
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].map((text) => [text, text.getBoundingClientRect()]);
    for (const [text, box] of texts) {
      const own = text.parentElement.classList.contains("box") ? text.parentElement.querySelector("rect").getBoundingClientRect() : frame;
      if (box.right > own.right + 1 || box.left < own.left - 1 || box.bottom > own.bottom + 2 || box.top < own.top - 2) found.push(`cut: ${svg.getAttribute("class")} ${name(text)}`);
    }
    for (const [index, [text, box]] of texts.entries()) {
      for (const [other, beside] of texts.slice(index + 1)) {
        const over = Math.min(box.right, beside.right) - Math.max(box.left, beside.left);
        const under = Math.min(box.bottom, beside.bottom) - Math.max(box.top, beside.top);
        if (over > 1 && under > 3) found.push(`over each other: ${name(text)} / ${name(other)}`);
      }
    }
  }
  return found;
};

for (const scheme of ["light", "dark"]) {
  for (const width of [400, 800, 1280, 1600]) {
    const page = await browser.newPage();
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.setViewport({ width, height: 900 });
    await page.goto(pathToFileURL(resolve(file)).href);
    for (const line of await page.evaluate(measured)) fault(scheme, width, line);
    await page.screenshot({ path: `${out}/${scheme}-${width}.png`, fullPage: true });
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
    for (const line of await page.evaluate(measured)) fault(scheme, width, "opened", line);
    await page.screenshot({ path: `${out}/${scheme}-${width}-opened.png`, clip: { x: 0, y: 0, width, height: Math.min(8000, await page.evaluate(() => document.documentElement.scrollHeight)) }, captureBeyondViewport: true });
    await page.close();
    // The page's own policy lets no script in, so axe looks at a copy without it.
    if (width === 400 || width === 1280) {
      const copy = await browser.newPage();
      await copy.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await copy.setViewport({ width, height: 900 });
      await copy.setContent(readFileSync(file, "utf8").replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, ""));
      await copy.evaluate(axe);
      const result = await copy.evaluate("axe.run(document, { resultTypes: ['violations'] })");
      for (const one of result.violations) fault(scheme, width, `axe ${one.impact}: ${one.id}, ${one.nodes.length}:`, one.nodes[0].html.slice(0, 160), one.nodes[0].failureSummary?.split("\n")[1] ?? "");
      await copy.close();
    }
  }
}
const page = await browser.newPage();
await page.goto(pathToFileURL(resolve(file)).href);
await page.pdf({ path: `${out}/paper.pdf`, format: "A4", printBackground: true, preferCSSPageSize: true });
await browser.close();
console.log(faults === 0 ? "nothing cut, nothing over another, nothing that axe finds" : `${faults} faults`);
process.exit(faults === 0 ? 0 : 1);
