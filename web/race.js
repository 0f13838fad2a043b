// SPDX-License-Identifier: MIT
// race.js: the race page.
//
// Owns: the state of the page: the race, the code, the moves made (@line), and the number of shown
// moves (@at).  Everything else is drawn from these; the address has them, too.
import { Lab, RIGHT } from "./lab.js";
import { isSame, operations } from "./play.js";
import { drawLanes, drawPlaces, drawScene, get, h, placeFor, setAddress } from "./view.js";
import { broken, notWanted, outcomeWord, stuck } from "./why.js";

const FIRST = { name: "R-S0A", code: "M02" };
const $ = (id) => document.getElementById(id);

const lab = new Lab(get);
const state = { name: FIRST.name, code: FIRST.code, line: "", at: 0, beside: false };
let note = ""; // the reason why the last key did nothing

// ---- the address ----

function address() {
  const words = new URLSearchParams({
    race: state.name,
    code: state.code,
    moves: state.line.slice(0, state.at),
  });
  if (state.beside) words.set("beside", "1");
  if (!lab.data.scripts[state.name]) words.set("script", lab.own);
  return `#${words}`;
}

function readAddress(hash = location.hash) {
  const words = new URLSearchParams(hash.slice(1));
  const script = words.get("script");
  let name = words.get("race") ?? FIRST.name;
  if (script) {
    lab.own = script;
    name = "own.race";
  } else if (!lab.data.scripts[name]) {
    note = `There is no race ${name}.`;
    name = FIRST.name;
  }
  const codes = lab.codes(name);
  const code = words.get("code") ?? codes[0];
  if (!codes.includes(code)) note = `${name} has no module of code ${code}: this is ${codes[0]}.`;
  const moves = (words.get("moves") ?? "").replace(/[^a-h]/g, "");
  Object.assign(state, {
    name,
    code: codes.includes(code) ? code : codes[0],
    line: moves,
    at: moves.length,
    beside: words.get("beside") === "1",
  });
}

// ---- texts ----

const small = (...text) => h("p", { class: "small" }, ...text);

function sayMove(found) {
  const pictures = found.pictures.slice(0, state.at + 1);
  const picture = pictures.at(-1);
  const where = picture.roles[picture.mover];
  const place = placeFor(lab.code(state.code), where, operations(pictures)[picture.mover]);
  const page = picture.page !== pictures.at(-2).page ? `. ${picture.page}` : "";
  const text = h(
    "p",
    {},
    h("strong", {}, `Move ${state.at}.`),
    h("span", { class: `name role-${picture.mover}` }, picture.mover),
    ` ${where}${page}.`,
  );
  const others = Object.entries(picture.roles).filter(
    ([r, w]) => r !== picture.mover && w !== pictures.at(-2).roles[r],
  );
  return [
    text,
    small(
      place?.behind ? `Behind ${picture.mover}: ${place.behind}; ahead: ${place.ahead}. ` : "",
      ...others.map(([r, w]) => `Meanwhile ${r} ${w}. `),
    ),
  ];
}

// The outcome that the script states for the chosen code.
const expectedEnd = () => lab.data.scripts[state.name]?.expect[state.code] ?? "OK";

function sayStart(found) {
  const roles = Object.entries(operations(found.pictures)).filter(([, op]) => op);
  const ops = roles.map(([role, op]) => `${role} will do ${op}`).join(", ");
  const expected = expectedEnd();
  const wrong = state.code !== RIGHT && expected !== "OK";
  return [
    h(
      "p",
      {},
      h("strong", {}, "You decide which CPU runs next."),
      `${ops}. Press → (next) for the recorded order, or a letter for a move of your own.`,
    ),
    small(
      wrong ? `This code is wrong on purpose: the recorded order ends in ${expected}. ` : "",
      "Each move runs one CPU to its next scheduling point, through the kernel's own code. " +
        "← takes it back. ? explains the words.",
    ),
  ];
}

