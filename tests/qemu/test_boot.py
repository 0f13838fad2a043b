# SPDX-License-Identifier: MIT
"""Each way to boot, on each kind of machine."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import conftest
import pytest
import qemu

PATHS = ["pvh", "grub", conftest.full("uefi")]
SINGLE = {"threads": "single"}
MORE = conftest.CROWD + ",reclaim,poison_race"
TRACE = """# events=4 allocs=2 frees=2 ids=2 peak_live_pages=3 cpus=2
a 0 0 U 0
a 1 1 M 1
f 0 1
f 1 0
"""


def machine_line(run, cpus, nodes=1):
    """Does the kernel's summary have these numbers?"""
    return run.has(rf"^machine: {cpus} CPUs? online of {cpus}, {nodes} nodes?, \d+ MiB managed")


@pytest.mark.long
@pytest.mark.parametrize("path", ["pvh", "grub", conftest.full("uefi")])
def test_path(passes, drawn, path):
    """By PVH each CPU has a thread of the host. Without FULL=1 only suites run for which that
    matters, because test_cmdline.py runs all suites by PVH."""
    threads, suites = ("multi", MORE) if path == "pvh" else ("single", "selftest=most")
    suites = "selftest=most" if conftest.whole() else suites
    run = passes(f"{suites} seed={drawn}", boot=path, threads=threads)
    assert machine_line(run, 4), run.story()
    run.says("^boot: by " + ("pvh" if path == "pvh" else "multiboot2"))


SUITES = conftest.SMALL.split("=")[1].split(",")


@pytest.fixture(scope="module", params=PATHS)
def brought(request):
    """The Run of one boot by each path, with everything that a loader brings. By UEFI the machine
    is small: OVMF takes tens of MiB for itself and leaves many holes."""
    module = os.path.join(qemu.BUILD, "qemu", "tiny.trace")
    os.makedirs(os.path.dirname(module), exist_ok=True)
    with open(module, "w", encoding="utf-8") as f:
        f.write(TRACE)
    machine = qemu.Machine(
        boot=request.param, nodes=[64, 64] if request.param == "uefi" else [256, 256],
        module=module, threads=conftest.threads_of(request.module),
    )
    words = f"{conftest.SMALL} seed=0xbeefcafe trace=tiny.trace tour=off monitor=off"
    return machine.run(f"boot-brought-{request.param}", words)


def test_command_line_comes_through(brought):
    """The run has the seed, and these suites and no others."""
    assert brought.passed and brought.has(r"\(seed 0xbeefcafe\)"), brought.story()
    ran = re.findall(r"^ok \d+ (\w+)\b", brought.text, re.MULTILINE)
    assert sorted(ran) == sorted(SUITES), brought.story()


def test_module_comes_through(brought):
    assert brought.passed, brought.story()
    assert brought.has(r"^trace tiny\.trace: .*"), brought.story()


def test_nodes_come_through(brought):
    assert brought.passed and machine_line(brought, 4, nodes=2), brought.story()


@pytest.mark.parametrize(
    "cpus", [1, conftest.full(2), pytest.param(16, marks=(pytest.mark.long, pytest.mark.full))]
)
def test_cpus(passes, drawn, cpus):
    """Other numbers of CPUs than in test_path and test_all_suites, which have 4. In test_64_cpus
    many CPUs have threads of their own."""
    threads = {"threads": "single"} if cpus > 4 else {}
    run = passes(f"selftest=most seed={drawn}", cpus=cpus, mem=512, **threads)
    assert machine_line(run, cpus), run.story()


@pytest.mark.long
def test_64_cpus(passes):
    """With FULL=1 each CPU has a thread of the host, for cross-calls and waits."""
    run = passes(MORE, cpus=64, mem=512)
    assert machine_line(run, 64), run.story()


