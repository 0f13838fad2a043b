# SPDX-License-Identifier: MIT
"""Programs for ring 3, built without the Makefile; for lab_kernel.py and lab_user.py.

A program is one source, linked with the small library of user/.  A boot gets its programs in one
archive.
"""
import os

from lab_build import Builder
from lab_link import run

LIBRARY = ("user/crt.S", "user/lib.c")


class Programs:
    """Builds programs of ring 3 in the directory @folder; @cc: the kernel's compiler."""

    def __init__(self, settings, cc, folder):
        self.settings, self.cc, self.folder = settings, cc, folder
        self.builder = Builder(folder)
        self.said = ""  # the compiler's output

    def compiled(self, source, more=()):
        to = os.path.join(self.folder, source.replace("/", "_").lstrip("_") + ".o")
        command = [self.cc, *self.settings["USER_FLAGS"], "-iquote", "user", *more]
        self.said += self.builder.compile(source, to, command)
        return to

    def program(self, source, name=None, more=()):
        """The path of a program; @more: flags for its source."""
        objects = [self.compiled(source, more), *map(self.compiled, LIBRARY)]
        to = os.path.join(self.folder, name or os.path.basename(source)[:-2])

        def linked():
            run(*self.settings["LD"], *self.settings["USER_LD"], "-o", to, *objects)

        self.builder.make(to, objects, linked)
        self.builder.save()
        return to

    def archive(self, programs):
        """The path of an archive with @programs, under the names of their files."""
        to = os.path.join(self.folder, "programs.cpio")
        named = [f"{os.path.basename(path)}={path}" for path in programs]

        def packed():
            run("sh", "tools/run/mkcpio.sh", to, *named)

        self.builder.make(to, programs, packed, *named)
        self.builder.save()
        return to
