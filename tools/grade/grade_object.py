# SPDX-License-Identifier: MIT
"""The rules for a student's objects; for grade.py.

An object that is linked into a grading program uses only symbols that headers declare (bodies.py)
or labs/labs.ini lists, and defines only functions of its file.  It has only sections that compilers
make, no data that could run as code, no instruction that asks the operating system or the machine
for something, and little data of its own.  An allocator needs none of these.
"""
import os
import re

import lab_link
import labs
from lab_build import Once
from lab_link import Failed, run

# Symbols that compilers and sanitizers add; a distribution's compiler may protect stacks.
BY_COMPILER = re.compile(
    r"__(asan|ubsan|odr_asan)_\w+|__odr_asan\.\w+|_sub_[ID]_\w+|_GLOBAL_OFFSET_TABLE_|"
    r"__(start|stop)_asan_globals|__tls_get_addr|__stack_chk_(fail|guard)"
)
# Symbols that the race build's headers need: scheduling points, locks, and the CPU.
BY_BUILD = {"fiber_this", "host_this", "race_point", "spin_depth", "spin_is_held", "stores_wait"}
BY_BUILD |= {"store_begins", "stores_out"}
BY_BUILD |= lab_link.BY_PORT | {"lab_passed"}
# Functions of labs/grade/stores.c, which gcc calls in the explorer's build (grade_build.POINTS).
BY_STORES = re.compile(r".*/labs/explorer/.* U __tsan_\w+")
# Functions of gcc's own library, which the kernel does not have: for __builtin_popcount() and such.
LIBGCC = re.compile(r"__(popcount|parity|ffs|c[lt]z|(u?div|u?mod|mul)t?)[sdt]i[23]")
SECTIONS = re.compile(
    r"\.(text|data|bss|tbss|tdata|rodata|comment|note|eh_frame|debug_\w+|rela|group)(\..*)?|"
    r"asan_globals"
)
# A sanitizer adds one pointer here, to a call of these; anything else would be a constructor's.
ARRAYS = re.compile(r"\.(init|fini)_array\.00099")
INITS = {("U", "__asan_init"), ("U", "__tsan_init")}
MOST_DATA = 64 << 10
# Instructions for system calls, for input and output, and for ring 0 only.
FORBIDDEN = re.compile(
    r"syscall|sysenter|sysexit\w*|sysret\w*|int|int1|int3|into|icebp|in|ins[bwld]?|out|outs[bwld]?|"
    r"hlt|cli|sti|iret[qdw]?|l[gil]dt\w*|ltr|lmsw|clts|invd|wbinvd|invlpg\w*|rdmsr|wrmsr|swapgs|"
    r"(wr|rd)(fs|gs)base\w*|xsetbv|vmcall|vmmcall|vmlaunch|vmrun|monitor|mwait|ljmp\w*|lret\w*|"
    r"lcall\w*|rdpmc|rdtscp?|cpuid|sgdt|sidt|str|smsw"
)
# Instructions in inline functions of the kernel's headers: interrupts off and on, and the time.
KERNEL_ONLY = ("cli", "sti", "rdtsc", "rdtscp")
# In the symbol table: data in a section with code.
DATA_IN_TEXT = re.compile(r"^[0-9a-f]+ .{6}O (\.text\S*)\t.* (\S+)$", re.MULTILINE)


def by_compiler(path, kind, name):
    """Is the symbol of the object @path one that the compiler has added?"""
    return BY_COMPILER.fullmatch(name) or BY_STORES.fullmatch(f"{path} {kind} {name}")


def symbol_faults(one, path, source):
    may = set(one.allow) | BY_BUILD
    defined = set()
    for other in one.sources():
        defined |= set(one.exports(other))
    for kind, name in lab_link.symbols(path):
        plain = name[4:] if name.startswith("lab_") else name
        if by_compiler(path, kind, plain) or plain in defined or plain in BY_BUILD:
            continue
        if kind in "Uwv" and name not in may:
            what = ": a part of gcc's library, for a built-in" if LIBGCC.fullmatch(name) else ""
            yield f"{source} uses {name}{what}, which no header for the lab's code declares"
        elif kind in "TDBRVWCuiA" and name not in lab_data(one, source):
            yield f"{source} defines {plain} for others"


