// SPDX-License-Identifier: MIT
// record.js: follows a race's recorded script while moves are made, and tells the script's next
// move.  It does the same as race_engine.py, which explains it; a test compares the two.

const KINDS = { "!": "start", ":": "run", "?": "arrive", "@": "leave" };

function readEntry(text) {
  const found = /^([A-HR])([!:?@])(.*)$/s.exec(text);
  if (!found) return { text, kind: "check", role: "", rest: text, places: [], want: "" };
  const [rest, want = ""] = found[3].split(/=(.*)/s);
  const kind = KINDS[found[2]] === "run" && rest === "join" ? "join" : KINDS[found[2]];
  const places = rest.split("|").map((place) => {
    const [name, nth] = place.split("#");
    return { name, nth: Number(nth ?? 0) };
  });
  return { text, kind, role: found[1], rest, places, want };
}

function readEntries(text) {
  const play = /^script:([\s\S]*?)(?=^\w+[^\n]*:|$(?![\s\S]))/m.exec(text)?.[1] ?? "";
  return play
    .split(";")
    .map((e) => e.split(/\s+/).filter(Boolean).join(" "))
    .filter(Boolean)
    .map(readEntry);
}

// [point, is it in an interrupt] from the program's line about a role.
export function placeOf(where) {
  const at = /^at ([\w.]+)(, in an interrupt)?/.exec(where);
  if (at) return [at[1], Boolean(at[2])];
  const waits = /^waits for (?:lock )?(.*?)(, in an interrupt)?(?:, irqs off)?$/.exec(where);
  if (!waits) return ["", false];
  let what = waits[1];
  if (what.startsWith("an answer")) what = "answer";
  if (what === "the reclaim thread") what = "reclaim served";
  return [`lock.wait(${what})`, Boolean(waits[2])];
}

const at = (place, name, nth) => place[0] === name && place[1] === nth;

export class Record {
  constructor(text) {
    this.list = readEntries(text);
    this.cursor = 0;
    this.roles = {};
    this.lost = "";
    this.strayed = 0;
    this.exact = true;
    this.wrong = null;
    this.last = null;
  }

  state(role) {
    return (this.roles[role] ??= {
      point: "",
      interrupt: false,
      below: ["", 0],
      times: {},
      nth: 0,
      arrived: ["", 0],
      ended: 0,
      result: "",
      started: 0,
      busy: false,
      waited: false,
    });
  }

  // Note the state after a move, and pass the entries that have happened so far.
  take(picture) {
    const mover = picture.mover.toLowerCase();
    if (this.last && !this.strayed && mover !== this.next(this.last.movable))
      this.strayed = picture.number;
    const movable = Object.entries(picture.roles)
      .filter(([, where]) => where.startsWith("at ") || /next: [^,]*$/.test(where))
      .map(([role]) => role.toLowerCase());
    this.last = { ...picture, movable };
    for (const [letter, where] of Object.entries(picture.roles))
      Record.note(this.state(letter), where, picture.mover === letter && picture.number > 0);
    while (this.cursor < this.list.length && this.passed(this.list[this.cursor], picture))
      this.cursor++;
  }

  static note(role, where, moved) {
    const [point, interrupt] = placeOf(where);
    const inside = role.interrupt;
    const stays = role.point === point && role.interrupt === interrupt;
    if (interrupt && !inside) role.below = [role.point, role.nth];
    if (inside && !interrupt && point && role.below[0] === point) role.nth = role.below[1];
    else if (point && (moved || !stays))
      role.times[point] = role.nth = (role.times[point] ?? 0) + 1;
    role.point = point;
    role.interrupt = interrupt;
    const busy = interrupt ? role.busy || (moved && !inside) : /^(at|runs|waits) /.test(where);
    if (!busy && (role.busy || (moved && !inside))) {
      role.ended++;
      role.started = Math.max(role.started, role.ended);
      role.result = /^.* returned (\S+?)(?:,|$)/.exec(where)?.[1] ?? "";
    } else if (busy && !role.busy) role.started = role.ended + 1;
    role.busy = busy;
    role.waited ||= where.startsWith("waits ");
  }

