// SPDX-License-Identifier: MIT
// worker.js: runs the explorer beside the page: gets { module, args }, sends back the output.
import { run } from "./machine.js";

addEventListener("message", async ({ data: { module, args } }) => {
  const { out, error, status } = await run(module, args);
  postMessage({ out, error, status });
});
