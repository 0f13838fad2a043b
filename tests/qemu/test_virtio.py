# SPDX-License-Identifier: MIT
"""Memory that the host gives and takes, by virtio-mem and the balloon, judged by QEMU's counts and
its resident memory."""
import re
import time

import conftest
import pytest
import qemu
from guest import MIB, Guest, plug_round, virtio_mem


@pytest.fixture
def guest(name, threads):
    """guest(extra, **machine) -> Guest, not yet entered."""

    def make(extra, reboots=False, cmdline="selftest=none tour=off", **kw):
        machine = qemu.Machine(**{"extra": extra, "mem": 1024, "threads": threads, **kw})
        return Guest(name, machine, cmdline, reboots)

    return make


def ends_well(g):
    assert "every invariant holds" in g("check")
    assert g.halt() == qemu.PASS_STATUS


def load_ends_well(g):
    ended = g("load")
    moved, damaged = map(
        int,
        re.search(
            r"load: ended: \d+ operations, (\d+) objects moved, (\d+) damaged", ended
        ).groups(),
    )
    assert damaged == 0 and "damaged" not in g.text().replace(ended, "").replace(
        " 0 pages damaged", ""
    ), ended
    return moved


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_memory_comes_and_goes(guest, machine):
    with guest(virtio_mem(1024), machine=machine, mem=256) as g:
        assert "1024 MiB from pfn 0x100000 on" in g.text()
        for mib in (2, 256, 1024, 130, 128, 0):
            g.ask(mib)
            g.wait_plugged(mib)
            if mib:
                managed = int(re.search(r"(\d+) MiB managed", g("mem")).group(1))
                assert 200 + mib < managed < 256 + mib
        with pytest.raises(RuntimeError):
            g.ask(3)  # not a multiple of the block: QEMU refuses the request
        with pytest.raises(RuntimeError):
            g.ask(2048)
        shown = g("virtio")
        assert re.search(
            r"0 MiB plugged, 0 asked for; \d+ units plugged so far, \d+ unplugged, 0 answers not "
            r"ACK",
            shown,
        )
        ends_well(g)


def test_each_step_is_printed_and_counted(guest):
    """Two devices share an interrupt line, and the figures of each are exact."""
    with guest(virtio_mem(256) + ["-device", "virtio-balloon-pci,id=b0"], mem=256, cpus=2) as g:

        def shown(mem, balloon):
            lines = [line for line in g("virtio").split("\n") if line.startswith("virtio")]
            assert lines[-2:] == [
                f"virtio0: virtio-mem: {mem}, 0 answers not ACK",
                f"virtio1: virtio-balloon: {balloon}; 0 statistics given; 0 free pageblocks "
                "reported",
            ]

        def lend(mib):
            g.qmp("balloon", value=(256 - mib) << 20)
            g.wait(
                lambda text: text.count(f"virtio1: {mib} MiB lent to the host, which wants {mib}\n")
                == 1,
                "the balloon",
            )
            assert g.qmp("query-balloon")["actual"] == (256 - mib) << 20

        found = re.findall(r"^virtio\d: (?:PCI|\d+ MiB).*$", g.text(), re.MULTILINE)
        assert re.fullmatch(r"virtio0: PCI 00:0[0-9a-f]\.0: virtio-mem", found[0]), found
        assert found[1] == "virtio0: 256 MiB from pfn 0x100000 on, node 0, blocks of 2048 KiB"
        assert re.fullmatch(r"virtio1: PCI 00:0[0-9a-f]\.0: virtio-balloon", found[-1]), found
        shown(
            "0 MiB plugged, 0 asked for; 0 units plugged so far, 0 unplugged",
            "0 pages lent, 0 asked for, 0 moved",
        )
        g.ask(64)
        g.wait_plugged(64)
        lend(16)
        shown(
            "64 MiB plugged, 64 asked for; 32 units plugged so far, 0 unplugged",
            "4096 pages lent, 4096 asked for, 0 moved",
        )
        lend(0)
        g.ask(16)
        g.wait_plugged(16)
        shown(
            "16 MiB plugged, 16 asked for; 32 units plugged so far, 24 unplugged",
            "0 pages lent, 0 asked for, 0 moved",
        )
        said = re.findall(r"^(?:quarry> )?(virtio0: \d+ MiB plugged.*)$", g.text(), re.MULTILINE)
        assert said[-1] == "virtio0: 16 MiB plugged, 16 asked for", said
        assert "virtio0: 64 MiB plugged, 64 asked for" in said and not any(
            "again" in line for line in said
        ), said
        ends_well(g)


