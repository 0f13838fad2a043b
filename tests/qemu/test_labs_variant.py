# SPDX-License-Identifier: MIT
"""A course's own constants, labs/variant.mk: every program of a lab is compiled with them, a
student's tree has them, and the suites expect the results that follow."""
import json
import os
import re
import subprocess
import sys

import conftest

import labs
import outer_make

VARIANT = "VARIANT := -DPCP_BATCH=12 -DMIGRATE_PASSES=7\nGRADE_SEED := 41\n"
LABS = ("4", "8")  # labs whose costs change


def run(folder, *words, **more):
    return subprocess.run(
        words,
        cwd=folder,
        env=outer_make.env("PYTHONPATH", "CC", "HOSTCC", "LD", **more),
        capture_output=True,
        text=True,
        check=False,
    )


def tree(folder, variant=VARIANT):
    """Make a copy of the tree in @folder with the file labs/variant.mk."""
    conftest.copy_tree(folder)
    with open(os.path.join(folder, "labs", "variant.mk"), "w", encoding="utf-8") as f:
        f.write(variant)
    return folder


def test_every_compiler_gets_the_constants(tmp_path):
    folder = tree(str(tmp_path / "ours"))
    text = run(folder, "make", "-s", "--no-print-directory", "lab-settings").stdout
    flags = dict(line.split(" ", 1) for line in text.split("\n") if " " in line)
    for name in ("HFLAGS", "KFLAGS", "FIBER_FLAGS"):
        assert "-DPCP_BATCH=12" in flags[name] and "-DMIGRATE_PASSES=7" in flags[name], name
    # The header ensures that a batch has space for a block of order 3.
    header = labs.read("include/quarry/mm_types.h")
    assert re.search(r"BUILD_ASSERT\(PCP_BATCH >= 8 && PCP_BATCH <= PCP_ENOUGH\);", header)
    # A student's tree is made from these files.
    out = str(tmp_path / "student")
    files = run(folder, sys.executable, "-B", "-c", SHOW, out).stdout
    assert "labs/variant.mk" in files.split()
    if conftest.whole():
        suites_pass(folder)


def test_a_report_repeats_its_own_seed(tmp_path):
    """Without SEED= and --seed it is the file's, and only another seed is named."""
    folder = tree(str(tmp_path / "ours"))

    def again(*words, file=VARIANT):
        with open(os.path.join(folder, "labs", "variant.mk"), "w", encoding="utf-8") as f:
            f.write(file)
        done = run(folder, sys.executable, "-B", "-c", AGAIN, "4", *words)
        return done.stdout + done.stderr

    command = "make grade LAB=4 ONLY=model.x"
    assert again() == f"41 {command}\n"
    assert again("--seed", "1") == f"1 {command} SEED=1\n"
    assert again("--seed", "41") == f"41 {command}\n"
    assert again(file="") == f"1 {command}\n"
    assert again("--seed", "41", file="VARIANT :=\n") == f"41 {command} SEED=41\n"
    assert again(file="GRADE_SEED = 7 # of May\n") == f"7 {command}\n"
    assert "GRADE_SEED := x: wanted GRADE_SEED := NUMBER" in again(file="GRADE_SEED := x\n")
    said = run(folder, "make", "-n", "grade", "LAB=4", "SEED=3").stdout
    assert "--seed 3" in said and "41" not in said
    assert "--seed" not in run(folder, "make", "-n", "grade", "LAB=4").stdout


def test_settings_follow_the_environment_and_a_file_that_is_removed(tmp_path):
    folder = tree(str(tmp_path / "ours"))

    def settings(**more):
        return json.loads(run(folder, sys.executable, "-B", "-c", KEPT, **more).stdout)

    first = settings()
    assert "-DPCP_BATCH=12" in first["KFLAGS"] and first["CC"] == first["HOSTCC"] == "gcc"
    other = settings(CC="clang", HOSTCC="clang -m64")
    assert other["CC"] == "clang" and other["HOSTCC"] == "clang -m64" and other["LD"] == "ld.lld"
    assert settings() == first
    os.unlink(os.path.join(folder, "labs", "variant.mk"))
    assert "-DPCP_BATCH" not in settings()["KFLAGS"]


KEPT = """import json, sys; sys.path.insert(0, 'tools/lib'); import rooms, lab_make
print(json.dumps(lab_make.Settings('build').values))"""
# Grades nothing: prints the seed, and the command that repeats a test of the model layer.
AGAIN = """import sys; sys.path.insert(0, 'tools/lib'); import rooms, grade, grade_report
def run(self):
    print(self.args.seed, grade_report.replay(self, grade.Result('model', 'x', 'FAIL')))
    sys.exit(0)
grade.Grade.run = run
grade.main()"""
SHOW = "import sys; sys.path.insert(0, 'tools/lib'); import rooms; print(*rooms.all_files())"


def suites_pass(folder):
    """Check that the suites pass with constants that no other test uses."""
    for name in LABS:
        done = run(folder, sys.executable, "-B", "tools/grade/lab_build.py", name, "--run")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_the_handouts_say_what_the_constants_are():
    text = labs.read("include/quarry/mm_types.h")
    value = dict(re.findall(r"^#define (PCP_BATCH|MIGRATE_PASSES) +(\d+)$", text, re.M))
    assert re.search(rf"a batch\D+{value['PCP_BATCH']} pages", labs.read("labs/4/handout.md"))
    assert re.search(rf"always\D+{value['MIGRATE_PASSES']} calls", labs.read("labs/8/handout.md"))
