// SPDX-License-Identifier: MIT
// why.js: three sentences about why a race that was stepped through is stuck or went wrong.
// They are the same as those of race_why.py, which explains them; a test compares the two.
//
// @right: the sentence of data.json about the line of the right code that prevents the fault.
import { isIdle } from "./play.js";

const upper = (text) => text[0].toUpperCase() + text.slice(1);
const sentence = (text) => `${upper(text)}.`;

// The heading of an outcome.
export function outcomeWord(outcome) {
  return /^(CHECK|WRONG|COUNT)/.test(outcome) ? "WRONG" : outcome;
}

// The first picture from which get(picture) stays the same to the end.
function since(pictures, get) {
  let last = pictures.length - 1;
  while (last && get(pictures[last - 1]) === get(pictures.at(-1))) last--;
  return pictures[last];
}

function moveOf(picture) {
  return picture.number ? `move ${picture.number} (${picture.mover.toLowerCase()})` : "the start";
}

// [[role, number of the move, point]] of roles that hold @lock, by the points they passed.
function holders(pictures, lock, holds) {
  const found = [];
  for (const role of Object.keys(pictures.at(-1).roles)) {
    let held = null;
    for (const p of pictures) {
      const where = p.roles[role] ?? "";
      if (!/^(at |waits |runs )/.test(where)) held = null;
      const point = /^at ([\w.]+)/.exec(where)?.[1];
      if (point && !held && new RegExp(`^(?:${holds[lock] ?? "$^"})`).test(point))
        held = [role, p.number, point];
    }
    if (held) found.push(held);
  }
  return found;
}

function heldAnswer(pictures, cpu) {
  const other = String.fromCharCode(65 + cpu);
  if ((pictures.at(-1).roles[other] ?? "").includes("irqs off"))
    return `${other} keeps interrupts off on CPU ${cpu}, which would answer if they were on`;
  return `CPU ${cpu} has not answered, and would in an interrupt`;
}

function heldReclaim(pictures, holds) {
  const [held] = holders(pictures, "cpu_hotplug", holds);
  if (!held) return "the reclaim thread would free it at the end of its run";
  const [who, move, point] = held;
  return (
    `the reclaim thread needs cpu_hotplug, which ${who} holds since move ${move} (${point}) and ` +
    "would release at the end of its operation"
  );
}

function heldPage(pictures, waiting) {
  const moving = Object.entries(pictures.at(-1).roles).find(([, w]) =>
    /^at (mig|mf|reclaim)\./.test(w),
  );
  const roles = waiting.join(" and ");
  if (moving) return `${moving[0]} moves the page, and would wake ${roles} once it has moved`;
  return (
    "no role holds it: the page has moved, its wake-up is past, and one that came after " +
    `${roles} had queued would have freed ${roles}`
  );
}

function heldLock(pictures, lock, waiting, holds) {
  const [held] = holders(pictures, lock, holds);
  if (held) {
    const [who, move, point] = held;
    const itself = waiting.includes(who) ? "itself " : "";
    return (
      `${who} ${itself}holds ${lock} since move ${move} (${point}), and would release it at the ` +
      "end of its operation"
    );
  }
  const others = Object.entries(pictures.at(-1).roles)
    .filter(([r, w]) => !waiting.includes(r) && /^(at |waits )/.test(w))
    .map(([r]) => r);
  if (!others.length) return `no role holds ${lock}`;
  return `${others.join(" or ")} holds ${lock}, and would release it once its own wait ends`;
}

// A sentence on each lock or answer that roles of @waits, [[role, where]], wait for: the reason why
// they wait, and what would end the wait.
function keptBy(pictures, waits, holds) {
  const found = new Map();
  for (const [role, where] of waits) {
    const what = where.replace(/, (in an interrupt|irqs off)/g, "");
    found.set(what, [...(found.get(what) ?? []), role]);
  }
  return [...found].map(([what, roles]) => {
    const answer = /^waits for an answer from CPU (\d+)/.exec(what);
    if (answer) return heldAnswer(pictures, Number(answer[1]));
    if (what.includes("reclaim thread")) return heldReclaim(pictures, holds);
    const lock = /^waits for lock (.*)$/.exec(what)?.[1];
    if (lock === "page moved") return heldPage(pictures, roles);
    if (lock) return heldLock(pictures, lock, roles, holds);
    return `${what.slice("waits for ".length)} is held up by an interrupt, which would have to end`;
  });
}

