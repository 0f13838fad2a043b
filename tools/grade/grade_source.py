# SPDX-License-Identifier: MIT
"""The rules for the text of a student's sources and headers, for its objects, and for the files
that are taken; for grade.py.

A source has no assembly, includes no file from outside, and has no macro or function whose name
belongs to the tests or the explorer: it could switch them off.  The text is read as the compilers
read it: first lines that end with a backslash are joined, then comments and strings are found.
"""
import errno
import os
import re
import stat
from functools import lru_cache

import lab_make
import labs
import skeleton
from lab_make import BY_PORT, Failed, Once, run, symbols

# A comment, or a string or character constant; the latter two end at the latest with their line.
TOKEN = re.compile(
    r"/\*.*?(?:\*/|\Z)|//[^\n]*|\"(?:[^\"\\\n]|\\[^\n])*\"?|'(?:[^'\\\n]|\\[^\n])*'?", re.DOTALL
)
CONTROL = re.compile(r"[\x00-\x08\x0d-\x1f\x7f]")
DIRECTIVE = re.compile(r"^[^\S\n]*#[^\S\n]*(\w*)(.*)$", re.MULTILINE)
ALLOWED = {"include", "define", "undef", "if", "ifdef", "ifndef", "elif", "else", "endif", "error"}
INCLUDED = re.compile(r'\s*(?:"([\w./-]+)"|<([\w./-]+)>)\s*')
# (what may not be in the code, with "" for each string; how a report names it)
FORBIDDEN = (
    (re.compile(r"\b(__asm__|__asm|asm)\b|##"), "assembly, or pastes names together"),
    (re.compile(r"\b(_Pragma|__has_include\w*)\b"), "an operator of the preprocessor"),
    (re.compile(r"%:|<:|:>|<%|%>"), "a digraph"),
    (re.compile(r'(?<!\w)(u8|[uUL])?R"'), "a raw string"),
    (re.compile(r"\b(_*no_(sanitize|address_safety)|__[at]san_|__ubsan_)"), "a sanitizer's name"),
    (
        re.compile(
            r"\b(__has_feature|LAB_OWN|[A-Z]{4,}_BUILD|(ARCH|QUARRY_(HOST|FIBER|LABS))_\w+_H|"
            r"__(?!VA_(ARGS|OPT)__|FILE__|LINE__|\w+_(MAX|BIT|WIDTH)__)[A-Z]\w*__)\b"
        ),
        "a name by which it could tell the grader's builds apart",
    ),
    (re.compile(r"(?s)\A(?=.*(__attribute|\[\s*\[)).*\b(section|__section__)\b"), "a section"),
)
# Headers of the tests and the explorer.  The names with these beginnings are theirs alone.
HOOKS = ("include/quarry/sched_point.h", "include/quarry/watch.h")
TESTS = ("labs/grade/points.h", "include/quarry/ktest.h", *HOOKS)
THEIRS = ("ktest_", "race_", "lab_", "watch_", "thread_watch", "WATCH")


def stripped(text):
    """(the text without comments, the same with "" for each string)"""
    text = re.sub(r"\\[ \t\f\v]*\n", "", text)
    plain = TOKEN.sub(lambda m: " " if m.group().startswith("/") else m.group(), text)
    return plain, TOKEN.sub('""', plain)


@lru_cache(None)
def words(path):
    """All words of a file of this tree, without those in comments and strings."""
    return set(re.findall(r"\w+", stripped(labs.read(path))[1]))


def defined(text):
    return set(re.findall(r"^\s*#\s*define\s+(\w+)", text, re.MULTILINE))


def macros(path):
    return defined(labs.read(path))


@lru_cache(None)
def given_macros():
    """Macros of the interface and of mm/, which all builds have; not those that guard a header."""
    found = set()
    for room in ("include/quarry", "mm"):
        for folder, _, names in os.walk(os.path.join(labs.ROOT, room)):
            for name in [n for n in names if n.endswith(".h")]:
                path = os.path.relpath(os.path.join(folder, name), labs.ROOT)
                found |= {m for m in macros(path) if not m.endswith("_H")}
    return found - macros(TESTS[0])


def condition_faults(one, path, plain, code):
    """Macros in conditions that the lab's files and given_macros() do not define: only some of the
    grader's builds may have them."""
    own = defined(code).union(*map(macros, one.headers()))
    for name, rest in DIRECTIVE.findall(plain):
        asked = set(re.findall(r"\b[A-Za-z_]\w*", rest)) if "if" in name else set()
        for word in sorted(asked - own - given_macros() - {"defined", "DEBUG"}):
            yield f"{path} has a condition on {word}, which no header of mm/ or quarry/ defines"


@lru_cache(None)
def points():
    """Matches a function at which the explorer stops, in another form than a call: a macro with
    parameters would not see it."""
    names = re.findall(r"^#define (\w+)\(", labs.read(TESTS[0]), re.MULTILINE)
    return re.compile(rf"\b({'|'.join(names)})\b(?![^\S\n]*\()")