  passed(e, picture) {
    const role = this.state(e.role);
    if (e.kind === "check") return true;
    if (e.role === "R") {
      this.exact = false;
      return true;
    }
    const begun = this.list
      .slice(0, this.cursor)
      .filter((x) => x.role === e.role && (x.kind === "start" || x.kind === "run")).length;
    if (e.kind === "start") return role.started > begun || e.rest.startsWith("hammer");
    if (e.kind === "run" || e.kind === "join") return this.passedResult(e, role, begun, picture);
    if (!begun) {
      this.exact = false;
      return true;
    }
    const done = role.ended >= begun;
    if (e.kind === "leave") {
      const here = role.interrupt ? role.below : [role.point, role.nth];
      if (!done && !role.arrived[0]) {
        // No entry "arrive" came before: the entry @e itself waits for the arrival.
        const there = ({ name, nth }) => name === here[0] && (!nth || nth === here[1]);
        if (e.places.some(there)) role.arrived = here;
        return false;
      }
      const kept = at(role.arrived, ...here) || at(role.arrived, role.point, role.nth);
      if (!done && kept) return false;
      role.arrived = ["", 0];
      return true;
    }
    for (const { name, nth } of e.places) {
      if (name === "done" && done) return true;
      if (!Record.isAt(role, name, nth)) continue;
      if (this.keeps(e)) role.arrived = [name, nth || role.times[name]];
      return true;
    }
    if (done && !this.lost) this.lost = e.text;
    return false;
  }

  passedResult(e, role, begun, picture) {
    if (role.ended < begun + (e.kind === "run")) return false;
    role.arrived = ["", 0];
    if (e.want && e.want !== role.result && !this.wrong && !this.strayed && this.exact)
      this.wrong = { number: picture.number, entry: e, result: role.result };
    return true;
  }

  static isAt(role, name, nth) {
    if (nth && (role.times[name] ?? 0) < nth) return false;
    return (
      (role.point === name && (!nth || role.nth === nth)) ||
      (role.interrupt && role.below[0] === name)
    );
  }

  // Does a later entry release the role from a place of the entry @e?
  keeps(e) {
    for (const later of this.list.slice(this.cursor + 1)) {
      if (later.role !== e.role) continue;
      if (later.kind === "leave")
        return later.places.some((p) => e.places.some((q) => p.name === q.name));
      if (["run", "start", "arrive"].includes(later.kind)) return false;
    }
    return false;
  }

  // May a role move that is not next in the script?  Yes, if it runs and is not kept.
  isFree(letter) {
    const role = this.state(letter);
    const kept = at(role.arrived, role.point, role.nth);
    return (role.interrupt || role.busy) && !kept;
  }

  // The letter of the role that moves next by the script, or "" if there is none.
  next(movable) {
    if (this.lost) return "";
    const entry = this.list[this.cursor];
    const role = entry?.role.toLowerCase();
    // Before a role leaves its place, roles that the script only starts run until they first wait.
    const others = [...movable].filter((m) => m !== role && this.runsOn(m.toUpperCase()));
    const first = entry?.kind === "leave" && this.any(others);
    if (first) return first;
    return role && movable.includes(role) ? role : this.any([...movable]);
  }

  // True if the script only starts the role, and its operation, not hammer, has not waited yet.
  runsOn(letter) {
    const own = this.list.filter((e) => e.role === letter);
    const kept = own.some((e) => e.kind === "arrive" || e.kind === "leave");
    const waited = this.state(letter).waited;
    return !kept && !waited && !own.some((e) => e.rest.startsWith("hammer"));
  }

  any(movable) {
    return movable.find((m) => this.isFree(m.toUpperCase())) ?? "";
  }

  // A role that waits, or "".
  waitingRole() {
    return Object.keys(this.roles).find((r) => this.roles[r].point.startsWith("lock.wait")) ?? "";
  }
}
