# SPDX-License-Identifier: MIT
"""Make plugins of QEMU (qemu_yield.c, qemu_count.c) for the QEMU that is here.

QEMU has changed the interface: a source asks for PLUGIN_API, and takes 1 (QEMU 4 to 8), 3 (9.1 and
later) and 7 (11.1, which takes nothing older).
"""
import os
import subprocess

APIS = (1, 3, 7)
FLAGS = ["-O2", "-Wall", "-Wextra", "-Wno-unused", "-shared", "-fPIC"]
FLAGS += ["-I" + os.path.dirname(__file__)]
REFUSES = "qemu_plugin_install returned"  # it was loaded, and misses its own options
# A machine that ends at once.
MACHINE = "qemu-system-x86_64 -machine none -nodefaults -display none -accel tcg -monitor stdio"


def make(source, path):
    """Make the plugin; the reason if this QEMU loads it with none of APIS, and then the file is
    empty.  Another process may make it at the same time."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = f"{path[:-3]}-{os.getpid()}.so"
    compiler = os.environ.get("HOSTCC", "gcc").split()
    for api in APIS:
        why = failure([*compiler, *FLAGS, f"-DPLUGIN_API={api}", "-o", new, source])
        why = why or failure([*MACHINE.split(), "-plugin", new])
        if not why or REFUSES in why:
            why = ""
            break
    else:
        open(new, "wb").close()
    os.replace(new, path)
    return why


def failure(command):
    """What a command says if it fails; "" if it does not."""
    try:
        done = subprocess.run(command, input=b"quit\n", capture_output=True, check=False)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
    return (said or f"{command[0]}: status {done.returncode}") if done.returncode else ""