def name_faults(one, path, plain, code):
    """Names of the tests and the explorer.  A header's macros also change the tests of its lab."""
    tests = set().union(*map(words, TESTS))
    for name in sorted(set(re.findall(r"\w+", code)) & tests):
        if name.startswith(THEIRS):
            yield f"{path} names {name}, which belongs to the tests"
    if path in one.headers():
        given = [words(p) for p in one.extra if p.startswith("tests/")]
        tests = tests.union(*given) - macros(path)
    for name, rest in DIRECTIVE.findall(plain):
        macro = re.match(r"\s*(\w+)", rest)
        if name in ("define", "undef") and macro and macro.group(1) in tests:
            yield f"{path} has a macro {macro.group(1)}, a name that the tests use"
    for name in sorted(set(points().findall(code))):
        yield f"{path} has {name} in another form than a call, where the explorer misses it"


def source_faults(one, there, path):
    """Faults of a source or header as handed in, at path @there."""
    with open(there, encoding="utf-8-sig", errors="replace", newline="") as f:
        text = f.read().replace("\r\n", "\n")
    if CONTROL.search(text):
        yield f"{path} has control characters"
    plain, code = stripped(text)
    for pattern, what in FORBIDDEN:
        if pattern.search(code):
            yield f"{path} has {what}"
    yield from condition_faults(one, path, plain, code)
    for name, rest in DIRECTIVE.findall(plain):
        if name == "include" and not included_ok(one, rest):
            yield f"{path} includes {rest.strip()}, which is no header of mm/"
        elif name not in ALLOWED and (name or rest.strip()):
            yield f"{path} has #{name or rest.strip()}"
    if not one.in_ring_3():
        yield from name_faults(one, path, plain, code)


def included_ok(one, rest):
    """May a submission include this header: of the memory manager, its interface, or the lab?
    @rest: the line behind the word include."""
    found = INCLUDED.fullmatch(rest)
    if not found:
        return False
    name = found.group(1) or found.group(2)
    if {"", ".", ".."} & set(name.split("/")) or not name.endswith(".h"):
        return False
    places = (name, os.path.join("include", name))
    if one.in_ring_3():
        return "/" not in name and os.path.exists(os.path.join(labs.ROOT, "user", name))
    rooms = ("mm/", "quarry/", "sys/queue", "demo/", f"labs/{one.name}/")
    if name in one.headers():
        return bool(found.group(1))  # in <> it would be this tree's
    there = [p for p in places if os.path.exists(os.path.join(labs.ROOT, p))]
    return name.startswith(rooms) and bool(there)


# ---- the copy of what is handed in ---------------------------------------------------------------
# Of a submission the lab's files are copied, each a regular file of at most 1 MiB, to a folder that
# has no other files. A grader, above all as root, may read files that a student may not, and a
# compiler's output quotes the files that it reads.  So no link is followed in any part of a path,
# and no read waits.


MOST_BYTES = 1 << 20  # bytes of a file that is handed in
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class NotTaken(Exception):
    """The path is no regular file, or the file is too large; the text is the reason."""


def read_taken(tree, path):
    """The bytes of the file @path of @tree, or None if it does not exist."""
    at = -1
    try:
        at = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
        *folders, name = path.split("/")
        for folder in folders:
            below = os.open(folder, FOLDER, dir_fd=at)
            os.close(at)
            at = below
        with open(os.open(name, FILE, dir_fd=at), "rb") as f:
            if not stat.S_ISREG(os.fstat(f.fileno()).st_mode):
                raise NotTaken(f"{path} is no regular file")
            text = f.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        # These errors mean that the file or one of its folders is a link, or of a wrong kind.
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO):
            raise labs.BadLab(f"{os.path.join(tree, path)}: {error.strerror}") from None
        raise NotTaken(f"{path} is a link, or no regular file") from None
    finally:
        if at >= 0:
            os.close(at)
    if len(text) > MOST_BYTES:
        raise NotTaken(f"{path} has more than {MOST_BYTES >> 20} MiB")
    return text


def stage(one, tree, to):
    """Copy the lab's files from @tree to the folder @to.  Returns the missing ones; they are copied
    as students get them."""
    texts = {path: read_taken(tree, path) for path in one.files}
    if all(text is None for text in texts.values()):
        raise labs.BadLab(f"{tree} has no {one.files[0]}")
    missing = []
    for path, text in texts.items():
        if text is None:
            missing.append(path)
            text = dict(skeleton.texts(one))[path].encode()
        # A file that has this text keeps its time, so that its object stays up to date.
        lab_make.write_changed(os.path.join(to, path), text)
    return missing


# ---- the rules for objects -----------------------------------------------------------------------
# An object that is linked into a grading program uses only symbols that headers declare (bodies.py)
# or labs/labs.ini lists, and defines only functions of its file.  It has only sections that
# compilers make, no data that could run as code, no instruction that asks the operating system or
# the machine for something, and little data of its own.  An allocator needs none of these.


