// SPDX-License-Identifier: MIT
// memory.js: the memory page: operations on a small memory, which is shown whole after each one.
//
// Owns: the operations, the number of operations done, the chosen page.  The address has them, too.
// The module prints the states, so a step back shows an earlier state again.
import { run } from "./machine.js";
import { WHY } from "./memory_why.js";
import { get, h, setAddress } from "./view.js";

const CPUS = 4;
const BLOCK = 8; // pages of a pageblock
const TRIES = {
  "a page in another CPU's cache": "0 alloc movable; 0 free 504; 1 offline 504; 1 online 504",
  "what is movable moves out":
    "0 alloc movable 1; 1 alloc movable; 2 alloc movable 2; 3 offline 504; 3 online 504",
  "one unmovable page holds a pageblock":
    "0 alloc unmovable; 1 offline 248; 0 free 248; 1 offline 248; 1 online 248",
  "a page breaks":
    "0 alloc movable; 2 soft 504; 1 fail 300; 1 offline 300; 1 online 300; 1 unpoison 300",
  "caches off, and on again": "0 alloc movable; 1 disable; 0 free 504; 1 enable; 0 alloc movable",
};
const LETTERS = { FREE: "", ALLOC: "u", MOVABLE_OPS: "m", HWPOISON: "x" };
const NAMES = {
  FREE: "free",
  PCP: "in a cache",
  ALLOC: "allocated, unmovable",
  MOVABLE_OPS: "allocated, movable",
  HWPOISON: "broken, out of use",
  offline: "offline",
};
const LEGEND =
  "In a block: a free one has its order (3: a block of 8 pages); c0 is in the cache of CPU 0; " +
  "m movable, u unmovable, x broken, - offline.";
const $ = (id) => document.getElementById(id);
let module;
let operations = [];
let states = [];
let at = 0;
let chosen = 504;
let cpu = 0;
const drawn = new Map(); // drawn pageblocks, by number
let zones = []; // the elements of each zone
let asked = 0; // number of the last run: answers of earlier runs are dropped

const span = (pfn, pages) => (pages > 1 ? `pages ${pfn} to ${pfn + pages - 1}` : `page ${pfn}`);
const count = (nr, word) => `${nr} ${word}${nr === 1 ? "" : "s"}`;

// The block of @state that @pfn lies in.
function blockOf(state, pfn) {
  return state.blocks.findLast((block) => block[0] <= pfn);
}

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  const text = words.get("do") ?? "";
  operations = text
    .split(";")
    .map((op) => op.trim())
    .filter((op) => op);
  const step = Math.trunc(Number(words.get("at") ?? operations.length));
  at = step >= 0 ? Math.min(step, operations.length) : operations.length;
}

function writeAddress() {
  const words = { do: operations.join("; ") };
  if (at < operations.length) words.at = String(at);
  setAddress(`#${new URLSearchParams(words)}`);
}

// ---- what is shown ----

function cell(block, pfn) {
  const [head, order, what, cached, broken] = block;
  const isHead = pfn === head;
  const letter = cached === null ? (LETTERS[what] ?? what[0]) : `c${cached}`;
  const free = what === "FREE" && isHead ? String(order) : letter;
  const pages = 1 << order;
  return h(
    "button",
    {
      class: `slot ${what.toLowerCase()} ${broken ? "broken" : ""} ${isHead ? "head" : ""} ${
        pfn === head + pages - 1 ? "tail" : ""
      } ${pfn === chosen ? "chosen" : ""}`,
      "data-pfn": pfn,
      tabindex: pfn === chosen ? "0" : "-1",
      "aria-label": `${span(pfn, 1)}: ${NAMES[what] ?? what}${
        cached === null ? "" : ` of CPU ${cached}`
      }${broken && what !== "HWPOISON" ? ", broken" : ""}`,
    },
    what === "offline" ? "-" : broken ? "x" : isHead ? free : "",
  );
}

// The element of a pageblock; the same as before if nothing in the pageblock has changed.
function pageblock(state, nr) {
  const first = nr * BLOCK;
  const blocks = state.blocks.filter(([pfn]) => pfn >= first && pfn < first + BLOCK);
  const inside = chosen >= first && chosen < first + BLOCK ? chosen : -1;
  const key = JSON.stringify([state.pageblocks[nr], blocks, inside]);
  if (drawn.get(nr)?.key !== key)
    drawn.set(nr, { key, element: makePageblock(state, nr, first) });
  return drawn.get(nr).element;
}