def test_devices_beyond_the_limits_are_left_alone(guest):
    """Four devices of a kind get drivers, eight are examined; legacy and unknown devices are
    skipped."""
    more = [
        "-device",
        "virtio-rng-pci",
        "-device",
        "virtio-balloon-pci,disable-modern=on,disable-legacy=off",
    ]
    for i in range(9):
        more += [
            "-object",
            f"memory-backend-ram,id=vmem{i},size=64M,reserve=off",
            "-device",
            f"virtio-mem-pci,id=vm{i},memdev=vmem{i},node={i % 2},block-size=2M",
        ]
    with guest(["-m", "slots=4,maxmem=32G"] + more, mem=256, cpus=2, nodes=[128, 128]) as g:
        said = re.findall(r"^virtio(?:\d)?: .*$", g.text(), re.MULTILINE)
        want = ["virtio0: PCI 00:02.0: common configuration: it is missing: left alone"]
        for i in range(8):
            want += [
                f"virtio{i}: PCI 00:{i + 3:02x}.0: virtio-mem",
                f"virtio{i}: 64 MiB from pfn {0x100000 + 0x4000 * i:#x} on, node {i % 2}, blocks "
                "of 2048 KiB"
                if i < 4
                else f"virtio{i}: left alone: error ENOMEM",
            ]
        assert said == want + ["virtio: more than 8 devices: the rest is left alone"], "\n".join(
            said
        )
        for i in (3, 0):
            g.qmp(
                "qom-set", path=f"/machine/peripheral/vm{i}", property="requested-size",
                value=6 << 20,
            )
            g.wait(
                lambda text, i=i: f"virtio{i}: 6 MiB plugged, 6 asked for\n" in text, f"device {i}"
            )
        assert re.findall(
            r"^virtio(\d): virtio-mem: (\d+) MiB plugged, .* 0 answers not ACK$", g("virtio"),
            re.MULTILINE,
        ) == [("0", "6"), ("1", "0"), ("2", "0"), ("3", "6")]
        ends_well(g)


@pytest.mark.parametrize("boot", ["uefi"])
def test_memory_plugged_from_the_start(guest, boot):
    """The host makes its request before the kernel boots. By UEFI the device's registers lie far
    above 4 GiB."""
    extra = [o.replace("requested-size=0", "requested-size=256M") for o in virtio_mem(512)]
    with guest(extra, boot=boot, mem=512) as g:
        g.wait_plugged(256)
        ends_well(g)


@pytest.mark.parametrize("block", ["4M", "1G"])
def test_larger_blocks(guest, block):
    with guest(virtio_mem(2048, block), mem=256) as g:
        step = {"4M": 4, "1G": 1024}[block]
        for mib in (step, 2048, step, 0):
            g.ask(mib)
            g.wait_plugged(mib)
        ends_well(g)


@pytest.mark.long
def test_512_mib_twenty_times_under_load(guest, report):
    """Within a second after each unplug, QEMU's memory on the host falls by at least 95 % of the
    unplugged size. Without FULL=1 there are three rounds."""
    fell = []
    with guest(virtio_mem(512), cpus=2) as g:
        # The host then has memory for the pages' new places; else that memory would grow while the
        # other falls.
        g("burst 420")
        assert "and stress on all CPUs" in g("load 128")
        for _ in range(20 if conftest.whole() else 3):
            fell.append(plug_round(g, 512))
        assert load_ends_well(g) > 0
        ends_well(g)
    report(
        f"the host's memory fell by {min(fell):.1%} of it at least, {sum(fell) / len(fell):.1%} on "
        "average"
    )
    assert min(fell) >= 0.95, fell


