# SPDX-License-Identifier: MIT
"""The rooms of tools/: once this is imported, a tool can import the modules of each of them."""
import glob
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = glob.glob(os.path.join(ROOT, "tools", "*", ""))


def tool(name):
    """The path of the tool @name, such as "check.py"."""
    return glob.glob(os.path.join(ROOT, "tools", "*", name))[0]


def read(path):
    """The text of a file of the tree."""
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()
