# SPDX-License-Identifier: MIT
"""An NMI or a machine check at an instruction of syscall_entry where the stack pointer is still, or
again, the program's. A program may set it to an address in the CPU's own stack for NMIs or machine
checks: the handler must not take it for the place of an interrupted handler. Nor may it follow the
frame pointer, which is the program's there, too.

gdb stops the CPU there, sets both pointers, and raises the exception."""
import os
import re
import socket
import subprocess

import outer_make
import pytest
import qemu
from conftest import needs_tool

pytestmark = needs_tool("debug")

# The place of each stack of the boot CPU among boot_ist_stacks; the exception, as typed at QEMU's
# monitor; its vector.
EXCEPTIONS = {
    "nmi": (1, "nmi", 2),
    "mc": (3, "mce 0 0 0xbd00000000000000 0x5 0x1000 0x8c", 18),
}
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
    path = os.path.join(qemu.BUILD, "qemu", f"nested-{exception}-{place}.gdb")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(script(exception, place))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        ["sh", "tools/run/debug.sh", os.path.relpath(qemu.BUILD, qemu.ROOT)],
        cwd=qemu.ROOT,
        env=outer_make.env(
            GDB_FLAGS=f"-batch -x {path}",
            PORT=str(port),
            CPUS="1",
            NODES="1",
            CMDLINE="selftest=none tour=off monitor=off user=hello",
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=qemu.WATCHDOG,
    )
    vector = EXCEPTIONS[exception][2]
    assert re.search(rf"^vector {vector}: 1 1$", done.stdout, re.MULTILINE), done.stdout
    if exception == "nmi":  # its handler prints a backtrace, and the program goes on
        assert re.search(r"^goes on: 1$", done.stdout, re.MULTILINE), done.stdout