@pytest.mark.parametrize(
    "cpus, machine",
    [conftest.full(2, {}), (3, {}), conftest.full(3, SINGLE), conftest.full(4, SINGLE)],
)
def test_seed(passes, drawn, cpus, machine):
    """With the seeds of test_path a twentieth of `make soak TARGET=boots`. With FULL=1 two of the
    machines have a thread of the host for each CPU, as the machines by PVH in test_path have."""
    run = passes(f"selftest=most seed={drawn}", cpus=cpus, **machine)
    run.says(rf"\(seed {drawn}\)")


def test_icount_is_deterministic(name):
    """The same command under icount prints the same, byte for byte. With slow idle ticks it would
    not: if all CPUs rest for long, QEMU goes on at its next timer, and QEMU's threads decide which
    timer that is. Without FULL=1 only suites run in which CPUs affect each other."""
    suites = "selftest=most" if conftest.whole() else conftest.CROWD
    words = f"{suites} idle_tick=fast tour=off monitor=off"
    machine = qemu.Machine(icount=True)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda n: machine.run(f"{name}-{n}", words), (1, 2))
    assert first.passed, first.story()
    assert first.text == second.text


@pytest.mark.parametrize(
    "machine, cpu",
    [("q35", "core2duo"), ("pc", "phenom"), ("q35", "EPYC"), ("pc", "Haswell,level=3")]
    + [conftest.full(*m) for m in [("q35", "qemu64"), ("pc", "Nehalem"), ("pc", "max")]],
)
def test_model(passes, machine, cpu):
    """Old and new CPUs of both makers, the last with the firmware's limit of CPUID."""
    run = passes(
        "selftest=arch_cpu,arch_fault,task_cpu user=abi", machine=machine, cpu=cpu, programs=True
    )
    assert machine_line(run, 4), run.story()


def test_many_holes(passes, monkeypatch):
    """GRUB's cutmem takes 200 single pages from the memory map, as for a PC with bad RAM."""
    holes = range(128 << 20, 328 << 20, 1 << 20)
    monkeypatch.setenv("GRUB_FIRST", "\n".join(f"cutmem {at} {at + 4096}" for at in holes))
    run = passes("selftest=boot_memory,boot_zones", boot="grub", mem=1024)
    run.says(r"^boot: \d+ KiB of RAM left out: more than 128 ranges of RAM$")
    (managed,) = conftest.numbers(run, r"(\d+) MiB managed")
    assert 900 < managed < 1024 - (200 - 128), run.story()


def test_sparse_apic_ids(passes):
    """With three cores for a socket the APIC ids are 0 1 2 4 5 6."""
    run = passes(cpus="6,sockets=2,cores=3")
    assert machine_line(run, 6), run.story()


def test_absent_cpus(passes):
    """The kernel does not wait for CPUs that the MADT lists and that are absent."""
    run = passes(cpus="2,maxcpus=4")
    run.says(r"^machine: 2 CPUs online of \d+")


@pytest.mark.parametrize(
    "mem, machine",
    # The memmap of 12 GiB is larger than the last one's RAM below 4 GiB.
    [(64, "q35"), (1024, "q35"), (12288, "q35,max-ram-below-4g=64M")],
)
def test_memory(passes, mem, machine):
    run = passes(mem=mem, machine=machine)
    (managed,) = conftest.numbers(run, r"(\d+) MiB managed")
    # The memmap (1/128), the kernel and the firmware take the rest.
    assert mem * 0.98 - 24 <= managed <= mem, run.story()


@pytest.mark.parametrize("mem", [4, 16, 24])
def test_too_little_memory(boot, mem):
    run = boot(mem=mem)
    assert run.status != 0, f"a triple fault or a reset\n{run.story()}"
    if mem >= 16 or run.booted:
        assert run.failed, run.story()
        run.says(r"only \d+ KiB of RAM; Quarry needs \d+ MiB")


