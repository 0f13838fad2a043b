# SPDX-License-Identifier: MIT
"""The way into the kernel and back by SYSCALL and SYSRET, with gdb at single instructions.

SYSRET as AMD's processors perform it. They load SS with STAR[63:48] + 8 and leave its RPL as it is
(APM vol. 3, SYSRET); QEMU sets the RPL to 3, as Intel's processors do. Here gdb reads what the
kernel writes to STAR. After each SYSRET gdb gives SS the value that an AMD processor would give it.

An NMI or a machine check at an instruction of syscall_entry where the stack pointer is still, or
again, the program's. A program may set it to an address in the CPU's own stack for NMIs or machine
checks: the handler must not take it for the place of an interrupted handler. Nor may it follow the
frame pointer, which is the program's there, too."""
import os
import re

import pytest
import qemu
import rooms
from conftest import full, gdb_says, needs_tool

BOOTS = "single"
pytestmark = needs_tool("debug")
# Give SS its AMD value after each SYSRET. A SYSRET is the last instruction of syscall_entry.
GDB = """
set pagination off
set confirm off
python
import gdb
gdb.execute("target remote {socket}")
gdb.Breakpoint("*user_init_cpu", type=gdb.BP_HARDWARE_BREAKPOINT, temporary=True)
gdb.execute("continue")
value = lambda text: int(gdb.parse_and_eval(text))
WRMSR, STAR = 0x300f, 0xc0000081
while value("*(unsigned short *)$rip") != WRMSR or value("(unsigned)$ecx") != STAR:
    gdb.execute("stepi")
ss = (value("(unsigned)$edx") >> 16) + 8 & {mask}
sysret = value("(unsigned long)&syscall_entry_end") - 3
gdb.Breakpoint(f"*{{sysret}}", type=gdb.BP_HARDWARE_BREAKPOINT)
calls = 0
try:
    while calls < {most}:
        gdb.execute("continue")
        gdb.execute("stepi")
        if value("$cs & 3"):  # else its target has faulted already
            gdb.execute(f"set $ss = {{ss}}")
        calls += 1
    gdb.execute("delete")
    gdb.execute("detach")
except gdb.error:  # the machine has ended
    pass
print(f"SYSRET was performed {{calls}} times, SS {{ss:#x}}")
end
"""


def run_with_gdb(name, boot, program, most, mask):
    """Run a program; SS after each of its first @most SYSRETs is as an AMD processor leaves it,
    with the bits of @mask. Returns the run, and what gdb said."""
    base = os.path.join(os.path.abspath(qemu.BUILD), "qemu", name)
    socket, script = os.path.relpath(base + ".gdb.sock"), base + ".gdb"
    os.makedirs(os.path.dirname(base), exist_ok=True)
    with open(script, "w", encoding="utf-8") as f:
        f.write(GDB.format(socket=socket, most=most, mask=mask))

    def attach(_):
        done = rooms.call(
            ["gdb", "-q", "-nx", "-batch", "-x", script, os.path.join(qemu.BUILD, "quarry.elf")],
            cwd=None, timeout=qemu.WATCHDOG
        )
        with open(base + ".gdb.log", "w", encoding="utf-8") as f:
            f.write(done.stdout)

    stub = ["-S", "-chardev", f"socket,id=gdb,path={socket},server=on,wait=off"]
    stub += ["-gdb", "chardev:gdb"]
    run = boot(f"selftest=none user={program}", cpus=1, programs=True, talk=attach, extra=stub)
    with open(base + ".gdb.log", encoding="utf-8") as f:
        return run, f.read()


@pytest.mark.parametrize(
    "program, least, most", (("abi", 200, 100000), full("hostile", 10000, 10000))
)
def test_amd(name, boot, program, least, most):
    """A program's calls and the interrupts between them work as well. At most the first @most calls
    return in this way, because each takes four milliseconds."""
    run, said = run_with_gdb(name, boot, program, most, 0xFFFF)
    assert run.passed, run.story() + said[-2000:]
    counted = re.search(r"SYSRET was performed (\d+) times, SS 0x1b", said)
    assert counted and int(counted.group(1)) >= least, said[-2000:]


def test_fault_of_the_return_to_ring_3(name, boot):
    """The last instruction of a return to ring 3 faults in the kernel, but with ring 3's GS base.
    Such a fault is reported as what it is: here ring 3 had an SS without RPL."""
    run, said = run_with_gdb(name, boot, "abi", 100000, 0xFFFC)
    assert "SS 0x18" in said, said[-2000:]
    assert re.search(r"exception 13, general protection, in thread \w+\n", run.text), run.story()
    assert "double fault" not in run.text


# The place of each stack of the boot CPU among boot_ist_stacks; the exception, as typed at QEMU's
# monitor; its vector.
EXCEPTIONS = {"nmi": (1, "nmi", 2), "mc": (3, "mce 0 0 0xbd00000000000000 0x5 0x1000 0x8c", 18)}
GUARD = "0xffffd00000000000"  # the guard page of the first kernel stack
# An address relative to the symbol: the first instruction; the first with the program's RSP on the
# way back is the last swapgs.
PLACES = {"entry": "syscall_entry", "exit": "syscall_entry_end - 6"}


def script(exception, place):
    stack, command, vector = EXCEPTIONS[exception]
    return f"""set pagination off
hbreak *({PLACES[place]})
continue
delete
set $rsp = (unsigned long)boot_ist_stacks + {stack} * 8192 - 8
set $rbp = {GUARD}
set $at = $rip
set $chosen = $rsp
monitor {command}
hbreak trap_dispatch
continue
printf "vector %lu: %d %d\\n", $rdi ? ((struct trap_frame *)$rdi)->vector : 0, \\
    ((struct trap_frame *)$rdi)->rip == $at, ((struct trap_frame *)$rdi)->rsp == $chosen
delete
hbreak *$at
hbreak panic_begin
continue
printf "goes on: %d\\n", $rip == $at
kill
"""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("exception", EXCEPTIONS)
def test_the_stack_pointer_of_a_program_is_not_trusted(exception, place):
    words = "selftest=none tour=off monitor=off user=hello"
    log = f"nested-{exception}-{place}"
    said = gdb_says(script(exception, place), log, CPUS="1", NODES="1", CMDLINE=words)
    vector = EXCEPTIONS[exception][2]
    assert re.search(rf"^vector {vector}: 1 1$", said, re.MULTILINE), said
    if exception == "nmi":  # its handler prints a backtrace, and the program goes on
        assert re.search(r"^goes on: 1$", said, re.MULTILINE), said