# Symbols that compilers and sanitizers add; a distribution's compiler may protect stacks.
BY_COMPILER = re.compile(
    r"__(asan|ubsan|odr_asan)_\w+|__odr_asan\.\w+|_sub_[ID]_\w+|_GLOBAL_OFFSET_TABLE_|"
    r"__(start|stop)_asan_globals|__tls_get_addr|__stack_chk_(fail|guard)"
)
# Symbols that the race build's headers need: scheduling points, locks, and the CPU.
BY_BUILD = {"fiber_this", "host_this", "race_point", "spin_depth", "spin_is_held", "stores_wait"}
BY_BUILD |= {"store_begins", "stores_out"}
BY_BUILD |= BY_PORT | {"lab_passed", "lab_count_stored"}
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
INSTRUCTIONS = re.compile(
    r"syscall|sysenter|sysexit\w*|sysret\w*|int|int1|int3|into|icebp|in|ins[bwld]?|out|outs[bwld]?|"
    r"hlt|cli|sti|iret[qdw]?|l[gil]dt\w*|ltr|lmsw|clts|invd|wbinvd|invlpg\w*|rdmsr|wrmsr|swapgs|"
    r"(wr|rd)(fs|gs)base\w*|xsetbv|vmcall|vmmcall|vmlaunch|vmrun|monitor|mwait|ljmp\w*|lret\w*|"
    r"lcall\w*|rdpmc|rdtscp?|cpuid|sgdt|sidt|str|smsw"
)
# In objdump's output: one of these, perhaps behind prefixes; a control register, or no instruction,
# for which there is no reason.  Three patterns, since each by itself is searched for fast.
UNWANTED = rf"\t(?:\S+ +(?=[a-z]))*(?:{INSTRUCTIONS.pattern})(?=\s)"
NEVER = (r"%[cd]r\d", r"\(bad\)")
# Instructions in inline functions of the kernel's headers: interrupts off and on, and the time.
KERNEL_ONLY = ("cli", "sti", "rdtsc", "rdtscp")
# In the symbol table: data in a section with code.
DATA_IN_TEXT = re.compile(r"^[0-9a-f]+ .{6}O (\.text\S*)\t.* (\S+)$", re.MULTILINE)


def by_compiler(path, kind, name):
    """Is the symbol of the object @path one that the compiler has added?"""
    return BY_COMPILER.fullmatch(name) or BY_STORES.fullmatch(f"{path} {kind} {name}")


def symbol_faults(one, path, source):
    may = set(one.allow) | BY_BUILD
    may |= {"lab_" + name for other in one.extra for name in one.exports(other)}
    defined = {name for other in one.sources() for name in one.exports(other)}
    for kind, name in symbols(path):
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
    may = set(one.allow) | BY_BUILD | {name for _, name in symbols(ours)}
    may |= {name for other in one.sources() for name in one.exports(other)}
    for kind, name in symbols(path):
        if name not in may and not by_compiler(path, kind, name) and kind in "UwvTDBRVWCiuA":
            yield f"{source}, with the lab's headers, has {name}, which the lab does not list"
    if found := code_faults(path, source):
        known = Once.of(lambda: code_faults(ours, source), "known", ours)
        yield from [fault for fault in found if fault not in known]


def code_faults(path, source):
    return [*section_faults(path, source), *instruction_faults(path, source)]


def lab_data(one, source):
    """Data that the reference's own source exports.  A student's tree has its object."""
    kept = labs.object_in(os.path.join(labs.ROOT, labs.REFERENCE, "host"), source)
    if os.path.exists(kept):
        return {name for data in lab_make.exported(kept)[1] for name in (data, "lab_" + data)}
    text = labs.read(source)
    data = r"^(?!static)(?:const )?[\w ]+?\b(\w+)(?:\[[^\]]*\])* = "
    found = re.findall(data, text, re.MULTILINE)
    return set(found) | {"lab_" + name for name in found}


def section_faults(path, source):
    data = 0
    for line in run("objdump", "-h", "-w", path).split("\n"):
        words = line.split()
        if len(words) < 7 or not words[0].isdigit():
            continue
        name, size = words[1], int(words[2], 16)
        if ARRAYS.fullmatch(name) and size == 8 and INITS & set(symbols(path)):
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
    text = run("objdump", "-d", "-w", "--no-show-raw-insn", path)
    for pattern in (UNWANTED, *NEVER):
        for found in re.finditer(pattern, text):
            at = found.start()
            line = text[text.rindex("\n", 0, at) + 1 : text.index("\n", at)]
            # An instruction may have prefixes, such as rep and rex.W.
            words = "".join(line.split("\t")[1:2]).split()
            bad = [word for word in words if INSTRUCTIONS.fullmatch(word) and word not in may]
            if bad or pattern in NEVER:
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
