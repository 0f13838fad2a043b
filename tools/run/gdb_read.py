# SPDX-License-Identifier: MIT
"""Read Quarry's memory, threads and locks in gdb; for quarry_gdb.py."""
import gdb

TYPES = ("unmovable", "movable", "reclaimable", "cma")
NR_CACHED_TYPES = 3
BLOCK_STATES = ("hole", "offline", "online", "?")
FLAGS = "locked dirty referenced active uptodate unevictable broken has-broken".split()
BOOT_STACK = 1 << 16  # most bytes of the boot CPU's stack, on which the first thread runs


# ---- reading -------------------------------------------------------------------------------------


def value(text):
    return gdb.parse_and_eval(text)


def number(text):
    return int(value(text))


def enum(name, n, prefix):
    """The name of @n in an enum, without its prefix."""
    for field in gdb.lookup_type("enum " + name).fields():
        if field.enumval == n:
            return field.name[len(prefix) :]
    return str(n)


def text_of(pointer):
    """A string of the kernel; "" for NULL."""
    return pointer.string(errors="replace") if int(pointer) else ""


def symbol_of(address):
    """NAME+OFFSET, as a backtrace has it."""
    said = gdb.execute(f"info symbol {address:#x}", to_string=True)
    found = said.startswith("No symbol")
    return f"{address:#x}" if found else said.split(" in section")[0].replace(" + ", "+").strip()


def bytes_at(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def name_of(thread):
    """The name of a thread or a task."""
    return thread["name"].string(errors="replace")


def word_at(address):
    return int(gdb.Value(address).cast(gdb.lookup_type("unsigned long").pointer()).dereference())


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


def kind_of(zone):
    return enum("zone_kind", int(zone["kind"]), "ZONE_")


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
    return int(gdb.parse_and_eval("sizeof(((struct zone *)0)->pcp_limit) / sizeof(u16)"))


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
    found = {}

    def add(thread):
        if int(thread):
            found[int(thread)] = thread

    for cpu in range(number("nr_cpus")):
        queue = value(f"runqs[{cpu}]")
        add(queue["running"])
        add(queue["idle"])
        for name in ("first", "ready"):
            for share in listed(queue[name], "link"):
                for thread in listed(share["threads"], "link"):
                    add(thread)
        for thread in listed(queue["alarms"], "alarm_link"):
            add(thread)
    for task in listed(value("'kernel/task.c'::tasks"), "link"):
        for thread in listed(task["threads"], "task_link"):
            add(thread)
    for _, queue in wait_queues():
        for entry in sleepers(queue):
            add(entry)
    return found


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
        for name in ("wake", "served"):
            found.append((f"reclaim {i} {name}", mem["nodes"][i]["reclaim"][name]))
    found += [(f"standby {name}", mem["standby"][name]) for name in ("wake", "served")]
    return [*found, ("oom", mem["oom"]["wq"])]


def frames(thread):
    """The return addresses on the stack of a thread that is not running, innermost first."""
    sp = int(thread["sp"])
    if not sp:
        return
    top = int(thread["stack_top"]) or sp + BOOT_STACK
    yield word_at(sp)
    frame = word_at(sp + 8)
    while sp < frame < top:
        yield word_at(frame + 8)
        sp, frame = frame, word_at(frame)


def running():
    """{address of a thread: the CPU that runs it}"""
    return {int(value(f"runqs[{cpu}].running")): cpu for cpu in range(number("nr_cpus"))}
