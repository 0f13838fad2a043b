#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measure the page allocator of Debian's kernel again, beside ours; `make bench-peers`.

The kernel and what compiles a module for it come from the distribution, with apt, and stay in
BUILD/peers: nothing is installed.  The module (bench/peers/pages.c) counts under QEMU's icount, as
the kernel's own figures are counted (bench.py).  The table has our recorded figure, Debian's as
bench/peers.json has it, and Debian's as measured now; --record writes these to bench/peers.json.
Figures of mapped memory that goes offline, and of traces, are not measured again.
"""
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import bench_report
from bench_report import Failed
import qemu

FOLDER = os.path.join(qemu.ROOT, "bench", "peers")
COLUMN = "Debian"
# Without mitigations of CPU bugs and without clearing pages: Quarry has neither.
COMMAND_LINE = (
    "console=ttyS0 loglevel=7 mitigations=off init_on_alloc=0 page_alloc.shuffle=0 nokaslr panic=-1"
)
MIB = 512


def said(*command, cwd=None):
    if not shutil.which(command[0]):
        raise Failed(f"{command[0]}: not found: this target needs Debian's tools")
    return bench_report.said(*command, what=" ".join(command), cwd=cwd)


# ---- packages ------------------------------------------------------------------------------------


def depends(package, pattern):
    """The first package that @package depends on and whose name matches @pattern."""
    found = re.findall(rf"Depends: ({pattern})$", said("apt-cache", "depends", package), re.M)
    if not found:
        raise Failed(f"{package}: depends on no {pattern}: is this Debian, with package lists?")
    return found[0]


def packages():
    """(the kernel's release, the names of its package and of those needed to build a module)"""
    image = depends("linux-image-amd64", r"linux-image-\d\S*-amd64")
    release = image.removeprefix("linux-image-")
    headers = f"linux-headers-{release}"
    common = depends(headers, r"linux-headers-\S+-common")
    return release, [image, headers, common, depends(headers, r"linux-kbuild-\S+")]


def unpack(build):
    """(release, version, folder) of the packages, unpacked in BUILD/peers."""
    release, names = packages()
    version = re.search(r"^Version: (\S+)$", said("apt-cache", "show", names[0]), re.M).group(1)
    folder = os.path.abspath(os.path.join(build, "peers", f"{release}_{version}"))
    if os.path.exists(os.path.join(folder, "whole")):
        return release, version, folder
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "debs"))
    print(f"bench-peers: fetching {names[0]} {version} and its headers ...", flush=True)
    said("apt-get", "download", *names, cwd=os.path.join(folder, "debs"))
    for name in os.listdir(os.path.join(folder, "debs")):
        said("dpkg", "-x", os.path.join(folder, "debs", name), folder)
    shutil.rmtree(os.path.join(folder, "debs"))
    # The Makefile of the headers includes the common headers by their installed path.
    path = os.path.join(folder, "usr/src", f"linux-headers-{release}", "Makefile")
    rooms.write(path, rooms.read(path).replace("/usr/src/", f"{folder}/usr/src/"))
    rooms.write(os.path.join(folder, "whole"), "")
    return release, version, folder


# ---- the run -------------------------------------------------------------------------------------


def archive(build, release, folder):
    """An initial file system with the module and the program that loads it."""
    work = os.path.join(folder, "module")
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    shutil.copy(os.path.join(FOLDER, "pages.c"), work)
    rooms.write(os.path.join(work, "Makefile"), "obj-m := pages.o\n")
    headers = os.path.join(folder, "usr/src", f"linux-headers-{release}")
    env = [f"-u{name}" for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "B", "CC", "V")]
    said("env", *env, "make", "-C", headers, f"M={work}", "modules")
    init = os.path.join(work, "init")
    said("gcc", "-O2", "-Wall", "-static", "-o", init, os.path.join(FOLDER, "init.c"))
    path = os.path.join(build, "peers", "initrd.cpio")
    members = [f"init={init}", f"pages.ko={os.path.join(work, 'pages.ko')}"]
    said("sh", rooms.tool("mkcpio.sh"), path, *members)
    executable(path)
    return path


def executable(path):
    """Set mode 755 on the archive's first file, which is the program."""
    with open(path, "r+b") as f:
        f.seek(14)
        f.write(b"000081ED")


def boot(build, release, folder):
    """Boot the kernel; returns the text of its console."""
    initrd = archive(build, release, folder)
    console = os.path.join(build, "peers", "console.log")
    command = "qemu-system-x86_64 -nodefaults -display none -no-reboot -cpu qemu64".split()
    command += "-accel tcg,thread=single -icount shift=0,align=off,sleep=off".split()
    command += "-object memory-backend-ram,id=m,size=128M -device pc-dimm,memdev=m".split()
    command += ["-m", f"{MIB}M,slots=4,maxmem=4G", "-serial", f"file:{console}"]
    command += ["-kernel", os.path.join(folder, "boot", f"vmlinuz-{release}")]
    command += ["-initrd", initrd, "-append", COMMAND_LINE]
    rooms.write(os.path.abspath(console), "")  # not the text of an earlier run
    try:
        subprocess.run(command, check=False, timeout=qemu.WATCHDOG)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"QEMU did not end; console: {console}") from error
    return rooms.read(os.path.abspath(console))


def figures(console):
    """{name: value} of the figures that the module printed."""
    if "peer: end" not in console or "peer: over" not in console:
        tail = "\n  ".join(console.split("\n")[-20:])
        raise Failed(f"the module did not finish\n  {tail}")
    found = re.findall(r"peer: (\w+) (\d+) (\d+)", console)
    return {name: round(int(total) / int(count), 2) for name, total, count in found}


# ---- the table -----------------------------------------------------------------------------------


def table(now, peers, ours):
    rows = [("", "Quarry", COLUMN, "now")]
    for name, value in now.items():
        was = peers["rows"].get(name, {}).get(COLUMN, {}).get("value")
        cells = [ours.get(name), was, value]
        rows.append((name, *("" if c is None else bench_report.number(c) for c in cells)))
    bench_report.print_rows(rows)


def record(now, peers, how):
    for name, value in now.items():
        row = peers["rows"].setdefault(name, {})
        value = int(value) if value == int(value) else value
        row[COLUMN] = {"value": value, "how": how}
    bench_report.write_json(bench_report.PEERS, peers)
    print(f"bench-peers: recorded in {bench_report.PEERS}")


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--record", action="store_true", help="write them to bench/peers.json")
    args = parser.parse_args()
    try:
        release, version, folder = unpack(args.build)
        now = figures(boot(args.build, release, folder))
    except Failed as error:
        print(f"bench-peers: {error}")
        return 1
    history = bench_report.read_history()
    peers = bench_report.read_peers()
    table(now, peers, history[-1]["figures"] if history else {})
    how = (
        f"counted by a kernel module (bench/peers/pages.c), icount, 1 CPU, {MIB} MiB; "
        f"Debian's {version} with mitigations=off init_on_alloc=0"
    )
    out = os.path.join(args.build, "bench-peers.json")
    bench_report.write_json(out, {"column": COLUMN, "how": how, "figures": now})
    print(f"bench-peers: {len(now)} figures of Debian's {version}: {out}")
    if args.record:
        record(now, peers, how)
    return 0


if __name__ == "__main__":
    rooms.run(main)