def test_reset_amid_a_plug(guest):
    """After a reset the driver reads the plugged size, and follows requests again; sizes agree
    within the time of a boot."""

    def stop_amid():
        """On a busy host all memory may be plugged before the stop: then request it again. The
        kernel may not have said yet that it is plugged, and then says nothing of 0 MiB either."""
        for _ in range(50):
            g.ask(0)
            g.wait_size(0)
            g.ask(2048)
            while not 0 < g.plugged():
                time.sleep(0.001)
            g.qmp("stop")
            if g.plugged() < 2048:
                return
            g.qmp("cont")
        pytest.fail("50 plugs were never caught amid")

    with guest(virtio_mem(2048), reboots=True, mem=512) as g:
        for _ in range(3):
            stop_amid()
            assert 0 < g.plugged() < 2048
            boots = g.text().count("quarry: boot")
            g.qmp("system_reset")
            assert g.plugged() == 0
            g.qmp("cont")
            start = time.monotonic()
            g.wait(
                lambda text: text.count("quarry: boot") > boots
                or text.count(qemu.BOOT_LINE) > boots,
                "the boot",
            )
            g.wait(lambda text: text.count("virtio-mem\n") > boots, "the device")
            booted = time.monotonic() - start
            assert g.wait_plugged(2048) < 40 * booted
            g.seen = g.wait(lambda text: text.count("Type help") > boots, "the prompt").count(
                "quarry> "
            )
        ends_well(g)


# ---- the balloon: pages lent, statistics, and free memory that the host drops --------------------
BALLOON = ["-device", "virtio-balloon-pci,id=b0"]
REPORTING = ["-device", "virtio-balloon-pci,id=b0,free-page-reporting=on"]


def until(condition, what, timeout=qemu.WATCHDOG):
    """Wait until condition() is true; else what() gives the reason."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


def lend(g, mib, mem):
    """Make the host borrow @mib MiB of the machine's @mem."""
    g.qmp("balloon", value=(mem - mib) * MIB)
    until(lambda: g.qmp("query-balloon")["actual"] == (mem - mib) * MIB, lambda: g("virtio"))


def test_lends_and_takes_back(guest):
    with guest(BALLOON, mem=512) as g:
        assert "0 pages damaged" in g("burst 440")
        full = g.rss()
        lend(g, 256, 512)
        assert g.rss() < full - 0.95 * 256
        assert "65536 pages lent, 65536 asked for" in g("virtio")
        # The remaining memory works, and so does the memory that came back.
        assert "0 pages damaged" in g("burst 100 3")
        lend(g, 100, 512)
        assert "0 pages damaged" in g("burst 300")
        lend(g, 0, 512)
        assert re.search(
            r"burst: 1 round of 440 MiB used and freed, 0 pages damaged", g("burst 440")
        )
        ends_well(g)


def test_memory_with_lent_pages_is_offlined(guest):
    with guest(BALLOON, mem=512) as g:
        lend(g, 128, 512)
        went = re.search(r"evacuate: (\d+) pages offlined, 0 stayed", g("evacuate 0"))
        assert went and int(went.group(1)) > 128 * 256
        moved = int(re.search(r"(\d+) moved", g("virtio")).group(1))
        assert moved > 100 * 256  # nearly all lent pages lay in the range
        # The host knows of each move: it has as many pages as before, and the kernel uses the
        # former pages again.
        assert g.qmp("query-balloon")["actual"] == (512 - 128) * MIB
        assert "pages are back online" in g("evacuate 0 undo")
        assert "0 pages damaged" in g("burst 300")
        lend(g, 0, 512)
        ends_well(g)


