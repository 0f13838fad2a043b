// SPDX-License-Identifier: MIT
// play.js: a race as a function of its moves: turns the stepper's output into pictures.
//
// A picture is the state after a move: { number, mover, roles: {A: where}, page, more }.
import { run } from "./machine.js";

function take(picture, text) {
  if (/^[A-H] /.test(text)) picture.roles[text[0]] = text.slice(2);
  else if (text.startsWith("P")) picture.page = text;
  else picture.more.push(text);
}

// The output of `race --moves=... SCRIPT`: { pictures, movable, outcome, why, script }.
// movable: letters of the roles that can move, "" at the end.  outcome: "" before the end.
export function parse(out) {
  const play = { pictures: [], movable: "", outcome: "", why: "", script: "" };
  let script = null;
  for (const line of out.split("\n")) {
    const [, word, rest] = /^step: (\S+) ?(.*)$/.exec(line) ?? [];
    if (line === "step: end") break;
    if (script) script.push(line);
    else if (line === "step: script") script = [];
    else if (word === "move") {
      const [number, mover] = rest.split(" ");
      play.pictures.push({ number: Number(number), mover, roles: {}, page: "", more: [] });
      play.movable = "";
    } else if (word === "choose") play.movable = rest;
    else if (word === "outcome" || word === "why") play[word] = rest;
    else if (word && word !== "not" && word !== "moves" && play.pictures.length)
      take(play.pictures.at(-1), line.slice("step: ".length));
  }
  play.script = (script ?? []).join("\n");
  if (play.outcome === "QUIT") play.outcome = play.why = "";
  return play;
}

// Play the letters @moves of @name, a script of the program or a file of @files, in @module.
// A move that is not possible ends the play before it.
export async function play(module, name, moves, files = {}) {
  const result = await run(module, [`--moves=${moves}`, name], files);
  const found = parse(result.out);
  found.moves = found.pictures
    .slice(1)
    .map((p) => p.mover.toLowerCase())
    .join("");
  if (result.status === -1)
    Object.assign(found, { outcome: "CRASH", why: result.error, movable: "" });
  return found;
}

// Does no operation run?
export function isIdle(picture) {
  return !Object.values(picture.roles).some((where) => /^(at|waits|runs) /.test(where));
}

// Do two pictures show the same?
export function isSame(a, b) {
  const text = (p) => JSON.stringify([Object.entries(p.roles), p.page, p.more]);
  return text(a) === text(b);
}

// { role: the operation that it runs, or begins next } after these pictures.
export function operations(pictures) {
  const found = {};
  for (const picture of pictures)
    for (const [role, where] of Object.entries(picture.roles)) {
      const next = /next: ([^,]*)/.exec(where);
      found[role] = next ? next[1] : (found[role] ?? "");
    }
  return found;
}