function makePageblock(state, nr, first) {
  const [type, online, isolated] = state.pageblocks[nr];
  const cells = Array.from({ length: BLOCK }, (_, i) =>
    cell(blockOf(state, first + i), first + i),
  );
  const kind = type === "unmovable" ? type : "";
  const mark = !online ? "offline" : isolated ? "isolated" : kind;
  return h(
    "div",
    { class: `pageblock ${mark}`, title: `pageblock ${nr}: ${online ? type : "offline"}` },
    cells,
    h("small", {}, mark === "isolated" ? "isolated" : ""),
  );
}

function cache(zone, number) {
  const [nr, room] = zone.caches[number];
  return h(
    "span",
    { class: "cache" },
    `CPU ${number} `,
    h("b", {}, "#".repeat(nr)),
    ".".repeat(Math.max(0, room - nr)),
    ` ${nr}/${room}`,
  );
}

// The element of a zone, with empty parts for all that changes.
function makeZone(zone) {
  const parts = {
    head: h("h2", {}),
    caches: h("p", { class: "caches" }),
    blocks: h(
      "div",
      { class: "pageblocks" },
      Array.from({ length: (zone.end - zone.start) / BLOCK }, () => h("div", {})),
    ),
  };
  const all = { "aria-label": `Zone ${zone.name}` };
  return { ...parts, element: h("section", all, parts.head, parts.caches, parts.blocks) };
}

function drawZone(state, zone, { head, caches, blocks }) {
  const free = ` ${zone.free} of ${zone.end - zone.start} pages free; `;
  const marks = `watermarks ${zone.marks.join(", ")}`;
  head.replaceChildren(`Zone ${zone.name}`, h("small", {}, free, marks));
  caches.replaceChildren(
    zone.off ? "caches off: " : "caches: ",
    ...zone.caches.map((_, i) => cache(zone, i)),
  );
  [...blocks.children].forEach((old, i) => {
    const now = pageblock(state, zone.start / BLOCK + i);
    if (now !== old) old.replaceWith(now);
  });
}

// Keep unchanged elements in the page, so that the browser does not lay them out again.
function drawZones(state) {
  const focused = document.activeElement?.dataset?.pfn !== undefined;
  if (!zones.length) {
    zones = state.zones.map(makeZone);
    $("zones").replaceChildren(
      ...zones.map((zone) => zone.element),
      h("p", { class: "caches" }, LEGEND),
    );
  }
  state.zones.forEach((zone, i) => drawZone(state, zone, zones[i]));
  if (focused) $("zones").querySelector(".slot.chosen").focus();
}

function drawPage(state) {
  const [head, order, what, cached, broken] = blockOf(state, chosen);
  const [type, online, isolated] = state.pageblocks[Math.floor(chosen / BLOCK)];
  const first = Math.floor(chosen / BLOCK) * BLOCK;
  const rows = [
    ["state", (NAMES[what] ?? what) + (cached === null ? "" : ` of CPU ${cached}`)],
    ["block", what === "offline" ? "none" : `${span(head, 1 << order)}, order ${order}`],
    ["pageblock", `${span(first, BLOCK)}, ${online ? type : "offline"}`],
  ];
  if (isolated) rows.push(["isolated", "yes: nothing is allocated from it"]);
  if (broken) rows.push(["broken", "yes: never given out again"]);
  $("page").replaceChildren(
    h("h2", {}, `Page ${chosen}`),
    h(
      "dl",
      {},
      rows.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]),
    ),
  );
  for (const element of document.querySelectorAll(".chosen:not(.slot)"))
    element.textContent = String(chosen);
}

