// SPDX-License-Identifier: MIT
// lab.js: the data and modules of the races, and the states to which moves lead.
//
// Owns: the loaded modules and the plays that were made.  Both depend only on the arguments of the
// functions below, so they never become out of date.
import { isSame, play } from "./play.js";
import { Record } from "./record.js";

export const RIGHT = "none";
const MOST_MOVES = 1000;

// The promise that @map has for @key, or else @make()'s; a failed one is not kept.
function once(map, key, make) {
  if (!map.has(key)) {
    map.set(key, make());
    map.get(key).catch(() => map.delete(key));
  }
  return map.get(key);
}

export class Lab {
  // @get(name) fetches a file of build/web: a promise of { json(), arrayBuffer() }, as a Response.
  constructor(get) {
    this.get = get;
    this.modules = new Map();
    this.plays = new Map();
    this.own = ""; // the text of a script that the program does not have
  }

  async load() {
    const [data] = await Promise.all([
      this.get("data.json").then((file) => file.json()),
      this.module(RIGHT),
    ]);
    this.data = data;
    // A race called "constructor" is none.
    for (const names of [data.scripts, data.variants]) Object.setPrototypeOf(names, null);
    return this;
  }

  // The module of the code @ident.
  module(ident) {
    const path = ident === RIGHT ? "race.wasm" : `variant/${ident}.wasm`;
    return once(this.modules, ident, async () =>
      WebAssembly.compile(await (await this.get(path)).arrayBuffer()),
    );
  }

  // The codes that race @name can be played with: those with a module, the shown one first.
  codes(name) {
    const script = this.data.scripts[name];
    if (!script)
      return [
        RIGHT,
        ...Object.keys(this.data.variants).filter((id) => this.data.variants[id].module),
      ];
    const wrong = Object.keys(script.expect).filter((id) => this.data.variants[id]?.module);
    return [...new Set([...wrong.filter((id) => id === script.shown), ...wrong, RIGHT])];
  }

  text(name) {
    return this.data.scripts[name]?.text ?? this.own;
  }

  // The points and operations of the code @ident, with their source lines.
  code(ident) {
    const own = this.data.variants[ident] ?? {};
    return {
      source: ident === RIGHT ? this.data.source : "", // a wrong variant's lines are nowhere else
      points: { ...this.data.points, ...own.points },
      operations: { ...this.data.operations, ...own.operations },
    };
  }

  // The sentence about the line of the right code that prevents the fault.
  right(name, ident) {
    const said = this.data.scripts[name]?.right[ident];
    if (said) return said;
    return ident === RIGHT
      ? this.data.scripts["R-S0A"].right[RIGHT]
      : `${ident} is wrong: ${this.data.variants[ident].why}.`;
  }

  async play(name, ident, moves) {
    const key = `${name} ${ident} ${moves} ${this.data.scripts[name] ? "" : this.own}`;
    const own = this.data.scripts[name] ? {} : { [name]: this.own };
    return once(this.plays, key, async () => play(await this.module(ident), name, moves, own));
  }

  // A Record of race @name that has followed the pictures of @found.
  record(name, found) {
    const record = new Record(this.text(name));
    for (const picture of found.pictures) record.take(picture);
    return record;
  }

  // The moves of the recorded order: @moves, and then the recorded ones to their end.
  async recorded(name, ident, moves) {
    for (;;) {
      const found = await this.play(name, ident, moves);
      const record = this.record(name, found);
      const next = found.outcome || record.wrong ? "" : record.next(found.movable);
      if (!next || found.moves.length >= MOST_MOVES) return found.moves;
      moves = found.moves + next;
    }
  }

  // @moves, and then moves of @role until it waits, has ended, or the same state has come again.
  async onAndOn(name, ident, moves, role) {
    const seen = [];
    for (let from = moves.length; ;) {
      const found = await this.play(name, ident, moves);
      const last = found.pictures.at(-1);
      const ended = found.moves.length > from && / returned /.test(last.roles[role.toUpperCase()]);
      if (!found.movable.includes(role) || ended || seen.some((p) => isSame(p, last)))
        return found.moves;
      seen.push(last);
      moves = found.moves + role;
    }
  }

  // The number of the first move after which the right code's state differs; 0: it never does.
  async firstDifference(name, ident, moves) {
    const [own, right] = await Promise.all([
      this.play(name, ident, moves),
      this.play(name, RIGHT, moves),
    ]);
    const at = own.pictures.findIndex(
      (p, i) => !right.pictures[i] || !isSame(p, right.pictures[i]),
    );
    return Math.max(0, at);
  }
}
