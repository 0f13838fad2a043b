#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The archives of a release, in DIR/dist: `make dist`, or some of them, `make dist ONLY=source`.

source          all files of the tree, which build without git
amalgamation    the core as quarry.c and quarry.h, a port for a process, and a program
web             the laboratory as a folder for a file server; VARIANTS, REPOSITORY as of `make web`
images          quarry.iso, and quarry.img for a USB stick
docs            these pages as a site, with the laboratory if `web` is made, too
book            the book as PDF
labs            a student's tree of each lab

SHA256SUMS has their sums.  Files of an archive have the date of the version in CHANGES.md: source
and amalgamation of the same tree have the same bytes; the site, images and book contain times.
"""
import calendar
import hashlib
import io
import lzma
import os
import re
import shutil
import sys
import tarfile
import tempfile
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import amalgamation
import labs
import lib
import outer_make
import stable

PORT = "arch/host"
ABOUT = f"""Quarry VERSION: the core of its page allocator in two files.

quarry.c, quarry.h   zones, the buddy allocator, per-CPU caches, drains, alloc and free, kmalloc
host.c, host.h       what it needs of a kernel, in a process: CPUs as threads, locks, cross-calls
program.c            takes a thousand blocks on two CPUs, and gives them back

    gcc {amalgamation.FLAGS} -pthread quarry.c host.c program.c -o program

clang takes the same flags; a C++ compiler compiles program.c (the other two are C).  In a kernel of
your own, quarry.h has your arch_inline.h instead of the one for a process, and your code takes
host.c's place: the source archive makes both files by `make amalgamation PORT=directory`, and its
docs/porting.md says what a port gives.  MIT licence: LICENSE.
"""


def date():
    """The seconds since 1970 of the version's date in CHANGES.md."""
    row = rf"^## {re.escape(stable.version())}, (\d+-\d+-\d+)$"
    day = re.search(row, rooms.read("CHANGES.md"), re.MULTILINE)
    return calendar.timegm(time.strptime(day[1], "%Y-%m-%d"))


class Dist:
    def __init__(self, args):
        self.args, self.folder = args, os.path.join(os.path.abspath(args.build), "dist")
        self.version, self.date = stable.version(), date()
        self.made = []

    def place(self, name):
        os.makedirs(self.folder, exist_ok=True)
        self.made.append(name)
        print(f"  {name}", flush=True)
        return os.path.join(self.folder, name)

    def archive(self, name, files):
        """NAME-VERSION.tar.xz of @files: {name: bytes, or the path of a file}."""
        whole = f"{name}-{self.version}"
        with lzma.open(self.place(whole + ".tar.xz"), "wb", preset=6) as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for path, what in sorted(files.items()):
                    self.member(tar, f"{whole}/{path}", what)

    def folder_of(self, name, top):
        """An archive of all files below the folder @top."""
        files = {}
        for folder, _, names in os.walk(top):
            paths = [os.path.join(folder, one) for one in names]
            files |= {os.path.relpath(path, top): path for path in paths}
        self.archive(name, files)

    def member(self, tar, name, what):
        about = tarfile.TarInfo(name)
        about.mtime, about.mode = self.date, 0o644
        if isinstance(what, str) and os.path.islink(what):
            about.type, about.linkname = tarfile.SYMTYPE, os.readlink(what)
            tar.addfile(about)
            return
        if isinstance(what, str):
            about.mode = 0o755 if os.access(what, os.X_OK) else 0o644
            with open(what, "rb") as f:
                what = f.read()
        about.size = len(what)
        tar.addfile(about, io.BytesIO(what))

    def copied(self, name, ends):
        """quarry.iso of the build directory becomes quarry-VERSION.iso."""
        whole = name if name == "quarry" else f"quarry-{name}"
        to = self.place(f"{whole}-{self.version}{ends}")
        shutil.copyfile(os.path.join(self.args.build, name + ends), to)

    # ---- the archives ----

    def make(self, *goals, **variables):
        if said := outer_make.run(self.args.build, *goals, **variables):
            sys.exit(said)

    def source(self):
        paths = [path for path in rooms.all_files() if not path.endswith(".pyc")]
        self.archive("quarry", {path: os.path.join(rooms.ROOT, path) for path in paths})

    def amalgamation(self):
        lists = {"core": "$(LIB_CORE)", "host": "$(HOST_BASE) $(HOST_PORT)"}
        core, host = outer_make.values(self.args.build, lists).values()
        names = ("quarry.h", "quarry.c", "host.h", "host.c")
        files = dict(zip(names, amalgamation.amalgamation(PORT, core, host)))
        files["program.c"] = lib.program().replace("<host.h>", '"host.h"')
        files["README"] = ABOUT.replace("VERSION", self.version)
        files["LICENSE"] = rooms.read("LICENSE")
        self.archive("quarry-amalgamation", {name: text.encode() for name, text in files.items()})

    def web(self):
        self.make("web", VARIANTS=self.args.variants, REPOSITORY=self.args.repository)
        self.folder_of("quarry-web", os.path.join(os.path.abspath(self.args.build), "web"))

    def docs(self):
        self.make("docs", REPOSITORY=self.args.repository)
        self.folder_of("quarry-docs", os.path.join(os.path.abspath(self.args.build), "site"))

    def images(self):
        self.make("iso", "usb")
        self.copied("quarry", ".iso")
        self.copied("quarry", ".img")

    def book(self):
        self.make("book")
        self.copied("book", ".pdf")

    def labs(self):
        for name in labs.labs():
            with tempfile.TemporaryDirectory(prefix="quarry-dist-") as work:
                tree = os.path.join(work, "lab")
                self.make("skeleton", LAB=name, DIR=tree)
                self.folder_of(f"quarry-lab-{name}", tree)

    def sums(self):
        with open(os.path.join(self.folder, "SHA256SUMS"), "w", encoding="utf-8") as out:
            for name in sorted(self.made):
                with open(os.path.join(self.folder, name), "rb") as f:
                    out.write(f"{hashlib.sha256(f.read()).hexdigest()}  {name}\n")


PARTS = ("source", "amalgamation", "web", "docs", "images", "book", "labs")


def main():
    parser = rooms.parser(__doc__, words="only variants repository")
    args = parser.parse_args()
    dist, names = Dist(args), rooms.chosen(parser, args.only, PARTS)
    print(f"{os.path.join(args.build, 'dist')}:")
    shutil.rmtree(dist.folder, ignore_errors=True)
    if {"web", "docs"} & set(names):
        # What earlier builds left is for no archive; the site takes the laboratory that is there.
        shutil.rmtree(os.path.join(args.build, "web"), ignore_errors=True)
    for name in PARTS:
        if name in names:
            getattr(dist, name)()
    dist.sums()
    print("  SHA256SUMS")


if __name__ == "__main__":
    rooms.run(main)
