# SPDX-License-Identifier: MIT
"""The balloon: pages lent to the host, statistics, and free memory that the host drops, judged by
QEMU's resident memory."""
import re
import time

import pytest
import qemu
from guest import Guest, MIB

BALLOON = ["-device", "virtio-balloon-pci,id=b0"]
REPORTING = ["-device", "virtio-balloon-pci,id=b0,free-page-reporting=on"]


@pytest.fixture
def guest(name, threads):
    def make(extra, **kw):
        return Guest(name, qemu.Machine(**{"extra": extra, "threads": threads, **kw}))

    return make


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


def ends_well(g):
    assert "every invariant holds" in g("check")
    assert g.halt() == qemu.PASS_STATUS


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
