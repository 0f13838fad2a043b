#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot the ISO image in Bochs, another implementation of the hardware, and judge it by its console;
`make test-bochs`.

Each run below is one test.  The output of Bochs and the kernel is kept in BUILD/bochs/NAME.*.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import needs
import qemu

# Bochs executes this number of instructions in a second of guest time, however long they take.
# The firmware and GRUB wait in guest time: a lower number shortens their waits.
IPS = 50_000_000
SHARE = ["/usr/share/bochs", "/usr/local/share/bochs"]
SETTINGS = """\
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1, iodebug=0
config_interface: textconfig
display_library: sdl2
memory: guest=256, host=256
cpu: model=corei7_haswell_4770, count={cpus}, ips={ips}, quantum=16, reset_on_triple_fault=0
romimage: file={share}/BIOS-bochs-latest
vgaromimage: file={share}/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={name}.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={name}.com1
pci: enabled=1, chipset=i440fx
clock: sync=none
log: {name}.bochs
panic: action=fatal
"""
# {name: (CPUs, the kernel's command line, patterns of required output)}.  The chosen suites send
# interrupts.
RUNS = {
    "x2apic": (
        4,
        "selftest=init,smp,drain,disable,isolation,offline,hotplug,task,text tour=off monitor=off"
        " apic=x2apic",
        [r"^apic: x2APIC mode$", r"^screen: 1024 by 768 pixels, 128 by 48 characters$"],
    ),
    "xapic": (
        2,
        "selftest=init,smp,drain,offline tour=off monitor=off apic=xapic console=serial",
        [r"^apic: xAPIC mode$"],
    ),
}


def boot(folder, name, cpus):
    """Boot NAME.iso in @folder: (the console's text, seconds)."""
    share = next(
        (s for s in SHARE if os.path.exists(os.path.join(s, "BIOS-bochs-latest"))), SHARE[0]
    )
    settings = SETTINGS.format(cpus=cpus, ips=IPS, share=share, name=name)
    rooms.write(os.path.join(folder, name + ".rc"), settings)
    # Debian's Bochs has a built-in debugger, which waits for the command to continue.
    rooms.write(os.path.join(folder, "go"), "c\n")
    console = os.path.join(folder, name + ".com1")
    if os.path.exists(console):
        os.unlink(console)
    program = shutil.which("bochs-bin") or shutil.which("bochs")
    start = time.monotonic()
    with open(os.path.join(folder, name + ".out"), "wb") as out:
        # Only SIGKILL ends Bochs for sure: at other signals the debugger shows its prompt.
        proc = subprocess.Popen(
            [program, "-q", "-f", name + ".rc", "-rc", "go"],
            **{"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": out, "stderr": out},
            env=dict(os.environ, SDL_VIDEODRIVER="dummy"),
            preexec_fn=qemu._die_with_parent,
        )
        try:
            while proc.poll() is None and time.monotonic() - start < qemu.WATCHDOG:
                if re.search(r"^quarry: (PASS|FAIL)$", qemu.clean_log(console)[0], re.MULTILINE):
                    break
                time.sleep(0.1)
        finally:
            if proc.poll() is None:
                proc.send_signal(signal.SIGKILL)
            proc.wait()
    return qemu.clean_log(console)[0], time.monotonic() - start


def judge(name, text, cpus, patterns):
    """The fault of a run, or None."""
    passed, failed, _, names = qemu.ktap_counts(text)
    if failed:
        return "failed: " + " ".join(names)
    if not passed or not re.search("^quarry: PASS$", text, re.MULTILINE):
        return "no pass" + (qemu.in_test(text) and f": ended{qemu.in_test(text)}")
    online = rf"^machine: {cpus} CPUs online of {cpus}, 1 node, "
    for pattern in (online, "^boot: by multiboot2, ", *patterns):
        if not re.search(pattern, text, re.MULTILINE):
            return f"nothing matches /{pattern}/"
    return None


def run(counts, build, name):
    cpus, cmdline, patterns = RUNS[name]
    folder = os.path.abspath(os.path.join(build, "bochs"))
    os.makedirs(folder, exist_ok=True)
    iso, kernel = os.path.join(folder, name + ".iso"), os.path.join(build, "quarry.elf")
    words = ["sh", rooms.tool("mkiso.sh"), iso, kernel, cmdline + " report=all"]
    if subprocess.run(words, cwd=qemu.ROOT).returncode:
        counts.one(False, f"bochs: {name}: no image")
        return
    text, seconds = boot(folder, name, cpus)
    wrong = judge(name, text, cpus, patterns)
    tests = qemu.ktap_counts(text)[0]
    said = f"{cpus} CPUs, {tests} tests passed, {seconds:.1f} s"
    print(f"  {'not ok' if wrong else 'ok'} bochs {name}: {said}", flush=True)
    if wrong:
        print(f"    {wrong}; all that was said is in {folder}/{name}.com1 and .bochs; the end:")
        print("    " + "\n    ".join(text.rstrip().split("\n")[-30:]))
    counts.one(not wrong, f"bochs: {name}: {wrong}")


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--only", help="runs, with commas: " + ",".join(RUNS))
    args = parser.parse_args()
    counts, start = check.Counts(), time.monotonic()
    for name in rooms.chosen(parser, args.only, RUNS, "run"):
        if needs.why("bochs"):
            counts.left_out("bochs", needs.why("bochs"))
        else:
            run(counts, args.build, name)
    return counts.close("bochs", start)


if __name__ == "__main__":
    rooms.run(main)
