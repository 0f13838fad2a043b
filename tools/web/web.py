#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the laboratory in a browser, static files in build/web/: `make web` (docs/web.md).

With --texts it only writes the texts of all scripts as a source in C.

--variants: the wrong variants that get a module, with blanks or commas between; "all": each that a
script names; without it those of the races of Linux in docs/races/linux.md.  --archive: also pack
the files into DIR/quarry-web.tar.gz, with the same bytes each time.

The pages' texts about races come from tests/races, docs/races, tests/mutants and the sources, and
are written to build/web/data.json: see `data`.
"""
import functools
import glob
import gzip
import http.server
import json
import os
import re
import shutil
import sys
import tarfile

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import read
import docs
import qemu
import race
import race_step
import race_table
import race_view
import race_why
import variant
import variant_build

WEB = os.path.join(qemu.ROOT, "web")
PAGES = (".html", ".css", ".js")
AROUND = (9, 8)  # lines of an excerpt above and below its line
PORT = 8000
ARCHIVE = "quarry-web"


# ---- the scripts in the program ------------------------------------------------------------------


def write_texts(path):
    """Write the texts of the race scripts as a C array: scripts.c includes them by .incbin, which
    the assembler of WebAssembly lacks."""
    listed = read("tests/races/scripts.c")
    names = re.findall(r'\bRACE\("(\S+?)"\)', listed)
    texts = "".join(read(f"tests/races/{name}.race") for name in names)
    numbers = ",".join(str(byte) for byte in texts.encode())
    source = f'#include "engine.h"\nconst char race_texts[] = {{{numbers},0}};\n'
    rooms.write(os.path.abspath(path), source)


# ---- data for the pages --------------------------------------------------------------------------


def excerpt(lines, at):
    """{first: number of the first line, lines: the lines around index @at}."""
    first = max(0, at - AROUND[0])
    shown = lines[first : at + AROUND[1] + 1]
    return {"first": first + 1, "lines": [line.rstrip() for line in shown]}


def place_of(source, place):
    """A place of race_view.py as data for the pages."""
    found = {"behind": place.behind, "ahead": place.ahead}
    where = re.match(r"(\S+):(\d+)", place.where)
    if where:
        path, line = where.group(1), int(where.group(2))
        found |= {"path": path, "line": line, **excerpt(source.lines[path], line - 1)}
    return found


def operations(scripts):
    """All operations that scripts begin."""
    begun = re.compile(r"\b[A-H][!:]\s*(\w+(?:\([^)]*\))?)")
    return sorted({op for script in scripts for op in begun.findall(script.text)} - {"join"})


def places(tree, scripts):
    """(places of points, places of operations), {name: place} each, of the code at @tree."""
    source = race_view.Source(tree)
    points = {}
    for name in sorted(set(source.rows) | set(source.sites)):
        points[name] = place_of(source, source.point(name))
        handle = source.point(name, "hold")
        if handle != source.point(name):
            points[name + " of handles"] = place_of(source, handle)
    return points, {op: place_of(source, source.operation(op)) for op in operations(scripts)}


def differing(own, right):
    return {name: place for name, place in own.items() if place != right.get(name)}


def all_scripts():
    scripts = race.scripts()
    for script in scripts:
        script.text = read(f"tests/races/{script.name}.race")
    return scripts


def named_variants(scripts):
    """The variants that scripts name, each once."""
    return sorted({ident for script in scripts for ident in script.expect if ident != "none"})


def stories():
    """The races of Linux, one for each row of docs/races/linux.md, in the order of the page."""
    for row in race_table.races():
        yield {**vars(row), "page": re.search(r"\((.*)\)", row.page).group(1)}


def invariants():
    """[[id, message, meaning]] of docs/mm/check.md, and of further checks that races make."""
    text = read("docs/mm/check.md")
    rows = re.findall(r"^\| ([\w-]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    rows = [[ident, message, meaning.replace("`", "")] for ident, message, meaning in rows]
    return rows + [[ident, "", meaning] for ident, meaning in race_why.MEANING.items()]


def data(build, modules):
    """
    The contents of data.json.  scripts: {name: title, text, expect, cpus, shown: the variant to
    begin with, right: {variant: the sentence about the right code}}; stories; variants: {id: title,
    why, module, and the points and operations that differ from the right code's}; points,
    operations: {name: path, line, first, lines, behind, ahead}; invariants; holds: {lock: points
    that a role passes while it holds the lock}.
    """
    scripts = all_scripts()
    points, ops = places(qemu.ROOT, scripts)
    variants = {}
    for ident in named_variants(scripts):
        v = variant.read(ident)
        variants[ident] = {"title": v.title, "why": v.get("why")}
        if ident in modules:
            own, own_ops = places(os.path.join(build, "wasm", "variant", ident), scripts)
            variants[ident] |= {"module": f"variant/{ident}.wasm"}
            variants[ident] |= {"points": differing(own, points)}
            variants[ident] |= {"operations": differing(own_ops, ops)}
    told = {}
    for s in scripts:
        told[s.name] = {what: getattr(s, what) for what in ("title", "text", "expect", "cpus")}
        told[s.name]["shown"] = race_step.shown_variant(s)
        told[s.name]["right"] = {i: race_why.right_code(i, s) for i in s.expect}
    return {
        "scripts": told,
        "stories": list(stories()),
        "variants": variants,
        "points": points,
        "operations": ops,
        "invariants": invariants(),
        "holds": race_why.HOLDS,
    }


def check_why():
    """Check that memory_why.js explains each kind of record, and names existing functions."""
    text = read("web/memory_why.js")
    kinds = re.findall(r"^\tX\((\w+)\)", read("include/quarry/trace_ring.h"), re.MULTILINE)
    told = dict(re.findall(r'^  (\w+): \[\s*"[^"]*",\s*"(\w+)"', text, re.MULTILINE))
    sources = "".join(map(read, glob.glob("mm/*/*.c", root_dir=qemu.ROOT)))
    if missing := set(kinds) ^ set(told):
        sys.exit(f"web: memory_why.js and trace_ring.h differ in {sorted(missing)[0]}")
    for name in told.values():
        if not re.search(rf"^\w.*\b{name}\(", sources, re.MULTILINE):
            sys.exit(f"web: memory_why.js names {name}, which mm/ does not define")


# ---- the files -----------------------------------------------------------------------------------


def linked(page, source):
    """A page of web/ with links to the project, of which @source is the address of the files."""
    project = source.split("/blob/")[0]
    paths = {"docs/web.md": "About", "docs/races/README.md": "Prose"}
    links = {project: "Project"} | {source + path: name for path, name in paths.items()}
    made = "".join(f'  <a href="{to}">{name}</a>\n    ' for to, name in links.items())
    return page.replace("</nav>", made + "</nav>") if source else page


def make(build, names, source=""):
    """Make all files in build/web/, with modules of the variants @names; returns the folder.
    @source: the address in front of a file's path, for links; or ""."""
    to = os.path.join(build, "web")
    check_why()
    os.makedirs(to, exist_ok=True)
    for name in os.listdir(WEB):
        if name.endswith(".html"):
            rooms.write(os.path.join(to, name), linked(read(os.path.join("web", name)), source))
        elif name.endswith(PAGES):
            shutil.copyfile(os.path.join(WEB, name), os.path.join(to, name))
    shutil.copyfile(os.path.join(build, "wasm", "race.wasm"), os.path.join(to, "race.wasm"))
    wasm = Wasm(build) if names else None
    for ident in names:
        made = make_variant(wasm, ident, os.path.join(to, "variant", ident + ".wasm"))
        print(f"  WASM    {ident}" if made else "", end="\n" if made else "", flush=True)
    told = data(build, set(names)) | {"source": source}
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    rooms.write(os.path.join(to, "data.json"), text)
    return to


def pack(build, folder, names):
    """Make BUILD/quarry-web.tar.gz of the present files, without modules of earlier builds."""
    variants = [f"variant/{ident}.wasm" for ident in names]
    files = [n for n in os.listdir(folder) if os.path.isfile(os.path.join(folder, n))] + variants
    to = os.path.join(build, ARCHIVE + ".tar.gz")
    with gzip.GzipFile(to, "wb", mtime=0) as out, tarfile.open(fileobj=out, mode="w") as tar:
        for name in sorted(files):
            about = tarfile.TarInfo(f"{ARCHIVE}/{name}")
            about.size = os.path.getsize(os.path.join(folder, name))
            with open(os.path.join(folder, name), "rb") as f:
                tar.addfile(about, f)
    return to


def chosen_variants(words):
    named = named_variants(race.scripts())
    if words == ["all"]:
        return named
    unknown = [w for w in words if w not in named]
    if unknown:
        sys.exit(f"web: no script names a variant {unknown[0]}; they name {' '.join(named)}")
    return words or sorted({row.variant for row in race_table.races()})


def serve(folder):
    """Serve @folder to this machine only, at the first free port from PORT on."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    for port in range(PORT, PORT + 20):
        try:
            server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError:
            continue
        print(f"http://127.0.0.1:{port}/ until Ctrl-C", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
            return
    sys.exit(f"web: no port from {PORT} to {PORT + 19} is free")


# ---- the module of a wrong variant ---------------------------------------------------------------
# A variant is built as by variant_build.py: only the sources that depend on its changes are
# compiled.


class Wasm(variant_build.Base):
    """The objects in build/wasm/, and the commands to link a module from them."""

    def __init__(self, build):
        self.name, self.build = "wasm", os.path.abspath(build)
        wanted = {"CC": "clang", "FLAGS": "$(WASM_FLAGS)", "OBJS": "$(WASM_OBJS)", "TESTS": ""}
        wanted |= {"LINK": "$(WASM_LINK)", "AFTER": "$(WASM_QUICK)"}
        self.vars = self.ask_make(wanted)
        self.texts = [o for o in self.vars["OBJS"] if o.endswith("/race_texts.c.o")]
        objects = [o for o in self.vars["OBJS"] if o not in self.texts]
        self.objects = {self.source_of(o): o for o in objects}
        self.needs = {source: self.read_deps(o[:-2] + ".d") for source, o in self.objects.items()}

    def compile_one(self, tree, source, target):
        flags = [f for f in self.vars["FLAGS"] if not f.startswith("-W")] + ["-w"]
        if source.endswith("fiber_main.c"):
            flags.append("-Dmain=race_main")
        variant_build.run(["clang", *flags, "-c", source, "-o", target], tree)

    def link(self, tree, objects):
        plain = os.path.join(tree, "build", "plain.wasm")
        module = os.path.join(tree, "build", "race.wasm")
        link = [*self.vars["LINK"], "-o", plain, *objects, *self.texts, "-lwasi-emulated-mman"]
        variant_build.run(link, tree)
        variant_build.run([*self.vars["AFTER"], plain, "-o", module], tree)
        return module


def newest(paths):
    return max(os.stat(p).st_mtime for p in paths)


def make_variant(wasm, ident, to):
    """Build the module of the wrong variant @ident as the file @to, unless it is up to date."""
    source = variant.texts()[ident][0]
    if os.path.exists(to) and os.stat(to).st_mtime > newest([source, *wasm.vars["OBJS"]]):
        return False
    tree = os.path.join(wasm.build, "wasm", "variant", ident)
    changed = variant.make_tree(variant.read(ident), tree)
    module = wasm.link(tree, wasm.compile(tree, changed))
    os.makedirs(os.path.dirname(to), exist_ok=True)
    shutil.copyfile(module, to)
    return True


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--variants", default="")
    parser.add_argument("--repository", default="", help="the project's address, for links")
    parser.add_argument("--archive", action="store_true")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--texts")
    args = parser.parse_args()
    if args.texts:
        return write_texts(args.texts)
    names = chosen_variants(args.variants.replace(",", " ").split())
    build = os.path.abspath(args.build)
    source = f"{args.repository.rstrip('/')}/blob/{docs.version()}/" if args.repository else ""
    folder = make(build, names, source)
    print(f"{os.path.relpath(folder)}: open it by a file server, or: make web SERVE=1")
    if args.archive:
        print(os.path.relpath(pack(build, folder, names)))
    if args.serve:
        serve(folder)
    return 0


if __name__ == "__main__":
    rooms.run(main)
