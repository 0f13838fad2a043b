# SPDX-License-Identifier: MIT
"""gdb commands that show Quarry's memory, threads and locks; `make debug` loads this into gdb.

They read the memory of a machine that is stopped, so what they show is consistent.  Each command is
a class; the first line of its documentation is its line in k-help.
"""
import os
import socket
import threading

import gdb

TYPES = ("unmovable", "movable", "reclaimable", "cma")
NR_CACHED_TYPES = 3
BLOCK_STATES = ("hole", "offline", "online", "?")
FLAGS = "locked dirty referenced active uptodate unevictable broken has-broken".split()
BOOT_STACK = 1 << 16  # most bytes of the boot CPU's stack, on which the first thread runs
value = gdb.parse_and_eval


def number(text):
    return int(value(text))


def enum(name, n, prefix):
    """The name of @n in an enum, without its prefix."""
    for field in gdb.lookup_type("enum " + name).fields():
        if field.enumval == n:
            return field.name[len(prefix) :]
    return str(n)


def symbol_of(address):
    """NAME+OFFSET, as a backtrace has it."""
    said = gdb.execute(f"info symbol {address:#x}", to_string=True)
    found = said.startswith("No symbol")
    return f"{address:#x}" if found else said.split(" in section")[0].replace(" + ", "+").strip()


def name_of(thread):
    """The name of a thread or a task."""
    return thread["name"].string(errors="replace")


def memory():
    """The kernel's struct memory; an error if it is not set up yet."""
    if not number("kernel_memory.nr_cpus"):
        raise gdb.GdbError("the kernel has set up no memory yet: break in a later function first")
    return value("kernel_memory")


def listed(head, link):
    """The entries of a <sys/queue.h> list, by the member that links them."""
    names = {"lh_first": "le_next", "tqh_first": "tqe_next", "stqh_first": "stqe_next"}
    first = head.type.fields()[0].name
    kind, entry = names[first], head[first]
    while int(entry):
        yield entry
        entry = entry[link][kind]


def zones(mem):
    for i in range(int(mem["nr_nodes"]) * 3):
        if int(mem["zones"][i]["end_pfn"]):
            yield i, mem["zones"][i]


# ---- pages ---------------------------------------------------------------------------------------