// The outcome and three sentences, or null if the race has not ended here.
function sayEnd(found, record) {
  const right = lab.right(state.name, state.code);
  const expected = expectedEnd();
  if (record.wrong && found.outcome !== "CRASH" && outcomeWord(found.outcome) !== "WRONG")
    return { kind: "bad", word: "WRONG", texts: notWanted(record.wrong, right) };
  if (!found.outcome) return null;
  if (found.outcome === "OK") {
    const more =
      expected !== "OK" && !record.strayed && state.code !== RIGHT
        ? `The script judges more than this, and ends ${expected}: ${right}`
        : "";
    return {
      kind: more ? "" : "good",
      word: "OK",
      texts: ["All operations have ended, and every check holds.", more].filter(Boolean),
    };
  }
  if (found.outcome === "STUCK")
    return {
      kind: "bad",
      word: "STUCK",
      texts: stuck(found.pictures, found.why, right, lab.data.holds),
    };
  if (found.outcome === "CRASH")
    return { kind: "bad", word: "PANIC", texts: [`${found.why}.`, right] };
  return {
    kind: "bad",
    word: `${outcomeWord(found.outcome)}, ${found.outcome}`,
    texts: broken(found.pictures, found.why, found.outcome, right, lab.data.invariants),
  };
}

function say(found, record) {
  const end = state.at === found.moves.length ? sayEnd(found, record) : null;
  const texts = [];
  if (end) {
    texts.push(
      h("p", {}, h("strong", {}, `${end.word} after ${state.at} moves.`), end.texts[0]),
      ...end.texts.slice(1).map((text) => h("p", {}, text)),
    );
    if (end.kind === "bad" && state.code !== RIGHT)
      texts.push(
        h(
          "p",
          {},
          h("button", { onclick: () => act("difference") }, "where does the right code differ?"),
          h("button", { onclick: () => act("tryRight") }, "the same race in the right code"),
        ),
      );
  } else texts.push(...(state.at ? sayMove(found) : sayStart(found)));
  if (note) texts.push(h("p", { class: "small" }, note));
  note = "";
  $("said").className = `said ${end?.kind ?? ""}`;
  $("said").replaceChildren(...texts);
}

// ---- drawing ----

function drawChoice() {
  const { data } = lab;
  const told = data.stories.map((s) =>
    h("option", { value: s.script }, `${s.script} · ${s.year} · ${data.scripts[s.script].title}`),
  );
  const rest = Object.keys(data.scripts).filter(
    (name) => !data.stories.some((s) => s.script === name),
  );
  const seen = new Set();
  const once = told.filter((option) => !seen.has(option.value) && seen.add(option.value));
  const own = data.scripts[state.name]
    ? []
    : [h("option", { value: state.name }, "a script of your own, from the explorer")];
  $("race").replaceChildren(
    ...own,
    h("optgroup", { label: "Races that Linux had" }, once),
    h(
      "optgroup",
      { label: "All others" },
      rest.map((name) => h("option", { value: name }, `${name} · ${data.scripts[name].title}`)),
    ),
  );
  $("race").value = state.name;
  $("code").replaceChildren(
    ...lab
      .codes(state.name)
      .map((ident) =>
        h(
          "option",
          { value: ident },
          ident === RIGHT ? "the right code" : `wrong: ${ident}, ${data.variants[ident].title}`,
        ),
      ),
  );
  $("code").value = state.code;
  const story =
    data.stories.find((s) => s.script === state.name && s.variant === state.code) ??
    data.stories.find((s) => s.script === state.name);
  const script = data.scripts[state.name];
  $("story").replaceChildren(
    ...(story
      ? [
          h("b", {}, `Linux, ${story.year}. `),
          story.what,
          h("span", { class: "small" }, ` (${story.commit}, release ${story.release})`),
        ]
      : [h("b", {}, `${state.name}: `), script?.title ?? "a script of your own", "."]),
  );
}

