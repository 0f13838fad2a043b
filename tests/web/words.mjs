// SPDX-License-Identifier: MIT
// words.mjs: prints a JSON line with the race page's texts for each race and each code that has a
// module, played to its end in the recorded order.  web-check.py compares these texts with
// the terminal's.
//
// node tests/web/words.mjs BUILD [RACE...]
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Lab } from "../../web/lab.js";
import { Record } from "../../web/record.js";
import { broken, stuck } from "../../web/why.js";

const [build, ...names] = process.argv.slice(2);
const lab = new Lab(async (name) => {
  const bytes = await readFile(path.join(build, "web", name));
  return { json: () => JSON.parse(bytes.toString("utf8")), arrayBuffer: () => bytes };
});
await lab.load();
const { holds, invariants, scripts } = lab.data;

for (const name of names.length ? names : Object.keys(scripts))
  for (const code of lab.codes(name)) {
    const moves = await lab.recorded(name, code, "");
    const { pictures, movable, outcome, why } = await lab.play(name, code, moves);
    const record = new Record(lab.text(name));
    const next = [];
    for (const [i, picture] of pictures.entries()) {
      record.take(picture);
      next.push(record.next(i + 1 < pictures.length ? record.last.movable : movable));
    }
    const right = lab.right(name, code);
    let texts = [];
    if (outcome === "STUCK") texts = stuck(pictures, why, right, holds);
    else if (outcome && outcome !== "OK" && outcome !== "CRASH")
      texts = broken(pictures, why, outcome, right, invariants);
    const { lost, strayed, exact } = record;
    const followed = { next, lost, strayed, exact, wrong: record.wrong?.number ?? 0 };
    const said = { name, code, pictures, movable, outcome, why, followed, texts };
    console.log(JSON.stringify(said));
  }