class Page:
    """A page of the kernel's memory.  If it is free, the tree of its pageblock gives its block."""

    def __init__(self, pfn):
        mem = memory()
        start, end = int(mem["start_pfn"]), int(mem["end_pfn"])
        if not start <= pfn < end:
            raise gdb.GdbError(f"pfn {pfn:#x} is outside {start:#x}-{end:#x}")
        self.pages = mem["trees"].dereference()["map"]["bit"].type.sizeof * 4
        self.block = pfn // self.pages
        self.pageblock = mem["pageblocks"][self.block]
        bits = int(self.pageblock["bits"])
        self.block_state = BLOCK_STATES[bits >> 4 & 3]
        self.type = TYPES[bits & 3] + (", isolated" if bits & 8 else "")
        if self.block_state == "hole":
            raise gdb.GdbError(f"pfn {pfn:#x} is in a hole: there is no such page")
        self.page, self.head = mem["memmap"][pfn], pfn
        self.word = int(self.page["word"])
        self.state = enum("page_state", self.word >> 16 & 15, "PG_")
        self.order, self.refs = self.word >> 20 & 15, self.word & 0x7FFF
        self.flags = [name for i, name in enumerate(FLAGS) if self.word >> 24 & 1 << i]
        if self.block_state == "online" and self.state == "TAIL":
            self.find_free(mem, pfn)

    def find_free(self, mem, pfn):
        bits = mem["trees"][self.block]["map"]["bit"]
        for order in range(self.pages.bit_length()):
            node = (self.pages + pfn % self.pages) >> order
            if int(bits[node // 64]) >> node % 64 & 1:
                self.state, self.order = "FREE", order
                self.head = pfn >> order << order
                return

    def line(self):
        said = f"{self.state} order {self.order} refs {self.refs}"
        if int(self.page["pincount"]):
            said += f" pins {int(self.page['pincount'])}"
        return said + (" flags " + " ".join(self.flags) if self.flags else "")


def cached_by(pfn):
    """(CPU, stack) that caches the block whose head is @pfn, or None."""
    mem = memory()
    address = int(mem["memmap"][pfn].address)
    for cpu in range(int(mem["nr_cpus"])):
        pcp = mem["pcp"][cpu].dereference()
        for stack in used_stacks(pcp):
            blocks = pcp["stack"][stack]["slot"]
            if any(int(blocks[i]) == address for i in range(stack_size(pcp, stack, "top"))):
                return cpu, stack
    return None


def stack_size(pcp, stack, end):
    """Blocks from the bottom of a stack to its "top" or "limit"."""
    return int(pcp["stack"][stack][end] - pcp["stack"][stack]["slot"])


def stacks_per_zone():
    return number("sizeof(((struct zone *)0)->pcp_limit) / sizeof(u16)")


def used_stacks(pcp):
    """The numbers of the stacks that are not empty."""
    nr = 3 * int(memory()["nr_nodes"]) * stacks_per_zone()
    return [stack for stack in range(nr) if stack_size(pcp, stack, "top")]


def stack_name(stack):
    """Zone, type and order of a stack number, as mm/core/pcp.h has them."""
    zone, index = divmod(stack, stacks_per_zone())
    order, kind = divmod(index, NR_CACHED_TYPES)
    largest = stacks_per_zone() // NR_CACHED_TYPES - 1
    return f"zone {zone}, {TYPES[kind]}, order {order if order < largest else 9}"


# ---- threads -------------------------------------------------------------------------------------


def all_threads():
    """{address: thread} of all threads that the kernel's lists and queues reach."""
    found = []
    for cpu in range(number("nr_cpus")):
        queue = value(f"runqs[{cpu}]")
        found += [queue["running"], queue["idle"], *listed(queue["alarms"], "alarm_link")]
        for name in ("first", "ready"):
            for share in listed(queue[name], "link"):
                found += listed(share["threads"], "link")
    for task in listed(value("'kernel/task.c'::tasks"), "link"):
        found += listed(task["threads"], "task_link")
    for _, queue in wait_queues():
        found += sleepers(queue)
    return {int(thread): thread for thread in found if int(thread)}


def sleepers(queue):
    """The threads in a wait queue, oldest first."""
    first = entry = queue["first"]
    while int(entry):
        yield entry["thread"]
        entry = entry["next"] if entry["next"] != first else 0


def variables(kind):
    """[(name, value)] of the kernel's variables of the type @kind."""
    said = gdb.execute(f"info variables -q -n -t '^{kind}$'", to_string=True)
    file, found = "", []
    for line in said.split("\n"):
        if line.startswith("File "):
            file = line[5:].rstrip(":")
        elif line.endswith(";"):
            name = line[:-1].split()[-1]
            if name.isidentifier():
                found.append((name, value(f"'{file}'::{name}")))
    return found


def sleeping_locks():
    """[(name, struct sleep_lock)] of the kernel and its memory."""
    mem, found = value("kernel_memory"), variables("struct mutex") + variables("struct rwsem")
    found += [(name, mem[name]) for name in ("adding", "hotplug", "poison", "pcp_ctl")]
    return [(name, lock["l"]) for name, lock in found]


def wait_queues():
    mem = value("kernel_memory")
    found = variables("struct waitq") + [(name, lock["wq"]) for name, lock in sleeping_locks()]
    for i in range(int(mem["nr_nodes"])):
        reclaim = mem["nodes"][i]["reclaim"]
        found += [(f"reclaim {i} {name}", reclaim[name]) for name in ("wake", "served")]
    found += [(f"standby {name}", mem["standby"][name]) for name in ("wake", "served")]
    return [*found, ("oom", mem["oom"]["wq"])]


def frames(thread):
    """The return addresses on the stack of a thread that is not running, innermost first."""
    def word(address):
        return number(f"*(unsigned long *){address}")

    sp = int(thread["sp"])
    if not sp:
        return
    top = int(thread["stack_top"]) or sp + BOOT_STACK
    yield word(sp)
    frame = word(sp + 8)
    while sp < frame < top:
        yield word(frame + 8)
        sp, frame = frame, word(frame)


# ---- the commands --------------------------------------------------------------------------------

THREAD_STATES = ("ready", "sleeping", "dead")
EXCLUSIVE = 0xFFFFFFFF  # the count of a sleeping lock that one thread holds
FRAMES = 12  # most frames of a thread's stack that are shown
COMMANDS = []
# Functions that every waiting thread is in: none of them tells its place.
INNER = ("give_cpu", "sched_", "sleep_", "wait_until", "thread_sleep")


class Command(gdb.Command):
    """A command with its usage; arguments are C expressions of the kernel."""

    usage, least, most = "", 0, 0

    def __init__(self):
        super().__init__(self.usage.split()[0], gdb.COMMAND_DATA)
        COMMANDS.append(self)

    def invoke(self, text, _tty):
        words = gdb.string_to_argv(text)
        if not self.least <= len(words) <= self.most:
            raise gdb.GdbError("usage: " + self.usage)
        self.run(*words)

    def chosen(self, numbered, which, kind):
        """All rows of @numbered, [(number, ...)], or the row with the number @which."""
        found = [row for row in numbered if which is None or row[0] == number(which)]
        if not found:
            raise gdb.GdbError(f"{self.usage.split()[0]}: there is no {kind} {which}")
        return found


class Help(Command):
    """this list"""

    usage = "k-help"

    def run(self):
        for one in COMMANDS:
            print(f"{one.usage:18} {one.__doc__.splitlines()[0]}")


class Start(Command):
    """run to kernel_main, from which on breakpoints can be set"""

    usage = "k-start"

    def run(self):
        # A hardware breakpoint: at reset the kernel's addresses are not mapped.
        gdb.execute("thbreak kernel_main")
        gdb.execute("continue")


class ShowPage(Command):
    """a page: its state, its block, the cache that holds it"""

    usage, least, most = "k-page PFN", 1, 1

    def run(self, pfn):
        page = Page(number(pfn))
        print(f"pfn {number(pfn):#x}: {page.line()}")
        if page.state in ("FREE", "PCP") and page.order:
            print(f"  its block: {page.head:#x}-{page.head + (1 << page.order):#x}")
        if page.state == "PCP":
            found = cached_by(page.head)
            said = f"CPU {found[0]}: {stack_name(found[1])}" if found else "no CPU: in transit"
            print(f"  in the cache of {said}")
        owner = int(page.page["owner"])
        if page.state == "MOVABLE_OPS":
            isolate = number(f"((struct movable_owner *){owner})->ops->isolate")
            print(f"  its owner isolates it by {symbol_of(isolate)}")
        elif page.state in ("OBJECT", "LRU", "ISO_MIG", "SLAB"):
            index, mapped = int(page.page["index"]), int(page.page["mapcount"])
            print(f"  owner {owner:#x}, index {index}, mapped {mapped} times")
        zone = int(page.pageblock["zone"])
        print(f"  pageblock {page.block:#x}: {page.block_state}, {page.type}, zone {zone}")


class ShowBlock(Command):
    """the pageblock of a page: its state, and its pages by state"""

    usage, least, most = "k-block PFN", 1, 1

    def run(self, pfn):
        page = Page(number(pfn))
        start, counts = page.block * page.pages, {}
        span = f"{start:#x}-{start + page.pages:#x}"
        print(f"pageblock {page.block:#x}: pfn {span}, {page.block_state}, {page.type}")
        zone, free, broken = (int(page.pageblock[n]) for n in ("zone", "nr_free", "nr_poisoned"))
        print(f"  zone {zone}, {free} pages free, {broken} broken")
        if page.block_state != "online":
            return
        at = start
        while at < start + page.pages:
            one = Page(at)
            pages = 1 if one.state == "TAIL" else 1 << one.order
            name = f"{one.state} order {one.order}"
            counts.setdefault(name, [0, at])[0] += 1
            at += pages
        for name, (nr, first) in sorted(counts.items()):
            print(f"  {nr:3} {name}, the first at {first:#x}")


class ShowZone(Command):
    """a zone, or all: span, free memory, watermarks"""

    usage, most = "k-zone [N]", 1

    def run(self, which=None):
        for i, zone in self.chosen(zones(memory()), which, "zone"):
            kind = enum("zone_kind", int(zone["kind"]), "ZONE_")
            span = f"{int(zone['start_pfn']):#x}-{int(zone['end_pfn']):#x}"
            print(f"zone {i}: node {int(zone['node'])} {kind}, pfn {span}")
            present, managed, free, isolated, depth = (
                int(zone[n]) for n in ("present", "managed", "nr_free", "nr_isolated", "pcp_depth")
            )
            print(f"  pages: present {present} managed {managed} free {free}")
            marks = " ".join(str(int(zone["wmark"][w])) for w in range(3))
            said = f"pageblocks isolated {isolated}; caches disabled {depth} times"
            print(f"  watermarks {marks}; {said}")


class ShowCaches(Command):
    """what a CPU caches, or all: stacks that hold something"""

    usage, most = "k-pcp [CPU]", 1

    def run(self, which=None):
        mem = memory()
        caches = [(cpu, mem["pcp"][cpu]) for cpu in range(int(mem["nr_cpus"]))]
        for cpu, pcp in self.chosen(caches, which, "CPU"):
            stacks = used_stacks(pcp)
            print(f"cpu {cpu}: " + ("nothing cached" if not stacks else "cached, of the capacity"))
            for stack in stacks:
                top, limit = (stack_size(pcp, stack, end) for end in ("top", "limit"))
                print(f"  {top:4} of {limit:4}  {stack_name(stack)}")


class ShowCpus(Command):
    """each CPU: its thread, its place, its interrupts"""

    usage = "k-cpus"

    def run(self):
        here = gdb.selected_thread()
        for vcpu in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num):
            vcpu.switch()
            cpu, frame = vcpu.num - 1, gdb.newest_frame()
            flags = int(frame.read_register("eflags").format_string(format="x"), 16)
            queue = value("runqs")
            thread = queue[cpu]["running"] if int(queue) else 0
            name = name_of(thread) if int(thread) else "?"
            irqs = "on" if flags & 0x200 else "off"
            print(f"cpu {cpu}: {name}, interrupts {irqs}, in {symbol_of(int(frame.pc()))}")
        here.switch()


class ShowThreads(Command):
    """all threads: state, CPU, place; with NAME its stack"""

    usage, most = "k-threads [NAME]", 1

    def run(self, which=None):
        on = {number(f"runqs[{cpu}].running"): cpu for cpu in range(number("nr_cpus"))}
        known = set()
        for address, thread in sorted(all_threads().items()):
            name = name_of(thread)
            known.add(name)
            if which not in (None, name):
                continue
            if address in on:
                print(f"{name:20} runs on CPU {on[address]}")
                continue
            places = [symbol_of(pc) for pc in frames(thread)][:FRAMES]
            state = THREAD_STATES[int(thread["state"])]
            where = next((p for p in places if not p.startswith(INNER)), "?")
            print(f"{name:20} {state:8} CPU {int(thread['cpu'])}  in {where}")
            for place in places if which else ():
                print(f"    {place}")
        if which and which not in known:
            raise gdb.GdbError(f"no thread {which}; k-threads lists them")


class ShowLocks(Command):
    """spin locks that CPUs hold; sleeping locks that are held"""

    usage = "k-locks"

    def run(self):
        none = int(value("&lock_none"))
        for cpu in range(number("nr_cpus")):
            names, lock = [], value(f"cpus[{cpu}]")["top_lock"]
            while int(lock) not in (0, none):
                name = lock["name"].string(errors="replace") if int(lock["name"]) else ""
                names.append(name or f"{int(lock):#x}")
                lock = lock["under"]
            print(f"cpu {cpu}: " + (" inside ".join(names) or "no spin lock"))
        free = 0
        for name, lock in sleeping_locks():
            count = int(lock["count"])
            free += not count
            if count:
                how = "held" if count == EXCLUSIVE else f"shared by {count}"
                waiting = [name_of(t) for t in sleepers(lock["wq"])]
                print(f"{name}: {how}" + ("; waiting: " + ", ".join(waiting) if waiting else ""))
        print(f"{free} sleeping locks are free")


class ShowHistory(Command):
    """what was recorded of a page, or of all: the newest 16"""

    usage, most = "k-history [PFN]", 1

    def run(self, pfn=None):
        wanted, hits, mem = None if pfn is None else number(pfn), [], memory()
        for cpu in range(int(mem["nr_cpus"])):
            ring = mem["pcp"][cpu]["ring"]
            if not int(ring):
                continue
            size = ring["rec"].type.sizeof // ring["rec"][0].type.sizeof
            end = int(ring["next"])
            for at in range(max(0, end - size), end):
                rec = ring["rec"][at % size]
                first, order = int(rec["pfn"]), int(rec["order"])
                nr = max(int(rec["blocks"]), 1) << (order & 15)
                if wanted is None or first <= wanted < first + nr:
                    hits.append((int(rec["time"]), cpu, int(rec["kind"]), first, order))
        if not hits:
            print("nothing recorded; CMDLINE=history=all records every allocation and free")
        hits = sorted(hits)[-16:]
        for time, cpu, kind, first, order in hits:
            ago = (hits[-1][0] - time) // 1000
            print(f"  {-ago:9} kcycles  cpu {cpu:<3} {enum('trace_kind', kind, 'TR_'):8} "
                  f"pfn {first:#x} order {order}")


class ShowLog(Command):
    """the last lines that the kernel printed: 20 unless told"""

    usage, most = "k-log [LINES]", 1

    def run(self, lines="20"):
        if number(lines) <= 0:
            raise gdb.GdbError("usage: " + self.usage)
        log = value("'kernel/printk.c'::printed")
        size, end = int(log["size"]), int(log["end"])
        if not end:
            print("the kernel has printed nothing yet")
            return
        data = bytes(gdb.selected_inferior().read_memory(int(log["bytes"]), size))
        data = data[end % size :] + data[: end % size] if end > size else data[:end]
        said = data.decode(errors="replace").replace("\r", "").rstrip("\n").split("\n")
        print("\n".join(said[-number(lines) :]))


class Type(Command):
    """type at Quarry's prompt; it runs as the machine continues"""

    usage, least, most = "k-type WORD ...", 1, 99
    console = None

    def run(self, *words):
        if not self.console:
            self.console = socket.socket(socket.AF_UNIX)
            self.console.connect(os.environ["QUARRY_SOCKET"])
            # Output of the kernel that nothing reads would stop the console; the log has it anyway.
            threading.Thread(target=self.drain, daemon=True).start()
        self.console.sendall((" ".join(words) + "\r").encode())

    def drain(self):
        while self.console.recv(4096):
            pass


for command in Command.__subclasses__():
    command()
for setting in ("pagination off", "confirm off", "print pretty on", "python print-stack message"):
    gdb.execute("set " + setting)
