# SPDX-License-Identifier: MIT
"""Does the race page say what the terminal says?  For web-check.py.

tests/web/words.mjs plays each race to its end; the same pictures are given here to
race_record.py and race_why.py, which web/record.js and web/why.js repeat.
"""
import json
import os
import subprocess
import types

import qemu
import race
import race_engine
import race_record
import race_why

PROGRAM = os.path.join(qemu.ROOT, "tests/web/words.mjs")


def picture_of(said):
    picture = race_engine.Picture(said["number"], said["mover"])
    picture.roles, picture.page, picture.more = said["roles"], said["page"], said["more"]
    return picture


def followed(text, pictures, movable):
    """The state of a Record after each of @pictures, in the form that words.mjs writes."""
    record = race_record.Record(text)
    following = []
    for i, picture in enumerate(pictures):
        record.take(picture)
        following.append(record.next(picture.movable() if i + 1 < len(pictures) else movable))
    return {
        "next": following,
        "lost": record.lost,
        "strayed": record.strayed,
        "exact": record.exact,
        "wrong": record.wrong[0] if record.wrong else 0,
    }


def sentences(said, script, pictures):
    if said["outcome"] in ("", "OK", "CRASH"):
        return []
    stepper = types.SimpleNamespace(
        pictures=pictures, why=said["why"], outcome=said["outcome"], script=script
    )
    return race_why.sentences(stepper, said["code"])


def check(build, names=()):
    """(passed, failed); prints each race about which the page's texts differ from Python's."""
    command = ["node", PROGRAM, build, *names]
    node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    scripts = {script.name: script for script in race.scripts()}
    passed = failed = 0
    for line in node.stdout:
        said = json.loads(line)
        script = scripts[said["name"]]
        path = os.path.join(qemu.ROOT, "tests/races", script.name + ".race")
        with open(path, encoding="utf-8") as f:
            text = f.read()
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