// Free blocks by order and type; blocks of isolated pageblocks are on no list.
function drawLists(state) {
  const lists = {};
  for (const [pfn, order, what] of state.blocks) {
    const [type, , isolated] = state.pageblocks[Math.floor(pfn / BLOCK)];
    if (what !== "FREE") continue;
    const name = isolated ? "isolated, on no list" : type;
    lists[name] ??= {};
    lists[name][order] = (lists[name][order] ?? 0) + 1;
  }
  const orders = [...new Set(Object.values(lists).flatMap(Object.keys))].sort();
  $("lists").replaceChildren(
    h("h2", {}, "Free blocks"),
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "of pageblocks"),
          orders.map((order) => h("th", { scope: "col" }, count(1 << order, "page"))),
        ),
      ),
      h(
        "tbody",
        {},
        Object.entries(lists).map(([name, nr]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, name),
            orders.map((order) => h("td", {}, String(nr[order] ?? ""))),
          ),
        ),
      ),
    ),
  );
}

function whyOf([number, kind, pfn, order, blocks]) {
  const [told, name, rule] = WHY[kind];
  const text = told
    .replace("CPU C", `CPU ${number}`)
    .replace(/\bP\b/, span(pfn, blocks << order));
  return h(
    "li",
    {},
    h(
      "details",
      {},
      h(
        "summary",
        {},
        text[0].toUpperCase() + text.slice(1),
        h("span", { class: "why" }, "why?"),
      ),
      h("p", {}, h("code", {}, `${name}()`), `: ${rule}`),
    ),
  );
}

function drawSteps() {
  const rows = operations.map((op, i) => {
    const state = states[i + 1];
    const done = state && i < at;
    const result = !done ? "" : state.result === "0" ? "ok" : state.result.replace(/^-/, "");
    const got = state && state.result === "0" && / alloc /.test(op) ? `: page ${state.pfn}` : "";
    return h(
      "li",
      { class: `${i + 1 === at ? "at" : ""} ${i + 1 > at ? "ahead" : ""}` },
      h("button", { class: "step mono", "data-at": i + 1 }, op),
      ` ${result}${got}`,
      i + 1 === at && state ? h("ul", {}, state.history.map(whyOf)) : "",
    );
  });
  $("steps").replaceChildren(
    h("h2", {}, "What was done, and what it moved"),
    rows.length ? h("ol", {}, rows) : h("p", {}, "Nothing yet."),
  );
  $("steps").querySelector("li.at")?.scrollIntoView({ block: "nearest" });
}

// A sentence about the last step.
function sentence(state) {
  if (!at) return "All is free. Choose a page, and what is to happen; or take a script below.";
  const moved = state.history.filter(([, kind]) => kind === "moved").length;
  const own = Number(operations[at - 1][0]);
  const gave = state.history.filter(([n, kind]) => kind === "give" && n !== own);
  const refused =
    / fail /.test(operations[at - 1]) && state.result === "-EBUSY"
      ? "it is in use; it is marked, and goes out of use when it is freed (EBUSY)"
      : (MEANING[state.result] ?? state.result);
  const parts = [state.result === "0" ? "Done" : `Refused: ${refused}`];
  if (moved) parts.push(`${count(moved, "block")} moved elsewhere`);
  const others = [...new Set(gave.map(([n]) => n))].join(", ");
  if (others) parts.push(`CPU ${others} was asked, and gave back what it had cached`);
  return `${operations[at - 1]}: ${parts.join("; ")}.`;
}

const MEANING = {
  "-EINVAL": "that is not possible here (EINVAL)",
  "-EBUSY": "something in it cannot move, or is in use (EBUSY)",
  "-ENOMEM": "there is no memory for it (ENOMEM)",
  "-EALREADY": "it is so already (EALREADY)",
  "-ENXIO": "there is no such page online (ENXIO)",
  "-EHWPOISON": "it is broken already (EHWPOISON)",
  "-ENOENT": "no block is there (ENOENT)",
};

function draw() {
  const state = states[at];
  if (!state) return;
  drawZones(state);
  drawPage(state);
  drawLists(state);
  drawSteps();
  $("said").textContent = sentence(state) + (state.sound ? "" : " The memory is damaged!");
  $("script").value = operations.join("; ");
  $("start").disabled = $("back").disabled = at === 0;
  $("again").disabled = at === operations.length;
  for (const button of $("cpus").querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(Number(button.dataset.cpu) === cpu));
  document.body.dataset.state = JSON.stringify(state);
  document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
}

// ---- operations ----