function goesRound(pictures, role) {
  const { page, roles } = pictures.at(-1);
  const cache = /in the cache of CPU (\d+)/.exec(page);
  if (cache) {
    const entered = since(pictures, (p) => p.page.includes("in the cache of"));
    return (
      `The cache of CPU ${cache[1]} holds P since ${moveOf(entered)}; only a drain of ` +
      "that cache, or a free that saw the isolated pageblock, would have freed it."
    );
  }
  const others = Object.entries(roles)
    .filter(([r, w]) => r !== role && ` ${w}`.includes(" at "))
    .map(([r, w]) => `${r} (${w})`);
  return (
    `${upper(page)} since ${moveOf(since(pictures, (p) => p.page))}; ` +
    (others.length ? `${others.join(", ")} would have to go on.` : "no other role can change it.")
  );
}

function runsOn(why) {
  const busy = [...why.matchAll(/([A-H]) (\w+\([^;]*?\)) ?(?:after|kept|;|$)/g)];
  const names = busy.map(([, role, op]) => `${role} in ${op}`).join(", ") || "A role";
  return [
    `${names} runs on and on, and waits for what no other role does.`,
    busy.length < 2
      ? "A move of another role, made before this one, would have ended it."
      : "Each undoes what the other needs: the page would be free if one of them paused.",
  ];
}

// Three sentences about why no role can move.
export function stuck(pictures, why, right, holds) {
  const around = /^([A-H]) goes round: (\S+)/.exec(why);
  if (around) {
    const loop = around[2].startsWith("offline.") ? " for the range to be free" : "";
    return [
      `${around[1]} waits in a loop${loop}: it comes to ${around[2]} again and again, ` +
        "and nothing changes.",
      goesRound(pictures, around[1]),
      right,
    ];
  }
  if (why.includes("comes to no point")) return [...runsOn(why), right];
  const waits = Object.entries(pictures.at(-1).roles).filter(([, w]) => w.startsWith("waits "));
  return [
    sentence(waits.map(([r, w]) => `${r} ${w}`).join("; ") || "no role can move"),
    sentence(keptBy(pictures, waits, holds).join("; ") || "no role holds anything"),
    right,
  ];
}

// The sentence of docs/mm/check.md on an invariant.
function meaning(ident, message, invariants) {
  const rows = invariants.filter(([id]) => id === ident);
  return (rows.find((row) => row[1] && message.startsWith(row[1])) ?? rows[0] ?? ["", "", ""])[2];
}

// Three sentences about an invariant that does not hold.
export function broken(pictures, why, outcome, right, invariants) {
  const found = /^(\S+) (.*?): at (\S+): (\d+), should be (\d+)/.exec(why);
  if (!found) return [sentence(why || outcome), right];
  const [, name, message, at, have, want] = found;
  const expected = meaning(name, message, invariants);
  let first = expected ? `Expected: ${expected} (${name}); found: ` : `Found (${name}): `;
  first += `${message}, at 0x${Number(at).toString(16)}: ${have}, should be ${want}.`;
  first = first.replace("on CPU, at 0x", "on CPU ").replace(", at 0x0:", ":");
  const good = pictures
    .slice(0, -1)
    .filter(isIdle)
    .map((p) => p.number);
  const seen = since(pictures, (p) => JSON.stringify([p.page, p.more]));
  const passed = good.at(-1) ? `move ${good.at(-1)}` : "the start";
  let second = good.length
    ? `The last check that passed was at ${passed}`
    : "No check was made before";
  second += `, so it broke by move ${pictures.at(-1).number}`;
  second += seen.number ? `; page P and the caches are as shown since ${moveOf(seen)}.` : ".";
  return [first, second, right];
}

// Sentences about an unexpected result of an operation; @wrong: the field `wrong` of a Record.
export function notWanted(wrong, right) {
  return [
    `Expected of ${wrong.entry.role} in the recorded order: ${wrong.entry.want}; ` +
      `its operation returned ${wrong.result}.`,
    `It has been so since move ${wrong.number}.`,
    right,
  ];
}
