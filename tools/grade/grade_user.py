# SPDX-License-Identifier: MIT
"""The kernel layer of a lab in ring 3: the tests of lab_user.py; for grade.py.

The student's program has no rights but those that the tests give it, so its object need not obey
rules.  The lines that decide are printed by other tasks, under their names.
"""
import os

import lab_user
from grade_layers import Result

MOST_BOOTS = 6


class Graded(lab_user.User):
    """Grades a lab in ring 3: builds the kernel and the programs, and runs the tests."""

    def folder(self, name):
        return os.path.join(self.lab, name)

    def student_objects(self, _name, _tree):
        return {path: [] for path in self.one.sources()}

    def tests(self):
        return lab_user.names()

    def grade(self, made, names, folder, tell):
        """The results of all @names.  A test that the boot of all tests did not reach is booted
        alone."""
        known, results, boots = lab_user.names(), [], 0
        left = list(names)
        while left and boots < MOST_BOOTS:
            whole = left == known
            run = lab_user.boot(made, 0 if whole else known.index(left[0]) + 1)
            boots += 1
            for row in lab_user.verdicts(run, left if whole else left[:1]):
                if row[1] == "SKIP":
                    break
                results.append(Result("kernel", row[0], *row[1:]))
                tell(results[-1])
            left = [name for name in names if name not in {r.name for r in results}]
        why = "not run: the kernel ended in tests before it"
        return results + [Result("kernel", name, "SKIP", why) for name in left]
