// SPDX-License-Identifier: MIT
// pages.mjs: tests the pages in headless Chromium, as a reader uses them.
//
// node tests/web/pages.mjs BUILD [quick]: needs Chromium, and in BUILD/web-test playwright-core and
// the unpacked archive.
// Screenshots of each page at two sizes and in both schemes go to BUILD/web-test/.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import path from "node:path";

const build = path.resolve(process.argv[2]);
const shots = path.join(build, "web-test");
const root = path.join(shots, "quarry-web");
const { chromium } = createRequire(path.join(shots, "x.js"))("playwright-core");
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
  ".json": "application/json",
};
const QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync";
const OFFLINE = "--disable-background-networking --disable-component-update";
const SIZES = { wide: [1280, 720], phone: [390, 844] };

const MANY =
  "0 alloc movable;0 alloc movable 1;1 alloc movable;1 alloc unmovable;2 alloc unmovable 2;" +
  "0 free 504;3 offline 400;3 isolate 320;3 fail 300;2 soft 505";

let passed = 0;
let failed = 0;
function judge(what, good, said = "") {
  if (good) passed++;
  else {
    failed++;
    console.log(`not ok ${what}: ${said}`);
  }
}

const server = createServer(async (request, response) => {
  try {
    const name = request.url === "/" ? "/index.html" : new URL(request.url, "http://x").pathname;
    const body = await readFile(path.join(root, name));
    response.writeHead(200, { "content-type": TYPES[path.extname(name)] ?? "text/plain" });
    response.end(body);
  } catch {
    response.writeHead(404);
    response.end();
  }
}).listen(0, "127.0.0.1");
const base = () => `http://127.0.0.1:${server.address().port}/`;

const browser = await chromium.launch({
  timeout: 0,
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: `${QUIET} ${OFFLINE}`.split(" "),
});

// Open a page at @address; errors that it writes to the console are failures.
async function open(address, size = "wide", colorScheme = "light") {
  const [width, height] = SIZES[size];
  const page = await browser.newPage({ viewport: { width, height }, colorScheme });
  page.setDefaultTimeout(0); // tools/test/test.py ends tests that hang
  page.on("console", (m) => judge(`${address}: console`, m.type() !== "error", m.text()));
  page.on("pageerror", (e) => judge(`${address}: error`, false, e.message));
  await page.goto(base() + address);
  await page.waitForFunction(() => document.body.dataset.state);
  return page;
}

const state = (page) => page.evaluate(() => document.body.dataset.state);
const said = (page) => page.textContent("#said");

// Press @key and wait until the page has drawn the result.
async function press(page, key) {
  const before = await page.evaluate(() => document.body.dataset.drawn);
  await page.keyboard.press(key);
  await page.waitForFunction((old) => document.body.dataset.drawn !== old, before);
}

async function readAndStep() {
  const page = await open("");
  judge("it begins with R-S0A in wrong code", (await state(page)).includes("race=R-S0A&code=M02"));
  await press(page, "ArrowRight");
  await press(page, "ArrowRight");
  judge("two recorded moves", (await state(page)).endsWith("moves=ab"), await state(page));
  await press(page, "b");
  const there = await page.textContent("main");
  await press(page, "b");
  await press(page, "ArrowLeft");
  judge("a move and one back", (await state(page)).endsWith("moves=abb"), await state(page));
  const rows = (text) => text.replace(/\s+/g, " ").slice(0, 2000);
  await page.reload();
  await page.waitForFunction(() => document.body.dataset.state);
  judge("the link restores it", rows(await page.textContent("main")) === rows(there));
  await press(page, "End");
  judge("it ends STUCK", /STUCK after 27 moves/.test(await said(page)), await said(page));
  judge("with the cache", /The cache of CPU 0 holds P since move 21/.test(await said(page)));
  await press(page, "!");
  judge("first difference", (await page.locator("#other tr.at").count()) === 1, await state(page));
  await page.close();
}

// Play each race, with each code that has a module, to its end: no error, and an outcome is shown.
async function everyRace(data) {
  const page = await open("");
  for (const [name, script] of Object.entries(data.scripts))
    for (const code of Object.keys(script.expect)) {
      if (code !== "none" && !data.variants[code].module) continue;
      const words = new URLSearchParams({ race: name, code, moves: "" });
      const before = await page.evaluate(() => document.body.dataset.drawn);
      await page.evaluate((hash) => (location.hash = hash), String(words));
      await page.waitForFunction((old) => document.body.dataset.drawn !== old, before);
      if (await page.isEnabled("#end")) await press(page, "End");
      const text = await said(page);
      judge(`${name} with ${code}`, !/failed|could not/.test(text), text);
      const end = script.expect[code];
      if (/^(STUCK|CRASH)/.test(end) && /after \d+ moves/.test(text))
        judge(`${name} with ${code} ends ${end}`, /STUCK|PANIC|WRONG/.test(text), text);
    }
  await page.close();
}

