# SPDX-License-Identifier: MIT
"""The modules of the laboratory in a browser: the race program in WebAssembly, and one for each
wrong variant; for web.py.

A variant is built as by variant_build.py: only the sources that depend on its changes are
compiled, and linked with the objects of the right code.
"""
import os
import shutil

import variant
import variant_build


class Wasm(variant_build.Base):
    """The objects in build/wasm/, and the commands to link a module from them."""

    def __init__(self, build):
        self.name, self.build = "wasm", os.path.abspath(build)
        wanted = {"CC": "clang", "FLAGS": "$(WASM_FLAGS)", "OBJS": "$(WASM_OBJS)", "TESTS": ""}
        wanted |= {"LINK": "$(WASM_LINK)", "AFTER": "$(WASM_QUICK)"}
        self.vars = self.ask_make(wanted)
        self.texts = [o for o in self.vars["OBJS"] if o.endswith("/race_texts.c.o")]
        objects = [o for o in self.vars["OBJS"] if o not in self.texts]
        self.objects = {self.source_of(o): o for o in objects}
        self.needs = {source: self.read_deps(o[:-2] + ".d") for source, o in self.objects.items()}

    def compile_one(self, tree, source, target):
        flags = [f for f in self.vars["FLAGS"] if not f.startswith("-W")] + ["-w"]
        if source.endswith("fiber_main.c"):
            flags.append("-Dmain=race_main")
        variant_build.run(["clang", *flags, "-c", source, "-o", target], tree)

    def link(self, tree, objects):
        plain = os.path.join(tree, "build", "plain.wasm")
        module = os.path.join(tree, "build", "race.wasm")
        variant_build.run([*self.vars["LINK"], "-o", plain, *objects, *self.texts,
                           "-lwasi-emulated-mman"], tree)
        variant_build.run([*self.vars["AFTER"], plain, "-o", module], tree)
        return module


def newest(paths):
    return max(os.stat(p).st_mtime for p in paths)


def make_variant(wasm, ident, to):
    """Build the module of the wrong variant @ident as the file @to, unless it is up to date."""
    source = variant.texts()[ident][0]
    if os.path.exists(to) and os.stat(to).st_mtime > newest([source, *wasm.objects.values()]):
        return False
    tree = os.path.join(wasm.build, "wasm", "variant", ident)
    changed = variant.thin_tree(variant.read(ident), tree)
    module = wasm.link(tree, wasm.compile(tree, changed))
    os.makedirs(os.path.dirname(to), exist_ok=True)
    shutil.copyfile(module, to)
    return True
