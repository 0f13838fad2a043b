# SPDX-License-Identifier: MIT
"""One test of a lab in the debugger, which stops where it fails; for grade.py.

It is the program that grades, but runs as the user who called, without limits.
"""
import os
import shutil
import sys

import grade_build
import grade_report
import grade_run
import labs

# {layer: the function that notes a failure; the debugger stops there}
STOPS = {"explorer": "fail_run", "contract": "ktest_fail", "cost": "ktest_fail"}


def command(made, layer, name, plan):
    """The debugger's command line."""
    program = made["explorer" if layer == "explorer" else "contract"]
    words = ["--explore", name] if layer == "explorer" else [name]
    words += [f"--plan={plan}"] if plan else []
    stops = [word for at in (STOPS[layer], "panic") for word in ("-ex", f"break {at}")]
    return ["gdb", "-q", *stops, "-ex", "run", "--args", program, *words]


def debug(grade):
    """Build the chosen test and run it in gdb.  Does not return."""
    layer, name = grade.only_test()
    if layer not in STOPS:
        sys.exit("GDB=1 takes one test: TEST=SUITE.TEST, or one set of the explorer: SET=NAME")
    if not shutil.which("gdb"):
        sys.exit("GDB=1 needs gdb")
    grade.label = grade.name()
    grade.stage()
    with grade_build.alone(grade.args.build):
        made = grade.build()
    if not made:
        print("\n".join(grade_report.text_of(grade)))
        sys.exit(1)
    os.chdir(labs.ROOT)
    os.execvpe("gdb", command(made, layer, name, grade.args.plan), {**os.environ, **grade_run.ENV})
