// SPDX-License-Identifier: MIT
// explore.js: the explorer page: runs all schedules of some operations, and lists the failed ones.
//
// Owns: the worker at work, and the rows found so far; the address has the operations.
import { Lab, RIGHT } from "./lab.js";
import { get, h, setAddress } from "./view.js";

const MOST = 200000; // the most schedules to run for one code
// Examples: [operations, setup, policy].
const TRIES = [
  ["free(P) | offline(P)=0", "A:scene", "precise"],
  ["free(P)=0 | disable=0", "A:scene", "precise"],
  ["fill | drain=0 | offline(P)=0", "A:scene ; A:free(P)", "precise"],
  ["migrate(O) | drop(O)=0; hold(O)=0", "A:scene ; A:hold(O)", "precise"],
  ["once(V)=0 | touch(V)=0", "A:scene(V)", "precise"],
  ["soft(V)=0 | touch(V)=0 | touch(W)=0", "A:scene(V)", "precise"],
];
const $ = (id) => document.getElementById(id);
const lab = new Lab(get);
let worker = null;
let rows = [];
let asked = 0; // number of the last search: answers to earlier searches are dropped

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  $("operations").value = words.get("operations") ?? TRIES[0][0];
  $("setup").value = words.get("setup") ?? TRIES[0][1];
  $("policy").value = words.get("policy") ?? TRIES[0][2];
}

function codes() {
  const { variants } = lab.data;
  const wrong = Object.keys(variants).filter((id) => variants[id].module);
  return [RIGHT, ...($("which").value === "all" ? wrong : [])];
}

// The output of a worker that explores the code @ident.
async function explore(ident, { operations, setup, policy }, mine) {
  const module = await lab.module(ident);
  if (mine !== asked) throw new Error("stopped");
  const own = (worker = new Worker("worker.js", { type: "module" }));
  const args = ["--explore", operations, `--setup=${setup}`, `--policy=${policy}`];
  args.push(`--max=${MOST}`, "--json");
  const said = await new Promise((resolve, reject) => {
    own.addEventListener("message", ({ data }) => resolve(data));
    own.addEventListener("error", (e) => reject(new Error(e.message)));
    own.postMessage({ module, args });
  });
  own.terminate();
  if (worker === own) worker = null;
  const line = said.out.split("\n").find((text) => text.startsWith("{"));
  if (!line) throw new Error(said.error.trim() || said.out.trim());
  return JSON.parse(line);
}

function link(ident, script) {
  const words = new URLSearchParams({ race: "own.race", code: ident, moves: "", script });
  return `index.html#${words}`;
}

function drawRow({ ident, found }) {
  const name = ident === RIGHT ? "the right code" : `${ident}: ${lab.data.variants[ident].title}`;
  const more = found.complete || found.outcome !== "OK" ? "" : " (not all)";
  const outcome =
    found.outcome === "OK"
      ? "OK"
      : [
          h("strong", {}, found.outcome),
          ` at schedule ${found.failed_at}. `,
          found.script ? h("a", { href: link(ident, found.script) }, "see it, move by move") : "",
          h("div", { class: "small" }, found.why),
          found.script
            ? h(
                "details",
                {},
                h("summary", {}, "its script"),
                h("pre", {}, found.script.trim()),
              )
            : "",
        ];
  const cells = [name, `${found.schedules}${more}`, found.seconds.toFixed(2)];
  return h(
    "tr",
    { class: found.outcome === "OK" ? "good" : "bad" },
    cells.map((text) => h("td", {}, text)),
    h("td", {}, outcome),
  );
}

// Failed rows come first, the shortest script first.
function draw() {
  const length = ({ found }) => (found.outcome === "OK" ? Infinity : found.script.length);
  const order = [...rows].sort((a, b) => length(a) - length(b) || 0);
  $("found").replaceChildren(...order.map(drawRow));
}

function stop() {
  asked++;
  worker?.terminate();
  worker = null;
  $("stop").disabled = true;
}

async function search() {
  stop();
  const mine = asked;
  const what = {
    operations: $("operations").value.trim(),
    setup: $("setup").value.trim(),
    policy: $("policy").value,
  };
  setAddress(`#${new URLSearchParams(what)}`);
  rows = [];
  draw();
  $("stop").disabled = false;
  const list = codes();
  for (const [i, ident] of list.entries()) {
    $("said").textContent = `Code ${i + 1} of ${list.length} ...`;
    let found;
    try {
      found = await explore(ident, what, mine);
    } catch (e) {
      if (mine !== asked) return;
      stop();
      $("said").textContent = `That cannot be explored: ${e.message}`;
      return;
    }
    if (mine !== asked) return;
    rows.push({ ident, found });
    draw();
  }
  const bad = rows.filter(({ found }) => found.outcome !== "OK").length;
  const sum = rows.reduce((total, { found }) => total + found.schedules, 0);
  $("said").textContent = `${sum} schedules: ${bad} of ${rows.length} codes fail.`;
  $("stop").disabled = true;
  document.body.dataset.state = "done";
}

async function start() {
  await lab.load();
  readAddress();
  const tries = TRIES.map(([operations, setup, policy]) => {
    const words = new URLSearchParams({ operations, setup, policy });
    return [h("a", { class: "mono", href: `#${words}` }, operations), "  "];
  });
  $("tries").replaceChildren(...tries.flat());
  $("known").replaceChildren(
    ...Object.entries(lab.data.operations)
      .filter(([name]) => !name.startsWith("scene"))
      .flatMap(([name, { ahead }]) => [
        h("dt", { class: "mono" }, name),
        h("dd", {}, ahead.replace(/^.*?: /, "")),
      ]),
  );
  $("examples").replaceChildren(...TRIES.map(([value]) => h("option", { value })));
  addEventListener("hashchange", () => {
    readAddress();
    search();
  });
  $("stop").addEventListener("click", () => {
    stop();
    $("said").textContent = "Stopped.";
  });
  $("form").addEventListener("submit", (e) => {
    e.preventDefault();
    search();
  });
  document.body.dataset.state = "ready";
}

start().catch((e) => {
  $("said").textContent = `The allocator could not be loaded: ${e.message}`;
});
