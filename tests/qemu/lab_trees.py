# SPDX-License-Identifier: MIT
"""Students' trees of the labs, for tests: their programs, hosted and in the kernel."""
import os
import re
import shutil
import subprocess

import conftest
import lab_build
import lab_kernel
import labs
import outer_make
import qemu
import rooms
import skeleton

ROOT = labs.ROOT
BUILD = os.path.join(ROOT, os.environ.get("QUARRY_BUILD", "build"))
# Lab P is a program, not a part of the allocator; labs 10 and R have no empty bodies.
IN_KERNEL = [name for name in labs.labs() if name not in ("10", "P", "R")]
EVERY_DAY = ("2", "5")


def each(names, every_day=EVERY_DAY):
    """Values for parametrize: these labs run every day, the others only with FULL=1."""
    return [name if name in every_day else conftest.full(name) for name in names]


class Lab:
    """The hosted program of a lab, built from one student's tree."""

    def __init__(self, name, folder):
        self.one, self.folder = labs.lab(name), str(folder)
        for path in self.one.files:
            to = os.path.join(self.folder, path)
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copy(os.path.join(ROOT, path), to)

    def change(self, path, old, new):
        name = os.path.join(self.folder, path)
        with open(name, encoding="utf-8") as f:
            text = f.read()
        assert old in text
        with open(name, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new, 1))

    def write(self, path, text):
        with open(os.path.join(self.folder, path), "w", encoding="utf-8") as f:
            f.write(text)

    def empty(self):
        for path, text in skeleton.texts(self.one):
            self.write(path, text)

    def run(self, which=None):
        # Other tests may build the same lab, and share files with this one.
        with lab_build.alone(BUILD):
            hosted = lab_build.Hosted(self.one, BUILD)
            program = hosted.program(self.folder, "test")
        begin = os.times()
        done = subprocess.run(
            [program, which or ",".join(self.one.suites)],
            capture_output=True,
            text=True,
            timeout=qemu.WATCHDOG,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
            check=False,
        )
        text, end = done.stdout + done.stderr, os.times()
        return {
            "cpu": end.children_user + end.children_system - sum(begin[2:4]),
            "rc": done.returncode,
            "ok": re.findall(r"^  ok \d+ (\w+)", text, re.MULTILINE),
            "not ok": re.findall(r"^  not ok \d+ (\w+)", text, re.MULTILINE),
            "ended": "# selftest:" in text,
            "todo": re.findall(r"# lab: (\w+) is not written yet", text),
            "text": text,
            "said": hosted.said,
        }


def tool(folder, *words, **more):
    """(exit status, output) of a program, in a tree that is not this one."""
    env = outer_make.env("PYTHONPATH", "CC", "HOSTCC", "LD", **more)
    done = rooms.call(words, cwd=folder, env=env)
    return done.returncode, done.stdout


def ending(one):
    """The suites for a tree with emptied functions, except suites that a planted mistake ends."""
    ended = {head["test"].split(".")[0] for head, _ in skeleton.mistakes(one)}
    return ",".join(name for name in one.suites if name not in ended)


def boot(lab, own=False, which=None):
    """Boot the lab's kernel. @which: the suites to run, as far as the kernel has them."""
    with lab_build.alone(BUILD):
        kernel = lab_kernel.Kernel(lab.one, BUILD, own=own)
        image = kernel.program(lab.folder, "test")
    asked, options = lab_kernel.run_of(kernel)
    if which:
        asked = ",".join(name for name in which.split(",") if name in kernel.suites())
    return lab_kernel.boot(image, asked, **options)