def test_balloon_larger_than_memory(guest):
    """The kernel lends all it can, the machine runs on, and the host gives the pages back."""
    with guest(BALLOON, mem=256) as g:
        g.qmp("balloon", value=1 * MIB)
        until(lambda: g.qmp("query-balloon")["actual"] < 60 * MIB, lambda: g("virtio"))
        assert "no more to be had" in g.wait(lambda text: "no more to be had" in text, "its limit")
        lend(g, 0, 256)
        assert "0 pages damaged" in g("burst 150")
        ends_well(g)


def test_statistics(guest):
    with guest(BALLOON, mem=512) as g:
        path = "/machine/peripheral/b0"
        g.qmp("qom-set", path=path, property="guest-stats-polling-interval", value=1)

        def stats():
            return g.qmp("qom-get", path=path, property="guest-stats")["stats"]

        until(lambda: stats()["stat-free-memory"] < 1 << 40, lambda: str(stats()))
        first = stats()
        assert 480 * MIB < first["stat-total-memory"] < 512 * MIB
        assert (
            first["stat-free-memory"]
            <= first["stat-available-memory"]
            <= first["stat-total-memory"]
        )
        lend(g, 128, 512)
        until(
            lambda: stats()["stat-total-memory"] == first["stat-total-memory"] - 128 * MIB,
            lambda: str(stats()),
        )
        assert stats()["stat-free-memory"] < first["stat-free-memory"] - 120 * MIB
        ends_well(g)


def most(g):
    """The most resident memory so far, without the pages of files that are resident now."""
    with open(f"/proc/{g.proc.pid}/status", encoding="ascii") as f:
        kib = {name: int(n) for name, n in re.findall(r"(\w+):\s+(\d+) kB", f.read())}
    return (kib["VmHWM"] - kib["RssFile"]) / 1024


def settled(g):
    """The resident memory when the burst has ended and no more memory is reported."""
    until(lambda: g.rss() < most(g) - 1900, lambda: g("virtio"))
    last, since = g.rss(), time.monotonic()
    while time.monotonic() - since < 3:
        now = g.rss()
        if abs(now - last) > 1:
            last, since = now, time.monotonic()
        time.sleep(0.1)
    return g.rss()


@pytest.mark.full
def test_a_burst_is_given_back(guest, report):
    """After 2 GiB were used and freed, QEMU's memory on the host is within 5 % of that before."""
    with guest(REPORTING, mem=3072) as g:
        # Free pages that a CPU has cached keep their pageblocks from being reported, up to 4 MiB on
        # each CPU that the burst has run on: `compact` gives them back.
        assert "0 pages damaged" in g("burst 2048")
        g("compact")
        before = settled(g)
        assert "burst: 1 round of 2048 MiB used and freed, 0 pages damaged" in g("burst 2048")
        g("compact")
        until(
            lambda: g.rss() < 1.05 * before,
            lambda: f"{before:.0f} MiB before, {g.rss():.0f} after\n{g('virtio')}\n{g('mem')}",
        )
        after = settled(g)
        report(f"{before:.0f} MiB, {most(g):.0f} in the burst, {after:.0f} after it")
        assert most(g) > before + 1900
        assert after < 1.05 * before, (before, after)
        ends_well(g)


def test_reports_damage_no_data(guest):
    """A hundred bursts run beside objects and stress, all with checksums. Meanwhile freed pages are
    reported."""
    blocks = 1024 // 2  # pageblocks of the machine: a larger count has some of them twice
    with guest(REPORTING, mem=1024) as g:
        assert "and stress on all CPUs" in g("load 128")
        reported = 0
        while reported < blocks + 100:
            said = g("burst 64 100")
            assert re.search(
                r"burst: 100 rounds of \d+ MiB used and freed, 0 pages damaged", said
            ), said
            reported = int(re.search(r"(\d+) free pageblocks reported", g("virtio")).group(1))
        ended = g("load")
        assert re.search(r"load: ended: \d+ operations, \d+ objects moved, 0 damaged", ended), ended
        ends_well(g)