// Run all operations; with @follow choose the page that the last operation allocated.
async function play(follow = false) {
  const mine = ++asked;
  const { out, error } = await run(module, [`--memory=${operations.join("; ")}`]);
  if (mine !== asked) return;
  const lines = out.split("\n").filter((line) => line.startsWith("{"));
  const all = lines.map((line) => JSON.parse(line));
  states = all.filter((line) => line.blocks);
  const last = all.at(-1);
  const bad = operations.length >= states.length;
  if (bad) operations = operations.slice(0, states.length - 1);
  at = Math.min(at, operations.length);
  if (follow && states[at]?.result === "0") chosen = states[at].pfn;
  writeAddress();
  draw();
  if (last.wrong) $("said").textContent = `Operation ${last.wrong} cannot be read.`;
  else if (bad) $("said").textContent = `It did not return: ${error || last.stuck || last.panic}`;
}

async function perform(what) {
  operations = [...operations.slice(0, at), `${cpu} ${what}`];
  at = operations.length;
  await play(/^alloc/.test(what));
}

function choose(pfn) {
  chosen = pfn;
  draw();
}

function goTo(step) {
  at = Math.max(0, Math.min(step, operations.length));
  writeAddress();
  draw();
}

function act(what) {
  const text = what
    .replace("ORDER", $("order").value)
    .replace("PFN", String(chosen))
    .replace(/(movable) 0$/, "$1");
  perform(text);
}

const ARROWS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -BLOCK, ArrowDown: BLOCK };
const KEYS = {
  m: "alloc movable ORDER",
  u: "alloc unmovable ORDER",
  f: "free PFN",
  o: "offline PFN",
  d: "drain",
};

function key(e) {
  if (e.target.tagName === "INPUT" || e.target.tagName === "SELECT") return;
  if (e.ctrlKey || e.altKey || e.metaKey) return;
  const onCell = e.target.dataset?.pfn !== undefined;
  if (onCell && ARROWS[e.key]) {
    const last = states[at].zones.at(-1).end - 1;
    choose(Math.max(0, Math.min(last, chosen + ARROWS[e.key])));
    $("zones").querySelector(".slot.chosen").focus();
  } else if (/^[0-3]$/.test(e.key)) {
    cpu = Number(e.key);
    draw();
  } else if (KEYS[e.key]) act(KEYS[e.key]);
  else if (e.key === "Backspace") goTo(at - 1);
  else if (e.key === "Enter" && !/^(A|BUTTON|SUMMARY)$/.test(e.target.tagName)) goTo(at + 1);
  else if (e.key === "Home") goTo(0);
  else return;
  e.preventDefault();
}

function listen() {
  document.addEventListener("keydown", key);
  document.addEventListener("click", (e) => {
    const to = e.target.closest("[data-pfn],[data-do],[data-at],[data-cpu]");
    if (to?.dataset.pfn) choose(Number(to.dataset.pfn));
    else if (to?.dataset.do) act(to.dataset.do);
    else if (to?.dataset.at) goTo(Number(to.dataset.at));
    else if (to?.dataset.cpu) {
      cpu = Number(to.dataset.cpu);
      draw();
    }
  });
  $("start").addEventListener("click", () => goTo(0));
  $("back").addEventListener("click", () => goTo(at - 1));
  $("again").addEventListener("click", () => goTo(at + 1));
  const take = () => {
    location.hash = `#${new URLSearchParams({ do: $("script").value })}`;
  };
  $("run").addEventListener("click", take);
  $("script").addEventListener("keydown", (e) => e.key === "Enter" && take());
  addEventListener("hashchange", () => {
    readAddress();
    play();
  });
}

async function start() {
  module = await WebAssembly.compile(await (await get("race.wasm")).arrayBuffer());
  $("cpus").append(
    ...Array.from({ length: CPUS }, (_, i) => h("button", { "data-cpu": i }, String(i))),
  );
  $("tries").replaceChildren(
    "Try: ",
    ...Object.entries(TRIES).flatMap(([name, text]) => [
      h("a", { href: `#${new URLSearchParams({ do: text, at: "1" })}` }, name),
      " ",
    ]),
  );
  readAddress();
  listen();
  await play();
}

start().catch((e) => {
  $("said").textContent = `The allocator could not be loaded: ${e.message}`;
});
