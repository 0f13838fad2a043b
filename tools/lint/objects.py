# SPDX-License-Identifier: MIT
"""Checks of lint that read what was built: which source calls which, and single instructions.

A source calls only sources listed before it in ROOM/files.mk.  nm reads the symbols of
BUILD/kernel, or else, of mm/ only, those of BUILD/host-plain.
"""
import glob
import graphlib
import os
import re

import nm
import rooms
from rooms import ROOT, read

BUILDS = ("kernel", "host-plain")
ROOMS = ("mm", "arch/x86_64", "kernel")
# Functions that any code may call: to report, to stop the machine, to switch threads.
ANYWHERE = {"printk", "panic", "preempt_schedule"}
# Groups of sources that may call each other: here, the entries from ring 3 and from interrupts.
ENTRIES = ("trap.c", "nmi.c", "trap_entry.S", "user.c", "syscall_entry.S")
ONE = ({f"arch/x86_64/{name}" for name in ENTRIES},)


def sources(room="mm"):
    """The sources of a room, lowest first."""
    text = read(f"{room}/files.mk").replace("\\\n", "")
    lists = " ".join(re.findall(r"^\w+_SRCS \+= (.*)$", text, re.MULTILINE))
    return list(dict.fromkeys(re.findall(rf"(?<!\S){room}/(?:\w+/)?\w+\.[cS](?!\S)", lists)))


def needs(build, room="mm"):
    """{source: {other source of the room: {symbols that the first needs from it}}}"""
    folders = [os.path.join(ROOT, build, name) for name in BUILDS]
    folder = next((name for name in folders if os.path.isdir(os.path.join(name, room))), None)
    if not folder:
        raise OSError(f"no objects of {room}/ in {build}: make kernel")
    paths = {os.path.join(folder, source + ".o"): source for source in sources(room)}
    found = {paths[path]: names for path, names in nm.symbols(paths).items()}
    home = {symbol: source for source, (defined, _) in found.items() for symbol in defined}
    graph = {source: {} for source in found}
    for source, (_, wanted) in found.items():
        for symbol in wanted - ANYWHERE:
            other = home.get(symbol, source)
            if other != source and not any({source, other} <= one for one in ONE):
                graph[source].setdefault(other, set()).add(symbol)
    return graph


def upward(graph):
    """(source, symbol, defining source) for each symbol that a source needs from a higher one."""
    floor = {source: nr for nr, source in enumerate(graph)}
    return [
        (source, symbol, home)
        for source in graph
        for home in sorted(graph[source], key=floor.get)
        if floor[home] > floor[source]
        for symbol in sorted(graph[source][home])
    ]


def reached(todo, after):
    """All that is in @todo, what comes after(it), and so on."""
    seen, todo = set(), list(todo)
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo.extend(after(at))
    return seen


# ---- headers ----


def included(path):
    return re.findall(r'^#\s*include\s+"(mm/\w+/\w+\.h)"', read(path), re.MULTILINE)


def headers(path):
    """All headers of mm/ that @path includes, directly or not."""
    return reached(included(path), included)


def header_circle():
    """Headers of mm/ that include each other in a circle, or []."""
    names = sorted(glob.glob("mm/*/*.h", root_dir=ROOT))
    try:
        graphlib.TopologicalSorter({name: included(name) for name in names}).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def header_floor(path, floor):
    """The floor of the lowest source that a header names; lower sources may not include it."""
    named = set(re.findall(r"\b\w+\.c\b", read(path)))
    return min((floor[s] for s in floor if os.path.basename(s) in named), default=0)


def upward_includes():
    """(source, header) for each included header that belongs to higher floors only."""
    floor = {source: nr for nr, source in enumerate(sources())}
    return [
        (source, header)
        for source in floor
        for header in sorted(headers(source))
        if header_floor(header, floor) > floor[source]
    ]


def check_floors(build):
    """mm/, kernel/ and arch/x86_64 call only downwards in files.mk; so do includes of mm/"""
    for room in ROOMS:
        for source, symbol, home in upward(needs(build, room)):
            yield f"{source} {symbol}: calls upwards: {home} is listed after it in {room}/files.mk"
    for source, header in upward_includes():
        yield f"{source}: sees {header}, which is of higher floors only"
    if ring := header_circle():
        yield f"headers include each other: {' '.join(ring)}"


# ---- the one compare -----------------------------------------------------------------------------
# One 32-bit compare of the whole page->word decides whether a block may be freed or handed out: its
# state, order, references, flags and poison at once.  A compiler or an edit that splits the
# compare, or masks a part of the word, breaks this; so the check reads the instructions.

REG32 = r"%(?:e[abcd]x|e[sd]i|e[sb]p|r\d+d)"
LOAD = re.compile(rf"mov\s+\((%r\w+)\),({REG32})$")
COPY = re.compile(rf"mov\s+({REG32}),({REG32})$")
CMP_REG = re.compile(rf"cmp\s+({REG32}),({REG32})$")
MEM = r"(?:0x0)?\(%r\w+\)"
CMP_MEM = re.compile(rf"cmp[l]?\s+(?:{MEM},({REG32})|(\$0x[0-9a-f]+|{REG32}),{MEM})$")


def disassemble(elf, function, flags=("-d",), addresses=None):
    """The instructions of @function; the lower halves of their addresses go to @addresses."""
    objdump = os.environ.get("OBJDUMP", "objdump")
    words = [objdump, *flags, "--no-show-raw-insn", f"--disassemble={function}", elf]
    out = rooms.call(words, check=True).stdout
    code = []
    for match in re.finditer(r"^\s*([0-9a-f]+):\t(.*)", out, re.M):
        code.append(match[2].strip())
        if addresses is not None:
            addresses.append(match[1][-8:])
    code = [re.sub(r"^call +\w+ <(\w+)>$", r"call \1", line) for line in code]
    return [re.sub(r"\s*(#.*|<.*>)$", "", line) for line in code]


