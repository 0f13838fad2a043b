# SPDX-License-Identifier: MIT
"""gdb commands that show Quarry's memory, threads and locks; `make debug` loads this into gdb.

They read the memory of a machine that is stopped, so what they show is consistent.  Each command is
a class; the first line of its documentation is its line in k-help.
"""
import os
import socket
import sys
import threading

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gdb_read import (
    Page, all_threads, bytes_at, cached_by, enum, frames, kind_of, memory, name_of, number,
    running, sleepers, sleeping_locks, stack_name, stack_size, symbol_of, text_of, used_stacks,
    value, zones,
)

THREAD_STATES = ("ready", "sleeping", "dead")
EXCLUSIVE = 0xFFFFFFFF  # the count of a sleeping lock that one thread holds
FRAMES = 12  # most frames of a thread's stack that are shown
COMMANDS = []
# Functions that every waiting thread is in: none of them tells its place.
INNER = ("give_cpu", "sched_", "sleep_", "wait_until", "thread_sleep")


# ---- the commands --------------------------------------------------------------------------------


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
            kind = gdb.lookup_type("struct movable_owner").pointer()
            ops = page.page["owner"].cast(kind)["ops"]
            print(f"  its owner isolates it by {symbol_of(int(ops['isolate']))}")
        elif page.state in ("OBJECT", "LRU", "ISO_MIG", "SLAB"):
            print(f"  owner {owner:#x}, index {int(page.page['index'])}, "
                  f"mapped {int(page.page['mapcount'])} times")
        print(f"  pageblock {page.block:#x}: {page.block_state}, {page.type}, "
              f"zone {int(page.pageblock['zone'])}")


class ShowBlock(Command):
    """the pageblock of a page: its state, and its pages by state"""

    usage, least, most = "k-block PFN", 1, 1

    def run(self, pfn):
        page = Page(number(pfn))
        start, counts = page.block * page.pages, {}
        print(f"pageblock {page.block:#x}: pfn {start:#x}-{start + page.pages:#x}, "
              f"{page.block_state}, {page.type}")
        print(f"  zone {int(page.pageblock['zone'])}, {int(page.pageblock['nr_free'])} pages free, "
              f"{int(page.pageblock['nr_poisoned'])} broken")
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
            print(f"zone {i}: node {int(zone['node'])} {kind_of(zone)}, "
                  f"pfn {int(zone['start_pfn']):#x}-{int(zone['end_pfn']):#x}")
            print(f"  pages: present {int(zone['present'])} managed {int(zone['managed'])} "
                  f"free {int(zone['nr_free'])}")
            marks = " ".join(str(int(zone["wmark"][w])) for w in range(3))
            print(f"  watermarks {marks}; pageblocks isolated {int(zone['nr_isolated'])}; "
                  f"caches disabled {int(zone['pcp_depth'])} times")


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
                print(f"  {stack_size(pcp, stack, 'top'):4} of "
                      f"{stack_size(pcp, stack, 'limit'):4}  {stack_name(stack)}")


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
            print(f"cpu {cpu}: {name}, interrupts {'on' if flags & 0x200 else 'off'}, "
                  f"in {symbol_of(int(frame.pc()))}")
        here.switch()


class ShowThreads(Command):
    """all threads: state, CPU, place; with NAME its stack"""

    usage, most = "k-threads [NAME]", 1

    def run(self, which=None):
        on, known = running(), set()
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
                names.append(text_of(lock["name"]) or f"{int(lock):#x}")
                lock = lock["under"]
            print(f"cpu {cpu}: " + (" inside ".join(names) or "no spin lock"))
        free = 0
        for name, lock in sleeping_locks():
            count = int(lock["count"])
            free += not count
            if count:
                how = "held" if count == EXCLUSIVE else f"shared by {count}"
                waiting = [name_of(t)
                           for t in sleepers(lock["wq"])]
                print(f"{name}: {how}" + ("; waiting: " + ", ".join(waiting) if waiting else ""))
        print(f"{free} sleeping locks are free")


class ShowHistory(Command):
    """what was recorded of a page, or of all: the newest 16"""

    usage, most = "k-history [PFN]", 1

    def run(self, pfn=None):
        wanted, hits = None if pfn is None else number(pfn), []
        mem = memory()
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
        data = bytes_at(int(log["bytes"]), size)
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


for command in (Help, Start, ShowPage, ShowBlock, ShowZone, ShowCaches, ShowCpus, ShowThreads,
                ShowLocks, ShowHistory, ShowLog, Type):
    command()
for setting in ("pagination off", "confirm off", "print pretty on", "python print-stack message"):
    gdb.execute("set " + setting)
