#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build a wrong variant of Quarry: tests/races/wrong/ID.mut applied to a copy of the tree.

Usage: tools/race_variant.py [--build DIR] list
       tools/race_variant.py [--build DIR] tree ID          make the tree, print where it is
       tools/race_variant.py [--build DIR] make ID TARGET... [VARIABLE=value...]

The copy, DIR/variant/ID, is made of hard links, save for the files that the variant changes, and of the
objects built so far, so that only what differs is compiled.  A .mut file has header lines "id:",
"title:", "why:", "kill:" (who notices: world, suite, test) and "expect:" (in what words), and then
blocks: "--- file PATH", "--- old", text, "--- new", text.  Old text that is missing or not unique is an
error.  ID "none" is the tree as it is.
"""
import argparse
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MUTANTS = os.path.join(ROOT, "tests/races/wrong")
HEADER = ("id", "title", "why", "kill", "expect")
SEEDS = ("fiber", "race", "host-plain", "host-port", "host-order3", "kernel")  # objects worth copying


class BadVariant(Exception):
    """The .mut file cannot be applied; the text says why."""


def known():
    return sorted(name[:-4] for name in os.listdir(MUTANTS) if name.endswith(".mut"))


def parse(text, name):
    """({header name: [values]}, [(path, old, new)])."""
    header, edits = {}, []
    path = state = None
    old, new = [], []

    def finish():
        if state == "old":
            raise BadVariant(f"{name}: an old text without a new one")
        if state == "new":
            edits.append((path, "".join(old), "".join(new)))

    for nr, line in enumerate(text.splitlines(keepends=True), 1):
        if line.startswith("--- file "):
            finish()
            path, state = line[9:].strip(), "file"
        elif line.rstrip() == "--- old":
            finish()
            if not path:
                raise BadVariant(f"{name}:{nr}: no file yet")
            old, new, state = [], [], "old"
        elif line.rstrip() == "--- new":
            if state != "old":
                raise BadVariant(f"{name}:{nr}: a new text without an old one")
            state = "new"
        elif state in ("old", "new"):
            (old if state == "old" else new).append(line)
        elif state is None and line.strip():
            key, colon, value = line.partition(":")
            if not colon or key not in HEADER:
                raise BadVariant(f"{name}:{nr}: {line.strip()!r} is no header line")
            header.setdefault(key, []).append(value.strip())
    finish()
    missing = [key for key in HEADER if key not in header]
    if missing or not edits:
        raise BadVariant(f"{name}: lacks {', '.join(missing) or 'blocks'}")
    return header, edits


def load(ident):
    path = os.path.join(MUTANTS, ident + ".mut")
    if not os.path.exists(path):
        raise BadVariant(f"no variant {ident}; known: {' '.join(known())}")
    with open(path, encoding="utf-8") as f:
        header, edits = parse(f.read(), ident + ".mut")
    if header["id"] != [ident]:
        raise BadVariant(f"{ident}.mut says that it is {header['id']}")
    return header, edits


def edited(ident):
    """{path: new content} of the files that @ident changes."""
    files = {}
    for path, old, new in load(ident)[1]:
        if path not in files:
            with open(os.path.join(ROOT, path), encoding="utf-8") as f:
                files[path] = f.read()
        found = files[path].count(old)
        if found != 1:
            raise BadVariant(f"{ident}: {path}: the old text occurs {found} times: {old.strip()[:60]!r}")
        files[path] = files[path].replace(old, new)
    return files


def link_tree(tree):
    """Make @tree the same as ROOT by hard links, without builds and version control; files that differ."""
    wanted = set()
    for folder, folders, names in os.walk(ROOT):
        rel = os.path.relpath(folder, ROOT)
        folders[:] = [d for d in folders if d not in (".git", "__pycache__")
                      and not (rel == "." and d.startswith("build"))]
        os.makedirs(os.path.join(tree, rel), exist_ok=True)
        for name in names:
            path = os.path.normpath(os.path.join(rel, name))
            if path == ".git":
                continue
            wanted.add(path)
            source, copy = os.path.join(ROOT, path), os.path.join(tree, path)
            if os.path.lexists(copy) and not os.path.samefile(source, copy):
                os.unlink(copy)
            if not os.path.lexists(copy):
                os.link(source, copy)
    for folder, folders, names in os.walk(tree):
        rel = os.path.relpath(folder, tree)
        folders[:] = [d for d in folders if not (rel == "." and d.startswith("build"))]
        for name in names:
            if os.path.normpath(os.path.join(rel, name)) not in wanted:
                os.unlink(os.path.join(folder, name))


def make_tree(build, ident):
    """The directory of the variant's tree, up to date."""
    if ident == "none":
        return ROOT
    files = edited(ident)
    tree = os.path.join(os.path.abspath(build), "variant", ident)
    kept = {}
    for path, text in files.items():
        try:
            with open(os.path.join(tree, path), encoding="utf-8") as f:
                if f.read() == text:
                    kept[path] = os.stat(os.path.join(tree, path)).st_mtime_ns
        except OSError:
            pass
    link_tree(tree)
    for path, text in files.items():
        copy = os.path.join(tree, path)
        os.unlink(copy)  # a link: the tree's own file must not change
        with open(copy, "w", encoding="utf-8") as f:
            f.write(text)
        if path in kept:
            os.utime(copy, ns=(kept[path], kept[path]))
    for seed in SEEDS:
        source, copy = os.path.join(build, seed), os.path.join(tree, "build", seed)
        # After a change of the Makefile all would be compiled again: take what the tree has compiled.
        if os.path.isdir(copy) and os.stat(copy).st_mtime < os.stat(os.path.join(ROOT, "Makefile")).st_mtime:
            shutil.rmtree(copy)
        if os.path.isdir(source) and not os.path.isdir(copy):
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.elf", "*.iso", "*.log", "qemu"))
            os.utime(copy)
            # What was copied is of the right code: let make see that these files are newer.
            for path in files:
                os.utime(os.path.join(tree, path))
    return tree


def make(build, ident, *targets):
    """make @targets in the variant's tree, in its directory build/; (worked, output, tree)."""
    tree = make_tree(build, ident)
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    command = [os.environ.get("MAKE", "make"), "--no-print-directory", "-C", tree, "-j2", *targets]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode == 0, done.stdout, tree


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("action", choices=["list", "tree", "make"])
    parser.add_argument("ident", nargs="?")
    parser.add_argument("targets", nargs="*")
    args = parser.parse_args()
    if args.action == "list":
        for ident in known():
            print(f"{ident:6} {load(ident)[0]['title'][0]}")
        return 0
    if not args.ident:
        parser.error("which variant?")
    if args.action == "tree":
        print(make_tree(args.build, args.ident))
        return 0
    worked, out, tree = make(args.build, args.ident, *args.targets)
    print(out, end="")
    return 0 if worked else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BadVariant as e:
        sys.exit(f"variant: {e}")
