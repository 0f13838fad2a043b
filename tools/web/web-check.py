#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Test the laboratory in a browser: `make web-check` (docs/web.md).

Makes build/web, with the wrong variants in LIST as web.py takes them, and runs programs of
tests/web on it; without --only traces alone.  The last line counts all of their tests.

pages drives headless Chromium on the files of the archive, by playwright-core of the npm registry,
of the version in tests/web/package-lock.json.  Its screenshots are in DIR/web-test; --shots also
renews the pictures that docs/web.md shows.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import types

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import read
import outer_make
import qemu
import race
import race_engine
import race_why
import web

SHOTS = os.path.join(qemu.ROOT, "docs/screens")
SHOWN = ("beside", "explorer", "memory")  # pictures of tests/web/pages.mjs that docs/ shows
FOLDER = os.path.join(qemu.ROOT, "tests/web")
TESTS = {"traces": "traces.mjs", "words": "words.mjs", "pages": "pages.mjs"}


def get_playwright(build):
    """Install playwright-core in build/web-test; False if npm cannot fetch it."""
    to = os.path.join(build, "web-test")
    os.makedirs(to, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(os.path.join(FOLDER, name), os.path.join(to, name))
    if os.path.isdir(os.path.join(to, "node_modules", "playwright-core")):
        return True
    return subprocess.run(["npm", "ci", "--silent"], cwd=to).returncode == 0


def unpack(build):
    """Unpack the archive, as a reader would."""
    to = os.path.join(build, "web-test")
    shutil.rmtree(os.path.join(to, web.ARCHIVE), ignore_errors=True)
    with tarfile.open(os.path.join(build, web.ARCHIVE + ".tar.gz")) as tar:
        tar.extractall(to)


def renew_shots(build):
    os.makedirs(SHOTS, exist_ok=True)
    for name in SHOWN:
        picture = os.path.join(build, "web-test", f"{name}-wide-light.png")
        shutil.copyfile(picture, os.path.join(SHOTS, f"{name}.png"))


def run_test(build, name):
    """(passed, failed) of one program of tests/web."""
    if name == "words":
        return compare_words(build)
    if name == "pages" and not get_playwright(build):
        print("not ok pages: npm brings no playwright-core")
        return 0, 1
    if name == "pages":
        unpack(build)
    program = os.path.join(FOLDER, TESTS[name])
    done = rooms.call(["node", program, build], stderr=None)
    print(done.stdout, end="", flush=True)
    found = re.findall(r"(\d+) passed, (\d+) failed", done.stdout)
    passed, failed = (int(n) for n in found[-1]) if found else (0, 1)
    return passed, failed + bool(done.returncode and not failed)


# ---- does the race page say what the terminal says? ----------------------------------------------
# tests/web/words.mjs plays each race to its end; the same pictures are given here to race_engine.py
# and race_why.py, which web/record.js and web/why.js repeat.


WORDS = os.path.join(qemu.ROOT, "tests/web/words.mjs")


def picture_of(said):
    picture = race_engine.Picture(said["number"], said["mover"])
    picture.roles, picture.page, picture.more = said["roles"], said["page"], said["more"]
    return picture


def followed(text, pictures, movable):
    """The state of a Record after each of @pictures, in the form that words.mjs writes."""
    record = race_engine.Record(text)
    following = []
    for i, picture in enumerate(pictures):
        record.take(picture)
        following.append(record.next(picture.movable() if i + 1 < len(pictures) else movable))
    state = {name: getattr(record, name) for name in ("lost", "strayed", "exact")}
    return {"next": following, **state, "wrong": record.wrong[0] if record.wrong else 0}


def sentences(said, script, pictures):
    if said["outcome"] in ("", "OK", "CRASH"):
        return []
    told = {"why": said["why"], "outcome": said["outcome"]}
    stepper = types.SimpleNamespace(pictures=pictures, script=script, **told)
    return race_why.sentences(stepper, said["code"])


def compare_words(build, names=()):
    """(passed, failed); prints each race about which the page's texts differ from Python's."""
    command = ["node", WORDS, build, *names]
    node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    scripts = {script.name: script for script in race.scripts()}
    passed = failed = 0
    for line in node.stdout:
        said = json.loads(line)
        script = scripts[said["name"]]
        text = read(f"tests/races/{script.name}.race")
        pictures = [picture_of(p) for p in said["pictures"]]
        ours = (followed(text, pictures, said["movable"]), sentences(said, script, pictures))
        theirs = (said["followed"], said["texts"])
        if ours == theirs:
            passed += 1
            continue
        failed += 1
        print(f"not ok words of {said['name']} with {said['code']}:\n{theirs}\nnot\n{ours}")
    failed += node.wait() != 0
    print(f"web words: {passed} passed, {failed} failed", flush=True)
    return passed, failed


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--only", help="traces; with --shots: pages")
    parser.add_argument("--variants", default="")
    parser.add_argument("--shots", action="store_true")
    args = parser.parse_args()
    usual = "pages" if args.shots else "traces"
    only = rooms.chosen(parser, args.only or usual, TESTS, "test")
    if args.shots and "pages" not in only:
        parser.error("--shots needs the test pages")
    build = os.path.abspath(args.build)
    words = [os.path.join(build, "fiber/race"), "web", f"VARIANTS={args.variants}"]
    words += ["ARCHIVE=1"] if "pages" in only else []
    make = outer_make.command(build, *words, threads=args.jobs)
    if subprocess.run(make, env=outer_make.env()).returncode:
        print("not ok make web")
        print("web-check: 0 passed, 1 failed")
        return 1
    counts = [run_test(build, name) for name in only]
    passed, failed = (sum(numbers) for numbers in zip(*counts))
    if args.shots and not failed:
        renew_shots(build)
    print(f"web-check: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    rooms.run(main)
