// SPDX-License-Identifier: MIT
// view.js: draws the state of a race: the lanes of moves, the memory, the source around roles; and
// what the pages share.
//
// Owns: nothing; each function gets the data to draw, and the element to fill.
import { operations } from "./play.js";
import { placeOf } from "./record.js";

// Fetch the file @name of the laboratory.
export async function get(name) {
  const file = await fetch(name);
  if (!file.ok) throw new Error(`${name}: ${file.status} ${file.statusText}`);
  return file;
}

// Show @hash as the page's place.  Browsers refuse more than some changes a second: the earlier
// place stays shown then.
export function setAddress(hash) {
  try {
    if (hash !== location.hash) history.replaceState(null, "", hash);
  } catch (e) {
    console.warn(e);
  }
}

// Make an element from a tag, attributes (class, onclick, ...) and children.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null)
      element.setAttribute(name, value === true ? "" : value);
  element.append(...children.flat().filter((c) => c !== null && c !== ""));
  return element;
}

const name = (role) => h("span", { class: `name role-${role}` }, role);

// ---- lanes ----

// A point's name may be broken behind its dots and underscores.
const breakable = (text) =>
  text.split(/(?<=[._])(?=\w)/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));

// @behind: a text about the move, shown if this role has moved.
function laneCell(role, before, picture, behind) {
  const where = picture.roles[role] ?? "";
  const moved = picture.mover === role;
  const kind = /^at |^runs /.test(where) ? "runs" : where.startsWith("waits") ? "held" : "";
  const text = moved || where !== before?.roles[role] ? where : "";
  const names = `lane role-${role} ${kind} ${moved ? "moved" : ""}`;
  return h("td", { class: names }, breakable(text), moved && behind ? h("small", {}, behind) : "");
}

// Draw the moves of @pictures, of @code: row @at is the present one; differs(row): the other code's
// state differs in that row.
export function drawLanes(to, pictures, at, { code, differs, go = null, title = "" }) {
  const roles = Object.keys(pictures[0].roles);
  const ops = operations(pictures);
  const head = roles.map((role) => {
    const op = (/next: ([^,]*)/.exec(pictures[0].roles[role]) ?? ["", "no operation"])[1];
    return h(
      "th",
      { class: `role-${role}`, scope: "col" },
      name(role),
      ` on CPU ${role.charCodeAt(0) - 65}`,
      h("small", {}, op),
    );
  });
  const rows = pictures.map((picture, i) => {
    const page = picture.page !== pictures[i - 1]?.page ? picture.page : "";
    const { mover } = picture;
    const behind = placeFor(code, picture.roles[mover] ?? "", ops[mover])?.behind;
    return h(
      "tr",
      {
        class: `${i === at ? "at" : ""} ${i > at ? "ahead" : ""} ${differs(i) ? "differs" : ""}`,
        "aria-current": i === at ? "step" : null,
        onclick: () => go?.(i),
      },
      h("td", { class: "number" }, String(i)),
      roles.map((role) => laneCell(role, pictures[i - 1], picture, behind)),
      h("td", { class: "page" }, page),
    );
  });
  to.replaceChildren(
    ...(title ? [h("h3", {}, title)] : []),
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { class: "number", scope: "col" }, "#"),
          head,
          h("th", { scope: "col" }, "page P", h("small", {}, "when it changes")),
        ),
      ),
      h("tbody", {}, rows),
    ),
  );
  const row = to.querySelector("tr.at");
  const header = to.querySelector("thead").offsetHeight + (title ? to.firstChild.offsetHeight : 0);
  if (
    row &&
    (row.offsetTop - header < to.scrollTop ||
      row.offsetTop + row.offsetHeight > to.scrollTop + to.clientHeight)
  )
    to.scrollTop = row.offsetTop - header - (to.clientHeight - header) * 0.6;
}

// ---- the memory ----

const STATES = [
  [/offline/, "off"],
  [/in the cache/, "cached"],
  [/being freed/, "freeing"],
  [/free in the buddy/, "free"],
  [/allocated/, "alloc"],
];

function stateOf(page) {
  return STATES.find(([words]) => words.test(page))?.[1] ?? "other";
}

// "cached 0/5 0/8, off 1 deep" -> { caches: [[count, capacity], ...], off }
function cachesOf(text = "") {
  return {
    caches: [...text.matchAll(/(\d+)\/(\d+)/g)].map(([, count, room]) => [
      Number(count),
      Number(room),
    ]),
    off: /off (\d+) deep/.exec(text)?.[1] ?? "",
  };
}