def test_devices_are_silenced_before_memory_is_handed_over(name, boot):
    """SeaBIOS before 1.17 leaves DMA on in the disk controller. The kernel switches it off before
    the line about the APIC, which it prints before the allocator has any memory."""
    path = os.path.join(qemu.BUILD, "qemu", name + ".trace")
    traced = ["-trace", "pci_cfg_write", "-trace", "serial_write", "-D", path]
    run = boot("selftest=none", cpus=1, machine="q35,sata=on", extra=traced)
    assert run.passed and run.has("^apic: "), run.story()
    text, commands = "", []
    with open(path, encoding="utf-8") as f:
        for line in f:
            if match := re.search(r"serial_write .*addr 0x00 val 0x(..)", line):
                text += chr(int(match[1], 16))
            elif match := re.search(r"pci_cfg_write \S+ 00:1f\.2 @0x4 <- 0x(\w+)", line):
                commands.append((bool(int(match[1], 16) & 4), text))
    firmware = [dma for dma, said in commands if "quarry: boot" not in said]
    kernel = [dma for dma, said in commands if "quarry: boot" in said and "apic: " not in said]
    if not firmware[-1]:
        assert kernel == [], commands
        pytest.skip("this SeaBIOS leaves no DMA on")
    assert kernel == [False], commands


def test_first_selftest_comes_soon(passes, report):
    """The time is measured and reported; the target is 3 s, by PVH with 4 CPUs under TCG."""
    first = r"^  (not )?ok 1 "
    run = passes(cpus=4, mem=1024, markers=("^quarry: boot", first))
    report(
        f"first selftest {run.when[first]:.2f} s after QEMU's start (kernel's first line "
        f"{run.when['^quarry: boot']:.2f} s, end {run.seconds:.2f} s; target 3 s)"
    )


def test_quick_selftests_are_short(passes):
    """The limit is in guest time, which under icount is a nanosecond for an instruction. Without
    icount the run takes about twice as long, on idle cores; 4 s are promised."""
    run = passes("selftest=quick", cpus=4, mem=1024, nodes=[512, 512], icount=True)
    assert conftest.numbers(run, r"^# selftest: .*, (\d+) ms$")[0] <= 1300, run.story()


@pytest.mark.parametrize("count", [conftest.full(16), 100])
def test_many_modules(boot, text_file, count):
    """All modules are taken, even the font, which comes last."""
    files = [text_file(f"m{i:03}", "x") for i in range(count)]
    run = boot("selftest=none user=nosuch", boot="grub", files=files)
    named = re.search(r"^user=nosuch: .*(\n    .*)*$", run.text, re.MULTILINE)
    assert (
        named and f" m{count - 1:03}" in named.group(0) and "too many" not in run.text
    ), run.story()
    assert not run.has("the loader brought no boot module font.psf"), run.story()


def test_too_many_modules(passes, text_file):
    """Modules without a place are named; the font comes last."""
    files = [text_file(f"m{i:03}", "x") for i in range(130)]
    run = passes("selftest=none", boot="grub", files=files)
    run.says(r'^boot: 3 boot modules too many: "m128" and all after it are left out; 128 are taken')


def test_waiting_cpus_let_others_run(passes, monkeypatch, tmp_path):
    """The plugin is used if each CPU has a thread of the host; if QEMU does not load it, an empty
    file replaces it."""
    plugin = os.path.join(os.path.abspath(qemu.BUILD), "qemu", "yield.so")
    for threads, wanted in (("multi", True), ("single", False)):
        run = passes("selftest=smp", threads=threads)
        assert (plugin in run.command) == wanted
    bad = tmp_path / "bad.c"
    bad.write_text("int qemu_plugin_version = 99;")
    assert qemu.make_plugin(str(bad), str(tmp_path / "yield.so"))
    assert (tmp_path / "yield.so").read_bytes() == b""
    assert len(list(tmp_path.iterdir())) == 2


def test_the_image_has_the_kernels_symbols_and_no_lines(passes, name):
    """GRUB reads the whole image from a slow disk, so line numbers would cost time."""
    passes("selftest=none", boot="grub")
    folder = qemu.log_path(name)[:-4] + ".iso.d"
    elf = os.path.join(folder, "boot", "quarry.elf")
    said = subprocess.run(["readelf", "-SW", elf], capture_output=True, text=True, check=True)
    assert ".symtab" in said.stdout and ".debug" not in said.stdout
