#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the compile command of each source, for editors; `make compile_commands.json`.

Usage: compile_commands.py [--build DIR]

The file is DIR/compile_commands.json: clangd finds it with --compile-commands-dir=DIR.  A source
that belongs to several programs is listed once: as part of the kernel if possible, else of the
hosted one.
"""
import json
import os
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import variant_build

# Each program: its compiler, flags and sources, as the Makefile has them.
PROGRAMS = {
    "user": ("$(CC)", "$(USER_FLAGS)", "$(PROGRAM_SRCS) $(HOSTILE_SRCS) user/lib.c"),
    "kernel": ("$(CC)", "$(KFLAGS)", "$(KSRCS)"),
    "host": ("$(HOSTCC)", "$(HFLAGS)", "$(foreach b,$(HOST_BUILDS),$(call host_srcs,$(b)))"),
    "fiber": ("$(HOSTCC)", "$(FIBER_FLAGS)", "$(FIBER_SRCS)"),
}


def commands(build):
    wanted = {}
    for name, words in PROGRAMS.items():
        wanted |= {f"{name}-{what}": word for what, word in zip(("cc", "flags", "sources"), words)}
    said = variant_build.ask_make(build, wanted)
    found = {}
    for name in PROGRAMS:
        for source in said[f"{name}-sources"]:
            arguments = [*said[f"{name}-cc"], *said[f"{name}-flags"], "-c", source]
            found.setdefault(
                source,
                {"directory": variant_build.variant.ROOT, "file": source, "arguments": arguments},
            )
    return list(found.values())


def main():
    parser = rooms.parser(__doc__)
    args = parser.parse_args()
    os.makedirs(args.build, exist_ok=True)
    path = os.path.join(args.build, "compile_commands.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(commands(args.build), f, indent=1)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
