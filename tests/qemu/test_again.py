# SPDX-License-Identifier: MIT
"""A test in which QEMU itself crashed is run once more, and no other test is."""
import os
import subprocess
import sys

import pytest
import qemu

# A QEMU that ends as the first line of the file "ends" says; each run removes that line.  With a
# thread for each CPU, it would also be asked whether it loads the plugin (qemu.yields).
QEMU = """#!/bin/sh
cd "$(dirname "$0")"
how=$(head -n 1 ends)
sed -i 1d ends
case $how in
crash) kill -SEGV $$ ;;
*) exit "$how" ;;
esac
"""
TEST = """
import qemu

def test_boot():
    assert qemu.Machine(threads="single").run("again-boot").status == 33
"""


@pytest.mark.parametrize(
    "ends, passes, said",
    [
        (["33"], True, 0),
        (["crash", "33"], True, 1),
        (["crash", "crash", "33"], False, 1),
        (["35", "33"], False, 0),
        (["crash", "35", "33"], False, 1),
    ],
)
def test_crash(name, text_file, ends, passes, said):
    program = text_file("qemu-system-x86_64", QEMU)
    os.chmod(program, 0o755)
    text_file("ends", "".join(f"{end}\n" for end in ends))
    env = {
        **os.environ,
        "PATH": os.path.dirname(os.path.abspath(program)) + ":" + os.environ["PATH"],
        "PYTHONPATH": os.path.join(qemu.ROOT, "tests/qemu"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    words = [*"-m pytest -p conftest -p no:cacheprovider -v -c".split(), os.devnull]
    done = subprocess.run(
        [sys.executable, *words, text_file("test_sample.py", TEST)],
        cwd=qemu.ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=qemu.WATCHDOG,
    )
    out = done.stdout.decode()
    assert (done.returncode == 0) == passes, out
    assert out.count("QEMU itself crashed (") == said, out
    assert f"1 {'passed' if passes else 'failed'}" in out
