# SPDX-License-Identifier: MIT
"""Each way to boot, on each kind of machine."""
import re

import pytest

PATHS = ["pvh", "grub", "uefi"]
TRACE = """# events=4 allocs=2 frees=2 ids=2 peak_live_pages=3 cpus=2
a 0 0 U 0
a 1 1 M 1
f 0 1
f 1 0
"""


def machine_line(run, cpus, nodes=1):
    """The kernel's own summary says so too."""
    return run.has(rf"^machine: {cpus} CPUs online of {cpus}, {nodes} nodes?, \d+ MiB managed")


@pytest.mark.long
@pytest.mark.parametrize("path", PATHS)
def test_path(passes, drawn, path):
    threads = "multi" if path == "pvh" else "single"
    run = passes(f"selftest=quick seed={drawn}", boot=path, threads=threads, timeout=180)
    assert machine_line(run, 4), run.story()
    assert run.has("booted by " + ("pvh" if path == "pvh" else "multiboot2")), run.story()


@pytest.mark.parametrize("path", PATHS)
def test_command_line_comes_through(passes, path):
    run = passes("selftest=buddy seed=0xbeefcafe", boot=path)
    assert run.has(r"\(seed 0xbeefcafe\)"), run.story()
    assert run.has(r"^ok 1 buddy") and not run.has("^ok 2"), run.story()


@pytest.mark.parametrize("path", PATHS)
def test_module_comes_through(boot, text_file, path):
    run = boot(
        "selftest=none trace=tiny.trace",
        tour=None,
        boot=path,
        module=text_file("tiny.trace", TRACE),
    )
    assert run.passed, run.story()
    assert run.has(r"^trace tiny\.trace: .*"), run.story()


@pytest.mark.parametrize("cpus", [1, 2, pytest.param(16, marks=pytest.mark.long)])
def test_cpus(passes, drawn, cpus):
    """With 4: test_path."""
    run = passes(f"selftest=quick seed={drawn}", cpus=cpus, mem=512)
    assert machine_line(run, cpus), run.story()


@pytest.mark.long
def test_64_cpus(passes):
    """Each with a thread of the host's: cross-calls and waits.  All of it: test_scale.py."""
    run = passes(
        "selftest=smp,lock,drain,disable,reclaim,isolation,isolation_race,offline,poison_race,tick",
        cpus=64,
        mem=512,
    )
    assert machine_line(run, 64), run.story()


@pytest.mark.parametrize("cpu", ["max", "qemu64", "Nehalem"])
@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_model(passes, machine, cpu):
    assert machine_line(passes(machine=machine, cpu=cpu), 4)


def test_sparse_apic_ids(passes):
    """Three cores a socket: the APIC ids are 0 1 2 4 5 6."""
    run = passes(cpus="6,sockets=2,cores=3")
    assert machine_line(run, 6), run.story()


def test_absent_cpus(passes):
    """CPUs that the MADT lists and that are absent are not waited for."""
    run = passes(cpus="2,maxcpus=4")
    assert run.has(r"^machine: 2 CPUs online of \d+"), run.story()


@pytest.mark.parametrize("mem", [64, 1024, 16384])
def test_memory(passes, mem):
    run = passes(mem=mem)
    managed = int(run.text.split(" MiB managed")[0].split()[-1])
    # Taken by the memmap (1/128), the image and the firmware.
    assert mem * 0.98 - 24 <= managed <= mem, run.story()


@pytest.mark.long
def test_small_uefi(boot):
    """OVMF takes tens of MiB for itself and leaves many holes."""
    run = boot(boot="uefi", mem=128)
    assert run.passed, run.story()


@pytest.mark.parametrize("mem", [4, 16, 24])
def test_too_little_memory(boot, mem):
    run = boot(mem=mem)
    assert run.status != 0, f"a triple fault or a reset\n{run.story()}"
    if mem >= 16 or run.booted:
        assert run.failed, run.story()
        assert run.has(r"only \d+ KiB of RAM; Quarry needs \d+ MiB"), run.story()


def test_first_selftest_comes_soon(boot, report):
    """Measured and reported; the target is 3 s, by PVH with 4 CPUs under TCG."""
    first = r"^  (not )?ok 1 "
    run = boot(cpus=4, mem=1024, markers=("^quarry: boot", first))
    assert run.passed, run.story()
    report(
        f"first selftest {run.when[first]:.2f} s after QEMU's start (kernel's first line "
        f"{run.when['^quarry: boot']:.2f} s, end {run.seconds:.2f} s; target 3 s)"
    )


@pytest.mark.parametrize("count", [16, 100])
def test_many_modules(boot, text_file, count):
    """All of them are taken, also the font, which comes last."""
    files = [text_file(f"m{i:03}", "x") for i in range(count)]
    run = boot("selftest=none user=nosuch", boot="grub", files=files)
    named = re.search(r"^user=nosuch: .*$", run.text, re.MULTILINE)
    assert (
        named and f" m{count - 1:03}" in named.group(0) and "too many" not in run.text
    ), run.story()
    assert not run.has("the loader brought no boot module font.psf"), run.story()


def test_too_many_modules(boot, text_file):
    """Modules without a place are named; the font comes last."""
    run = boot("selftest=none", boot="grub", files=[text_file(f"m{i:03}", "x") for i in range(130)])
    assert run.passed and run.has(
        r'^boot: 3 boot modules too many: "m128" and all after it are left out; 128 are taken'
    ), run.story()
