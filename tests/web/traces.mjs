// SPDX-License-Identifier: MIT
// traces.mjs: checks that the modules' traces are those of the native program, byte for byte.
//
// node tests/web/traces.mjs BUILD: compares each script with the right code with BUILD/fiber/race.
// Each wrong variant that has a module must end as the scripts that name it say, and with the trace
// of BUILD/variant/ID/build/fiber/race if that program is built.
import { readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { run } from "../../web/machine.js";

const build = process.argv[2];
const data = JSON.parse(await readFile(path.join(build, "web/data.json"), "utf8"));
const compile = async (file) => WebAssembly.compile(await readFile(path.join(build, "web", file)));
const native = (program, name) => spawnSync(program, [name], { encoding: "utf8" });
let passed = 0;
const failed = [];

function judge(what, good, said) {
  if (good) passed++;
  else failed.push(`not ok ${what}\n${said}`);
}

const right = await compile("race.wasm");
for (const name of Object.keys(data.scripts)) {
  const ours = await run(right, [name]);
  const theirs = native(path.join(build, "fiber/race"), name);
  judge(
    name,
    theirs.stdout && ours.out === theirs.stdout && ours.status === theirs.status,
    `${ours.out}${ours.error}\nnot\n${theirs.stdout}`,
  );
}
const listed = (await run(right, ["--list"])).out.trim().split("\n");
judge(
  "every script is in the module",
  listed.length === Object.keys(data.scripts).length,
  String(listed),
);

// Random operations for the memory page.
let drawn = Number(process.env.SEED ?? 1);
const below = (nr) => (drawn = (drawn * 48271) % 2147483647) % nr;
const DO = (
  "alloc movable|alloc movable 1|alloc unmovable|free|free|drain|isolate|undo|offline|" +
  "online|fail|soft|unpoison|disable|enable"
).split("|");
const operations = (nr) =>
  Array.from({ length: nr }, () => {
    const words = DO[below(DO.length)];
    const bare = /alloc|drain|able/.test(words);
    return `${below(4)} ${words}${bare ? "" : ` ${448 + below(64)}`}`;
  }).join("; ");
for (let i = 0; i < 10; i++) {
  const script = `--memory=${operations(60)}`;
  const ours = await run(right, [script]);
  const theirs = native(path.join(build, "fiber/race"), script);
  const good = ours.out === theirs.stdout && !/"sound":false|stuck|panic|wrong/.test(ours.out);
  judge(script, good && ours.out.split("\n").length === 62, ours.out.slice(-3000));
}

for (const [ident, { module: file }] of Object.entries(data.variants)) {
  if (!file) continue;
  const module = await compile(file);
  const program = path.join(build, "variant", ident, "build/fiber/race");
  for (const [name, script] of Object.entries(data.scripts)) {
    const expected = script.expect[ident];
    if (expected === undefined) continue;
    const { out, error } = await run(module, [name]);
    const end = /^race: end \S+ (.*)$/m.exec(out)?.[1] ?? `CRASH: ${error}`;
    judge(
      `${name} with ${ident}`,
      end === expected || (expected === "CRASH" && end.startsWith("CRASH")),
      `${out}${error}\nnot ${expected}`,
    );
    if (existsSync(program))
      judge(`${name} with ${ident}, as native`, out === native(program, name).stdout, out);
  }
}
for (const text of failed) console.log(text);
console.log(`web traces: ${passed} passed, ${failed.length} failed`);
process.exitCode = failed.length ? 1 : 0;
