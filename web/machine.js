// SPDX-License-Identifier: MIT
// machine.js: runs the race program, compiled to WebAssembly, in a browser or in node.
//
// A run is a pure function: a fresh instance, arguments and files in, text and exit status out.
// Owns: the functions of WASI that the program uses.

const BADF = 8,
  NOENT = 44,
  NOSYS = 52;
const DIRECTORY = 3,
  FIRST_FILE = 4;
const encoder = new TextEncoder();

class Exit extends Error {
  constructor(status) {
    super(`exit ${status}`);
    this.status = status;
  }
}

// The functions of WASI over @memory(), a DataView; @files: {name: text} in the working directory.
function system(args, files, memory, write) {
  const names = args.map((arg) => encoder.encode(`${arg}\0`));
  const open = [];
  const bytes = (at, size) => new Uint8Array(memory().buffer, at, size);
  const set = (at, value) => memory().setUint32(at, value, true);
  const get = (at) => memory().getUint32(at, true);
  const parts = (at, nr) =>
    Array.from({ length: nr }, (_, i) => [get(at + 8 * i), get(at + 8 * i + 4)]);

  return {
    args_sizes_get(count, size) {
      set(count, names.length);
      set(
        size,
        names.reduce((sum, name) => sum + name.length, 0),
      );
      return 0;
    },
    args_get(pointers, at) {
      for (const [i, name] of names.entries()) {
        set(pointers + 4 * i, at);
        bytes(at, name.length).set(name);
        at += name.length;
      }
      return 0;
    },
    clock_time_get(id, precision, at) {
      memory().setBigUint64(at, BigInt(Math.round(performance.now() * 1e6)), true);
      return 0;
    },
    proc_exit(status) {
      throw new Exit(status);
    },
    fd_write(fd, at, nr, written) {
      let size = 0;
      for (const [from, length] of parts(at, nr)) {
        write(fd, bytes(from, length).slice());
        size += length;
      }
      set(written, size);
      return 0;
    },
    fd_read(fd, at, nr, read) {
      const file = open[fd];
      let size = 0;
      for (const [to, length] of file ? parts(at, nr) : []) {
        const part = file.text.subarray(file.at, file.at + length);
        bytes(to, part.length).set(part);
        file.at += part.length;
        size += part.length;
      }
      set(read, size);
      return 0;
    },
    fd_close(fd) {
      delete open[fd];
      return 0;
    },
    fd_fdstat_get(fd, at) {
      bytes(at, 24).fill(0);
      bytes(at, 1)[0] = fd === DIRECTORY ? 3 : 4;
      bytes(at + 8, 16).fill(255);
      return 0;
    },
    fd_prestat_get(fd, at) {
      if (fd !== DIRECTORY) return BADF;
      set(at, 0);
      set(at + 4, 1);
      return 0;
    },
    fd_prestat_dir_name(fd, at) {
      bytes(at, 1)[0] = ".".charCodeAt(0);
      return 0;
    },
    path_open(fd, flags, at, size, how, base, inheriting, more, opened) {
      const name = new TextDecoder().decode(bytes(at, size).slice());
      if (!(name in files)) return NOENT;
      const number = Math.max(FIRST_FILE, open.length);
      open[number] = { text: encoder.encode(files[name]), at: 0 };
      set(opened, number);
      return 0;
    },
  };
}

// Run @module as `race ARGS...`; { out, error, status }.  A trap is status -1, with its text.
export async function run(module, args, files = {}) {
  const said = { 1: "", 2: "" };
  const decoders = { 1: new TextDecoder(), 2: new TextDecoder() };
  let instance;
  let view;
  const memory = () => {
    const { buffer } = instance.exports.memory;
    if (!view || view.buffer !== buffer) view = new DataView(buffer);
    return view;
  };
  const write = (fd, part) => {
    said[fd] += decoders[fd].decode(part, { stream: true });
  };
  const known = system(["race", ...args], files, memory, write);
  const wasi = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module))
    if (from === "wasi_snapshot_preview1") wasi[name] = known[name] ?? (() => NOSYS);
  instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi });
  let status = 0;
  try {
    instance.exports._start();
  } catch (e) {
    if (!(e instanceof Exit) && !(e instanceof WebAssembly.RuntimeError)) throw e;
    status = e instanceof Exit ? e.status : -1;
    if (status === -1) said[2] += e.message;
  }
  return { out: said[1], error: said[2], status };
}
