#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A lab as an autograder of Gradescope, https://gradescope-autograders.readthedocs.io.

Usage: gradescope.py pack LAB ZIP [OPTION...]        write the archive to upload
       gradescope.py run LAB AUTOGRADER [OPTION...]  grade; called by run_autograder

The archive has this tree in quarry/, setup.sh, run_autograder, and a Dockerfile for an image of
your own.  `run' grades AUTOGRADER/submission and writes AUTOGRADER/results/results.json; if the
grader itself fails, it writes nothing, which Gradescope reports: then grade the submission again.
OPTIONs go to grade.py, such as --seed 7, --track short4 and --board, a leaderboard.
"""
import datetime
import json
import os
import shlex
import sys
import tempfile
import zipfile

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import grade_batch
import labs

TEXTS = {
    "setup.sh": """#!/bin/sh
# Install what grading lab {lab} needs; compile what all submissions share, and grade the reference.
set -e
cd "${{AUTOGRADER:-/autograder}}/source/quarry"
sh tools/run/setup.sh compile python boot
python3 tools/grade/grade.py {lab} {options}
""",
    "run_autograder": """#!/bin/sh
at=${{AUTOGRADER:-/autograder}}
cd "$at/source/quarry" && exec python3 tools/grade/gradescope.py run {lab} "$at" {options}
""",
    "Dockerfile": """FROM gradescope/autograder-base:ubuntu-22.04
COPY . /autograder/source
RUN sh /autograder/source/setup.sh
RUN cp /autograder/source/run_autograder /autograder/ && chmod +x /autograder/run_autograder
""",
}


def pack(lab, path, options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in TEXTS.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100755 << 16
            archive.writestr(info, text.format(lab=lab, options=shlex.join(options)))
        for name in rooms.all_files():
            archive.write(os.path.join(labs.ROOT, name), "quarry/" + name)
    print(f"{path}: upload it under Configure Autograder, or build an image with its Dockerfile")


def late_days(autograder):
    """Days after the due date, begun ones too; 0: in time, or no such date."""
    try:
        about = json.loads(grade_batch.kept(autograder, "submission_metadata.json"))
        times = (about["created_at"], about["assignment"]["due_date"])
        return grade_batch.days_late(*map(datetime.datetime.fromisoformat, times))
    except (ValueError, KeyError, TypeError):
        return 0


def graded(one, files, options):
    """The contents of results.json, or None: the grader itself failed."""
    with tempfile.TemporaryDirectory(prefix="gradescope-", ignore_cleanup_errors=True) as work:
        submission = os.path.join(work, "submission")
        grade_batch.put(files, submission)
        out = os.path.join(work, "out")
        done = grade_batch.grade(one, submission, options, ["--clean", "--out", out])
        print(done.stdout)
        if grade_batch.why_not(grade_batch.result_of(work, "out")):
            return None
        text = grade_batch.kept(out, "results.json")
        return json.loads(text.replace(submission, "submission"))


def run(lab, autograder, options):
    one = labs.lab(lab)
    try:
        files = grade_batch.texts(one, os.path.join(autograder, "submission"))
        result = graded(one, files, options)
    except grade_batch.BadBatch as error:
        result = {"score": 0, "output": str(error), "tests": []}
    if not result:
        return 1
    late = late_days(autograder)
    result["extra_data"] = {**result.get("extra_data", {}), "late_days": late}
    if late:
        result["output"] = f"Handed in late: days begun: {late}\n" + result["output"]
    results = os.path.join(autograder, "results", "results.json")
    grade_batch.write(results, json.dumps(result, indent=1) + "\n")
    return 0


def main():
    words = sys.argv[1:]
    if len(words) < 3 or words[0] not in ("pack", "run"):
        sys.exit(__doc__.strip())
    labs.lab(words[1])  # or BadLab
    sys.exit((pack if words[0] == "pack" else run)(words[1], words[2], words[3:]))


if __name__ == "__main__":
    labs.run_tool(main)
