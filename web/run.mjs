// SPDX-License-Identifier: MIT
// run.mjs: the race program in node: node web/run.mjs MODULE.wasm ARGUMENT...
import { readFile } from "node:fs/promises";
import { run } from "./machine.js";

const [path, ...args] = process.argv.slice(2);
const result = await run(await WebAssembly.compile(await readFile(path)), args);
process.stdout.write(result.out);
process.stderr.write(result.error);
process.exitCode = result.status === -1 ? 128 : result.status;
