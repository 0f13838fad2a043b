# SPDX-License-Identifier: MIT
"""What a course adds.  Its own constants, labs/variant.mk: every program of a lab is compiled with
them, a student's tree has them, and the suites expect the results that follow.  A suite that is
held back: in a tree that has it, a lab is graded with it; a student's tree names it, and works
without it."""
import json
import os
import re
import sys

import conftest

import labs
import skeleton
from lab_trees import tool

VARIANT = "VARIANT := -DPCP_BATCH=12 -DMIGRATE_PASSES=7\nGRADE_SEED := 41\n"
LABS = ("4", "8")  # labs whose costs change
PYTHON = (sys.executable, "-B")


def tree(folder, variant=VARIANT):
    """Make a copy of the tree in @folder with the file labs/variant.mk."""
    conftest.copy_tree(folder)
    with open(os.path.join(folder, "labs", "variant.mk"), "w", encoding="utf-8") as f:
        f.write(variant)
    return folder


def test_every_compiler_gets_the_constants(tmp_path):
    folder = tree(str(tmp_path / "ours"))
    text = tool(folder, "make", "-s", "--no-print-directory", "lab-settings")[1]
    flags = dict(line.split(" ", 1) for line in text.split("\n") if " " in line)
    for name in ("HFLAGS", "KFLAGS", "FIBER_FLAGS"):
        assert "-DPCP_BATCH=12" in flags[name] and "-DMIGRATE_PASSES=7" in flags[name], name
    # The header ensures that a batch has space for a block of order 3.
    header = labs.read("include/quarry/mm_types.h")
    assert re.search(r"BUILD_ASSERT\(PCP_BATCH >= 8 && PCP_BATCH <= PCP_ENOUGH\);", header)
    # A student's tree is made from these files.
    out = str(tmp_path / "student")
    files = tool(folder, *PYTHON, "-c", SHOW, out)[1]
    assert "labs/variant.mk" in files.split()
    if conftest.whole():
        suites_pass(folder)


def test_a_report_repeats_its_own_seed(tmp_path):
    """Without SEED= and --seed it is the file's, and only another seed is named."""
    folder = tree(str(tmp_path / "ours"))

    def again(*words, file=VARIANT):
        with open(os.path.join(folder, "labs", "variant.mk"), "w", encoding="utf-8") as f:
            f.write(file)
        return tool(folder, *PYTHON, "-c", AGAIN, "4", *words)[1]

    command = "make grade LAB=4 ONLY=model.x"
    assert again() == f"41 {command}\n"
    assert again("--seed", "1") == f"1 {command} SEED=1\n"
    assert again("--seed", "41") == f"41 {command}\n"
    assert again(file="") == f"1 {command}\n"
    assert again("--seed", "41", file="VARIANT :=\n") == f"41 {command} SEED=41\n"
    assert again(file="GRADE_SEED = 7 # of May\n") == f"7 {command}\n"
    assert "GRADE_SEED := x: wanted GRADE_SEED := NUMBER" in again(file="GRADE_SEED := x\n")
    said = tool(folder, "make", "-n", "grade", "LAB=4", "SEED=3")[1]
    assert "--seed 3" in said and "41" not in said
    assert "--seed" not in tool(folder, "make", "-n", "grade", "LAB=4")[1]


def test_settings_follow_the_environment_and_a_file_that_is_removed(tmp_path):
    folder = tree(str(tmp_path / "ours"))

    def settings(**more):
        return json.loads(tool(folder, *PYTHON, "-c", KEPT, **more)[1])

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
        status, said = tool(folder, *PYTHON, "tools/grade/lab_build.py", name, "--run")
        assert status == 0, said[-4000:]


def test_the_handouts_say_what_the_constants_are():
    text = labs.read("include/quarry/mm_types.h")
    value = dict(re.findall(r"^#define (PCP_BATCH|MIGRATE_PASSES) +(\d+)$", text, re.M))
    assert re.search(rf"a batch\D+{value['PCP_BATCH']} pages", labs.read("labs/4/handout.md"))
    assert re.search(rf"always\D+{value['MIGRATE_PASSES']} calls", labs.read("labs/8/handout.md"))


# ---- a suite that is held back -------------------------------------------------------------------
LAB = "2"
SUITE = """/* SPDX-License-Identifier: MIT */
/* test_later.c: held back. */
#include "mm/core/free_map.h"
#include <quarry/ktest.h>

KTEST_SUITE(later, KTEST_EXTRA);

KTEST(an_empty_tree_has_nothing)
{
	struct free_map map = {0};
	unsigned had = 0;

	EXPECT_EQ(t, free_map_take(&map, 0, &had), FREE_MAP_NONE);
}
"""


def contract_tests(folder):
    text = tool(folder, *PYTHON, "tools/grade/labs.py")[1]
    return int(next(line for line in text.split("\n") if line.startswith(LAB + " ")).split()[3])


def trees(folder):
    """Two copies of this tree's tools and suites: one with a hidden suite, and one without it."""
    found = []
    for name in ("ours", "student"):
        path = str(folder / name)
        skeleton.write(labs.lab(LAB), path)
        ini = os.path.join(path, labs.INI)
        with open(ini, encoding="utf-8") as f:
            text = f.read()
        assert "suites = free_map buddy\n" in text
        with open(ini, "w", encoding="utf-8") as f:
            old = "suites = free_map buddy\n"
            f.write(text.replace(old, old + "hidden = later\n"))
        found.append(path)
    place = os.path.join(found[0], labs.HIDDEN, LAB)
    os.makedirs(place)
    with open(os.path.join(place, "test_later.c"), "w", encoding="utf-8") as f:
        f.write(SUITE)
    return found


def test_a_suite_that_is_held_back_counts_where_it_is(tmp_path):
    ours, student = trees(tmp_path)
    here = len(labs.lab(LAB).tests_tagged("contract"))
    assert contract_tests(ours) == here + 1
    assert contract_tests(student) == here
    for folder in (ours, student):
        assert tool(folder, *PYTHON, "tools/grade/labs.py", "check") == (0, "")
    if conftest.whole():
        is_compiled_and_run(ours)


def is_compiled_and_run(ours):
    """Check that the hidden suite runs, in a tree whose functions are not written."""
    skeleton.write_reference(labs.lab(LAB), ours, os.environ.get("QUARRY_BUILD", "build"))
    status, text = tool(ours, *PYTHON, "tools/grade/lab_build.py", LAB, "--run", "later")
    assert not status and "  ok 1 an_empty_tree_has_nothing" in text, text[-3000:]
    assert "free_map_take is not written yet" in text


def test_no_student_gets_it():
    assert skeleton.left_out(labs.lab(LAB), labs.HIDDEN + LAB + "/test_later.c")