function drawKeys(found, record) {
  const here = state.at === found.moves.length;
  const movable = here ? found.movable : found.pictures[state.at].movable;
  const next = here
    ? found.outcome || record.wrong
      ? ""
      : record.next(found.movable)
    : state.line[state.at];
  const roles = Object.keys(found.pictures[0].roles);
  $("roles").replaceChildren(
    ...roles.map((role) =>
      h(
        "button",
        {
          class: `role-${role} ${role.toLowerCase() === next ? "recorded" : ""}`,
          disabled: !movable.includes(role.toLowerCase()),
          title: `${role} moves (${role.toLowerCase()}); on and on (${role})`,
          onclick: () => act("move", role.toLowerCase()),
        },
        `${role} moves`,
      ),
    ),
  );
  $("start").disabled = $("back").disabled = !state.at;
  $("next").disabled = $("end").disabled = !next;
  $("difference").disabled = $("beside").disabled = state.code === RIGHT;
  $("beside").setAttribute("aria-pressed", String(state.beside && state.code !== RIGHT));
}

async function drawBeside(found) {
  const on = state.beside && state.code !== RIGHT;
  $("other").hidden = !on;
  $("places").hidden = on;
  const right = on ? await lab.play(state.name, RIGHT, found.moves) : found;
  const differs = (i) =>
    on && (!right.pictures[i] || !isSame(found.pictures[i], right.pictures[i]));
  drawLanes($("lanes"), found.pictures, state.at, {
    differs,
    go: (i) => act("go", i),
    code: lab.code(state.code),
  });
  if (!on) return;
  const last = right.moves.length;
  const end =
    last === found.moves.length
      ? ""
      : right.outcome
        ? `; it has ended after move ${last}`
        : `; move ${last + 1} is not possible there`;
  drawLanes($("other"), right.pictures, Math.min(state.at, last), {
    differs,
    code: lab.code(RIGHT),
    title: `The right code, same moves${end}${right.outcome ? `: ${right.outcome}` : ""}`,
  });
}

// Draw the whole page from the state.
async function draw() {
  let found = await lab.play(state.name, state.code, state.line);
  if (found.moves.length < state.line.length && found.outcome !== "CRASH") {
    note ||= `Move ${found.moves.length + 1} is not possible here.`;
    state.line = found.moves;
  }
  state.at = Math.min(state.at, found.moves.length);
  const record = lab.record(state.name, { pictures: found.pictures.slice(0, state.at + 1) });
  found = {
    ...found,
    pictures: found.pictures.map((p, i) =>
      i < found.moves.length ? { ...p, movable: movableOf(p) } : p,
    ),
  };
  drawChoice();
  say(found, record);
  drawScene($("scene"), found.pictures[state.at]);
  if (!state.beside || state.code === RIGHT) {
    $("places").hidden = false;
    drawPlaces($("places"), found.pictures.slice(0, state.at + 1), lab.code(state.code));
  }
  drawKeys(found, record);
  await drawBeside(found);
  setAddress(address());
  document.body.dataset.state = address();
  document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
}

function movableOf(picture) {
  return Object.entries(picture.roles)
    .filter(([, w]) => w.startsWith("at ") || /next: [^,]*$/.test(w))
    .map(([r]) => r.toLowerCase())
    .join("");
}

// ---- actions ----

const here = () => state.line.slice(0, state.at);

function goTo(line, at = line.length) {
  if (line.slice(0, state.line.length) !== state.line && !state.line.startsWith(line))
    state.line = line;
  else if (line.length > state.line.length) state.line = line;
  state.at = at;
}