function cacheCells(count, room, has) {
  const cells = [];
  for (let i = 0; i < Math.min(Math.max(count, room), 16); i++) {
    const isPage = has && i === count - 1;
    cells.push(
      h(
        "span",
        { class: `cell ${isPage ? "p" : i < count ? "full" : i >= room ? "none" : ""}` },
        isPage ? "P" : "",
      ),
    );
  }
  return h(
    "div",
    { class: "cells" },
    cells,
    h(
      "span",
      {},
      room ? `cache: ${count} of ${room}` : `cache off${count ? `, yet ${count} in it` : ""}`,
    ),
  );
}

function cpuBox(cpu, picture, caches, page) {
  const role = String.fromCharCode(65 + cpu);
  const where = picture.roles[role];
  const has = page.includes(`in the cache of CPU ${cpu}`);
  return h(
    "div",
    { class: `box cpu role-${role} s-${stateOf(page)}` },
    h("h3", {}, `CPU ${cpu}`, where !== undefined ? [" · role ", name(role)] : ""),
    h(
      "p",
      { class: where?.startsWith("waits") ? "waits" : "" },
      where ?? "no role: it answers calls",
    ),
    caches[cpu] ? cacheCells(...caches[cpu], has) : "",
  );
}

function blockBox(page, off) {
  const state = stateOf(page);
  const isolated = page.includes("pageblock isolated");
  const words = page.replace(/, its pageblock isolated/, "").replace(/^P(:| is)? ?/, "");
  const kind = state === "off" ? "offline" : isolated ? "isolated" : "";
  const cells = Array.from({ length: 8 }, (_, i) =>
    h("span", { class: `cell ${i === 2 ? "p" : ""}` }, i === 2 ? "P" : ""),
  );
  const said =
    kind === "offline" ? "offline" : isolated ? "isolated: nothing is allocated from it" : "in use";
  return h(
    "div",
    { class: `box block s-${state} ${kind}` },
    h("h3", {}, "The pageblock of P: ", said),
    h("p", {}, "page P: ", h("span", { class: "state" }, words)),
    h("div", { class: "cells" }, cells, off ? `caches of the zone off, ${off} deep` : ""),
  );
}

export function drawScene(to, picture) {
  const { caches, off } = cachesOf(picture.more.find((line) => line.startsWith("cached ")));
  const nr = Math.max(caches.length, Object.keys(picture.roles).length);
  const cpus = Array.from({ length: nr }, (_, cpu) => cpuBox(cpu, picture, caches, picture.page));
  const unmovable = picture.more
    .filter((line) => line.startsWith("U "))
    .map((line) =>
      h(
        "div",
        { class: "box" },
        h("h3", {}, "Pageblock U, unmovable pages"),
        h("p", {}, line.slice(2).replace(" cached ", " pages cached of room, CPU by CPU: ")),
      ),
    );
  to.replaceChildren(blockBox(picture.page, off), ...cpus, ...unmovable);
}

// ---- the source around each role ----

function excerpt(place) {
  return h(
    "pre",
    { tabindex: "-1" },
    place.lines.map((line, i) => {
      const number = place.first + i;
      return h(
        "span",
        { class: number === place.line ? "here" : "" },
        h("i", {}, String(number)),
        line || " ",
      );
    }),
  );
}

// The place in the source of a role that can move, from @code, { points, operations }.
export function placeFor(code, where, operation) {
  const handles = /^(migrate|hold|drop)/.test(operation);
  const [point] = placeOf(where);
  if (where.startsWith("at "))
    return (handles && code.points[`${point} of handles`]) || code.points[point] || null;
  const next = /next: (.*?)(, CPU not online)?$/.exec(where);
  return next ? (code.operations[next[1]] ?? null) : null;
}

export function drawPlaces(to, pictures, code) {
  const picture = pictures.at(-1);
  const ops = operations(pictures);
  const cards = Object.entries(picture.roles).map(([role, where]) => {
    const place = placeFor(code, where, ops[role]);
    const at = place?.path ? ` ${place.path}:${place.line}` : "";
    const href = code.source ? `${code.source}${place?.path}#L${place?.line}` : null;
    const file = at && h(href ? "a" : "span", { class: "mono", href }, at);
    const sides = !place
      ? ""
      : place.behind
        ? h(
            "p",
            {},
            h("b", {}, "Behind: "),
            place.behind,
            ". ",
            h("b", {}, "Ahead: "),
            place.ahead,
            ".",
          )
        : h("p", {}, place.ahead, ".");
    return h(
      "article",
      { class: `place role-${role}` },
      h("h3", {}, name(role), ` ${where}`, file),
      sides,
      place?.lines ? excerpt(place) : "",
    );
  });
  to.replaceChildren(...cards);
  for (const here of to.querySelectorAll(".here")) {
    const text = here.closest("pre");
    text.scrollTop = Math.max(0, here.offsetTop - text.offsetTop - text.clientHeight / 2);
  }
}