async function explorer() {
  const page = await open("explore.html");
  let give;
  const gate = new Promise((resolve) => (give = resolve));
  await page.route("**/variant/*.wasm", (route) => gate.then(() => route.continue()));
  for (let i = 0; i < 2; i++) {
    await page.click("#go"); // the second search begins while a module of the first is fetched
    await page.waitForFunction(() => /Code 2/.test(document.getElementById("said").textContent));
  }
  give();
  await page.waitForFunction(() => document.body.dataset.state === "done");
  judge("M02 fails", (await page.locator("tr.bad", { hasText: "M02" }).count()) === 1);
  judge("right code does not", (await page.locator("tr.good", { hasText: "right" }).count()) === 1);
  await page.locator("tr.bad", { hasText: "M02" }).locator("a").click();
  await page.waitForFunction(() => document.body.dataset.drawn);
  await press(page, "End");
  judge("its script ends STUCK in the race page", /STUCK/.test(await said(page)), await said(page));
  const texts = [];
  for (const name of ["R-S0A", "R-S0B"]) {
    const before = await page.evaluate(() => document.body.dataset.drawn);
    const words = new URLSearchParams({ code: "none", script: data.scripts[name].text });
    await page.evaluate((hash) => (location.hash = hash), String(words));
    await page.waitForFunction((old) => document.body.dataset.drawn !== old, before);
    texts.push(await page.textContent("#scene"));
  }
  judge("a second script is played", /next: disable/.test(texts[1]), texts[1]);
  await page.close();
}

// Let a page be stuck in another CPU's cache, by clicks and by keys.
async function memory() {
  const page = await open("memory.html");
  const now = async () => JSON.parse(await state(page));
  const click = async (selector) => {
    const before = await page.evaluate(() => document.body.dataset.drawn);
    await page.click(selector);
    await page.waitForFunction((old) => document.body.dataset.drawn !== old, before);
  };
  judge("every page is there", (await page.locator(".slot").count()) === 512);
  await click('[data-do^="alloc movable"]');
  const { pfn } = await now();
  judge("what it got is chosen", (await page.textContent("#page h2")) === `Page ${pfn}`);
  await press(page, "f");
  const cached = (await now()).blocks.find((block) => block[0] === pfn);
  judge("it is in the cache of CPU 0", cached[2] === "PCP" && cached[3] === 0, String(cached));
  await press(page, "1");
  await press(page, "o");
  judge("CPU 0 was asked", /CPU 0 was asked/.test(await said(page)), await said(page));
  judge("why", /CPU 0 gives page/.test(await page.textContent("#steps")));
  await page.locator("#steps summary").first().click();
  judge("the rule", await page.locator("#steps details p").first().isVisible());
  const last = await state(page);
  await press(page, "Backspace");
  await press(page, "Home");
  judge("at the start all is free", (await now()).zones.every((z) => z.free === z.end - z.start));
  await click('[data-at="3"]');
  judge("forward again it is the same", (await state(page)) === last);
  await page.reload();
  await page.waitForFunction(() => document.body.dataset.drawn);
  judge("the link restores it", (await state(page)) === last);
  await page.fill("#script", "0 alloc movable; 7 free 504");
  await click("#run");
  const wrong = await said(page);
  judge("what cannot be read", /Operation 2 cannot be read/.test(wrong), wrong);
  for (const link of await page.locator("#tries a").all()) {
    const before = await page.evaluate(() => document.body.dataset.drawn);
    await link.press("Enter");
    await page.waitForFunction((old) => document.body.dataset.drawn !== old, before);
    judge(await link.textContent(), !/cannot|not return/.test(await said(page)), await said(page));
    const hash = await page.evaluate(() => location.hash);
    judge("Enter follows it", hash === (await link.getAttribute("href")), hash);
  }
  await page.close();
  await (await open("memory.html#do=0+alloc+movable&at=x")).close();
  const none = await open("index.html#race=constructor");
  judge("no race", /There is no race constructor/.test(await none.textContent("body")));
  await none.close();
}

async function pictures() {
  const end = "#race=R-S0A&code=M02&moves=abbbbbbbbbbbbaabbaaaababbbb";
  for (const size of Object.keys(SIZES))
    for (const scheme of ["light", "dark"])
      for (const [name, address] of [
        ["start", ""],
        ["stuck", end],
        ["beside", `${end}&beside=1`],
        ["explorer", "explore.html"],
        ["memory", `memory.html#do=${MANY}`],
      ]) {
        const page = await open(address, size, scheme);
        await page.screenshot({ path: path.join(shots, `${name}-${size}-${scheme}.png`) });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        judge(`${name} at ${size}: nothing beyond the edge`, wide <= 0, `${wide} pixels`);
        await page.close();
      }
}

const data = JSON.parse(await readFile(path.join(root, "data.json"), "utf8"));
try {
  await readAndStep();
  await explorer();
  await memory();
  await pictures();
  if (process.argv[3] !== "quick") await everyRace(data);
} catch (e) {
  judge("the pages", false, e.stack);
}
await browser.close();
server.close();
console.log(`web pages: ${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