const actions = {
  open: readAddress,
  start: () => {
    state.at = 0;
  },
  back: () => {
    state.at = Math.max(0, state.at - 1);
  },
  go: (at) => {
    state.at = at;
  },
  move(role) {
    if (state.line[state.at] !== role) state.line = here() + role;
    state.at++;
  },
  async onAndOn(role) {
    goTo(await lab.onAndOn(state.name, state.code, here(), role));
  },
  async next() {
    if (state.at < state.line.length) {
      state.at++;
      return;
    }
    const found = await lab.play(state.name, state.code, here());
    const record = lab.record(state.name, found);
    const next = found.outcome || record.wrong ? "" : record.next(found.movable);
    if (next) actions.move(next);
  },
  async end() {
    goTo(await lab.recorded(state.name, state.code, here()));
  },
  async difference() {
    if (state.code === RIGHT) return;
    let at = await lab.firstDifference(state.name, state.code, state.line);
    if (!at) {
      const line = await lab.recorded(state.name, state.code, state.line);
      at = await lab.firstDifference(state.name, state.code, line);
      goTo(line);
    }
    if (at) state.at = at;
    state.beside = Boolean(at);
    note = at
      ? `Up to move ${at - 1} the right code stops at the same points; move ${at} shows the ` +
        `difference. The mistake may be made earlier: ${lab.data.variants[state.code].title}.`
      : "In these moves the right code does the same.";
  },
  beside() {
    if (state.code !== RIGHT) state.beside = !state.beside;
  },
  async tryRight() {
    Object.assign(state, { code: RIGHT, line: await lab.recorded(state.name, RIGHT, "") });
    state.at = state.line.length;
  },
  async link() {
    const url = location.href.split("#")[0] + address();
    try {
      await navigator.clipboard.writeText(url);
      note = "The link to just this is in the clipboard.";
    } catch {
      note = `The link to just this is in the address bar: ${url}`;
    }
  },
  help: () => $("about").showModal(),
  choose({ name = state.name, code }) {
    const codes = lab.codes(name);
    Object.assign(state, { name, code: code ?? codes[0], line: "", at: 0 });
  },
};

// Actions happen one after the other; the page is drawn after each.
let last = Promise.resolve();
function act(what, argument) {
  last = last
    .then(async () => {
      await actions[what](argument);
      await draw();
    })
    .catch((e) => {
      $("said").className = "said bad";
      $("said").replaceChildren(
        h("p", {}, h("strong", {}, "This page has failed."), String(e.message ?? e)),
      );
      console.error(e);
    });
  return last;
}

const KEYS = {
  ArrowRight: "next",
  ArrowLeft: "back",
  Home: "start",
  End: "end",
  "!": "difference",
  "=": "beside",
  "#": "link",
  "?": "help",
};

function onKey(e) {
  if (
    e.ctrlKey ||
    e.metaKey ||
    e.altKey ||
    $("about").open ||
    /^(SELECT|INPUT|TEXTAREA)$/.test(e.target.tagName)
  )
    return;
  if (/^[a-h]$/.test(e.key) || /^[A-H]$/.test(e.key)) {
    const button = [...$("roles").children].find((b) =>
      b.textContent.startsWith(e.key.toUpperCase()),
    );
    if (button && !button.disabled)
      act(e.key === e.key.toUpperCase() ? "onAndOn" : "move", e.key.toLowerCase());
  } else if (KEYS[e.key]) act(KEYS[e.key]);
  else return;
  e.preventDefault();
}

async function start() {
  await lab.load();
  readAddress();
  for (const id of ["start", "back", "next", "end", "difference", "beside", "link", "help"])
    $(id).addEventListener("click", () => act(id));
  $("race").addEventListener("change", (e) => act("choose", { name: e.target.value }));
  $("code").addEventListener("change", (e) => act("choose", { code: e.target.value }));
  document.addEventListener("keydown", onKey);
  // Not the address of then: an earlier action's draw() writes its own.
  addEventListener("hashchange", (e) => act("open", new URL(e.newURL).hash));
  await act("go", state.at);
}

start().catch((e) => {
  $("said").className = "said bad";
  $("said").replaceChildren(
    h(
      "p",
      {},
      h("strong", {}, "The allocator could not be loaded."),
      `${e.message}. The page needs a file server: make web SERVE=1.`,
    ),
  );
});
