# SPDX-License-Identifier: MIT
"""A suite that is held back: in a tree that has it, a lab is graded with it. A student's tree names
it, and works without it."""
import os
import subprocess
import sys

import conftest

import labs
import outer_make
import skeleton

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


def run(folder, *words):
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={k: v for k, v in outer_make.env().items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def contract_tests(folder):
    text = run(folder, "-B", "tools/grade/labs.py")[1]
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
            f.write(
                text.replace(
                    "suites = free_map buddy\n", "suites = free_map buddy\nhidden = later\n"
                )
            )
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
        assert run(folder, "-B", "tools/grade/labs.py", "check") == (0, "")
    if conftest.whole():
        is_compiled_and_run(ours)


def is_compiled_and_run(ours):
    """Check that the hidden suite runs, in a tree whose functions are not written."""
    skeleton.write_reference(labs.lab(LAB), ours, os.environ.get("QUARRY_BUILD", "build"))
    status, text = run(ours, "-B", "tools/grade/lab_build.py", LAB, "--run", "later")
    assert not status and "  ok 1 an_empty_tree_has_nothing" in text, text[-3000:]
    assert "free_map_take is not written yet" in text


def test_no_student_gets_it():
    assert skeleton.left_out(labs.lab(LAB), labs.HIDDEN + LAB + "/test_later.c")