def given_faults(one, source, path, ours):
    """Faults of an object of a given source, compiled with the student's headers: those that it has
    only with these, not with this tree's headers (the object @ours)."""
    may = set(one.allow) | BY_BUILD | {name for _, name in lab_link.symbols(ours)}
    for other in one.sources():
        may |= set(one.exports(other))
    for kind, name in lab_link.symbols(path):
        if name not in may and not by_compiler(path, kind, name) and kind in "UwvTDBRVWCiuA":
            yield f"{source}, with the lab's headers, has {name}, which the lab does not list"
    known = Once.of(lambda: code_faults(ours, source), "known", ours)
    yield from [fault for fault in code_faults(path, source) if fault not in known]


def code_faults(path, source):
    return [*section_faults(path, source), *instruction_faults(path, source)]


def lab_data(one, source):
    """Data that the reference's own source exports.  A student's tree has its object."""
    kept = labs.object_in(os.path.join(labs.ROOT, labs.REFERENCE, "host"), source)
    if os.path.exists(kept):
        return {name for data in lab_link.exported(kept)[1] for name in (data, "lab_" + data)}
    text = labs.read(source)
    found = re.findall(
        r"^(?!static)(?:const )?[\w ]+?\b(\w+)(?:\[[^\]]*\])* = ", text, re.MULTILINE
    )
    return set(found) | {"lab_" + name for name in found}


def section_faults(path, source):
    data = 0
    for line in run("objdump", "-h", "-w", path).split("\n"):
        words = line.split()
        if len(words) < 7 or not words[0].isdigit():
            continue
        name, size = words[1], int(words[2], 16)
        if ARRAYS.fullmatch(name) and size == 8 and INITS & set(lab_link.symbols(path)):
            continue
        # A stack with code is that of a program which takes the address of a nested function.
        code = re.search(r"\bCODE\b", " ".join(words[7:])) and not name.startswith(".text")
        if not SECTIONS.fullmatch(name) or code:
            yield f"{source} has a section {name}"
        if re.match(r"\.(data|bss|tbss|tdata)", name) and "rel" not in name:
            data += size
    if data > MOST_DATA:
        yield f"{source} has {data >> 10} KiB of data of its own"
    for name, what in DATA_IN_TEXT.findall(run("objdump", "-t", "-w", path)):
        yield f"{source} has data in the section {name}: {what}"


def instruction_faults(path, source):
    said, may = set(), KERNEL_ONLY if "/kernel/" in path else ()
    for line in run("objdump", "-d", "-w", "--no-show-raw-insn", path).split("\n"):
        cells = line.split("\t")
        # An instruction may have prefixes, such as rep and rex.W.
        words = cells[1].split() if len(cells) > 1 else []
        bad = [word for word in words if FORBIDDEN.fullmatch(word) and word not in may]
        if bad or "(bad)" in line or re.search(r"%[cd]r\d", line):
            what = (bad or words or ["none"])[0]
            said.add(f"{source} has an instruction that no allocator needs: {what}")
    yield from sorted(said)


def object_faults(one, path, source):
    """A line for each fault of an object."""
    return [*symbol_faults(one, path, source), *code_faults(path, source)]


def faults_once(one, path, source):
    """The faults of an object; an object that many submissions share is checked once."""
    now = os.stat(path)
    key = ("faults", one.name, source, path, now.st_mtime_ns, now.st_size)
    return Once.of(lambda: object_faults(one, path, source), *key)


def faults(one, objects, given):
    """The faults of a submission: of its @objects, {source: paths}, and of those of @given sources,
    [(source, object with its headers, object with this tree's headers)]."""
    said = []
    for source, paths in objects.items():
        for path in paths:
            try:
                said += faults_once(one, path, source)
            except Failed as error:
                said.append(f"{source}: {error}")
    for source, path, ours in given:
        said += given_faults(one, source, path, ours)
    return list(dict.fromkeys(said))