def destination(insn):
    """The register that an instruction writes, or None; for the kinds of instruction that occur."""
    if re.match(r"(cmp|test|push|j\w+|call|ret|nop)", insn):
        return None
    match = re.search(r"%(\w+)$", insn)
    return match.group(1) if match else None


def same_register(a, b):
    def number(name):
        name = name.lstrip("%")
        if match := re.match(r"r(\d+)", name):
            return match.group(1)
        return re.sub(r"^[re]|[xlhi]$", "", name)[:1] + ("i" if "i" in name else "")

    return a is not None and number(a) == number(b)


def whole_compares(code):
    """Indices of compares between a register or immediate and a word loaded whole and untouched
    since."""
    words = set()
    for i, insn in enumerate(code):
        match = CMP_REG.match(insn)
        if (match and words & set(match.groups())) or CMP_MEM.match(insn):
            yield i
        load, copy = LOAD.match(insn), COPY.match(insn)
        written = destination(insn)
        kept = {w for w in words if not same_register(written, w)}
        if load:
            kept.add(load.group(2))
        elif copy and copy.group(1) in words:
            kept.add(copy.group(2))
        words = kept


def check_compare(build):
    """allocations and frees from a cache compare all of page->word at once"""
    elf = os.path.join(build, "quarry.elf")
    for function in ("mem_alloc_page", "mem_free_page", "mem_alloc_pages", "mem_free_pages"):
        code = disassemble(elf, function)
        if not code:
            yield f"{elf}: no function {function}"
            continue
        behind = [insn for i in whole_compares(code) for insn in code[i + 1 : i + 4]]
        if not any(re.match(r"j(ne|e)\b", insn) for insn in behind):
            what = "no compare of a whole 32-bit word from memory, followed by je or jne"
            yield f"{function}: {what}"


def check_fence(build):
    """fences stand before the write of the x2APIC's ICR and on both sides of a drain's ticket"""
    code = disassemble(os.path.join(build, "quarry.elf"), "x2apic_send")
    writes = [i for i, insn in enumerate(code) if insn == "wrmsr"]
    if not writes:
        yield "x2apic_send: no such function, or no wrmsr in it"
    for i in writes:
        order = re.compile(r"(mfence|lfence|wrmsr)$|(mov|xchg)\S* .*,.*\(")
        before = [insn for insn in code[:i] if order.match(insn)]
        if before[-2:] != ["mfence", "lfence"]:
            want = "mfence and lfence, and no store after them, are expected before the wrmsr"
            yield f"x2apic_send: {want}: {before[-4:]}"
    code = disassemble(os.path.join(build, "quarry.elf"), "drain_cached")
    fences = [i for i, insn in enumerate(code) if re.match(r"mfence$|lock or\w* +\$0x0,", insn)]
    rounds = [i for i, insn in enumerate(code) if insn == "call drain_round"]
    if not rounds or len(fences) < len(rounds) + 1:
        have = f"{len(fences)} full barriers, {len(rounds)} calls of drain_round"
        yield f"drain_cached: {have}: one more is expected"
    for i in rounds:
        if not any(i - 8 < f < i for f in fences):
            want = "a full barrier is expected just before drain_round looks at the counts"
            yield f"drain_cached: {want}"


# ---- no-execute pages that the firmware hides ----------------------------------------------------
# No emulator hides them by IA32_MISC_ENABLE bit 34, so the code of a starting CPU is interpreted.

XD_DISABLE = 1 << 34


def msr_writes(code, where, hidden, misc):
    """[(MSR, value)] that the instructions @code at the addresses @where write; @hidden is
    firmware_hid_nx, @misc the CPU's IA32_MISC_ENABLE."""
    reg, writes, equal, at = {}, [], False, 0
    while at < len(code):
        insn = code[at]
        at += 1
        if re.match(r"cmpl +\$0x0,", insn):
            equal = not hidden
        elif match := re.match(r"je +(\w+)", insn):
            at = where.index(match[1]) if equal else at
        elif match := re.match(r"mov +\$(\w+),%(e\w\w)$", insn):
            reg[match[2]] = int(match[1], 16)
        elif match := re.match(r"and +\$(\w+),%(e\w\w)$", insn):
            reg[match[2]] &= int(match[1], 16)
        elif match := re.match(r"xor +%(e\w\w),%\1$", insn):
            reg[match[1]] = 0
        elif insn == "rdmsr":
            reg["eax"], reg["edx"] = misc & 0xFFFFFFFF, misc >> 32
        elif insn == "wrmsr":
            writes.append((reg["ecx"], reg["edx"] << 32 | reg["eax"]))
    return writes


def check_nx(build):
    """a CPU that starts switches on no-execute pages that firmware hid, before it uses them"""
    flags = ["-D", "-m", "i386", "-j", ".rodata"]
    where = []
    code = disassemble(os.path.join(build, "quarry.elf"), "ap_start32", flags, where)
    for hidden, misc in ((True, XD_DISABLE | 0x850081), (True, 1), (False, 1)):
        want = [(0x1A0, misc & ~XD_DISABLE)] if hidden else []
        want += [(0xC0000080, 0x900)]
        have = msr_writes(code, where, hidden, misc)
        if have != want:
            yield f"ap_start32: hidden {hidden}, MSR {misc:#x}: writes {have}, not {want}"


CHECKS = [check_compare, check_fence, check_nx, check_floors]
