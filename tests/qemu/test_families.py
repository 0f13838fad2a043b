# SPDX-License-Identifier: MIT
"""Families of tasks at random (tests/hostile/families.c): a killed task has the most by its
account, no other task waits for long, and nothing is left."""
import re

import conftest
import pytest

from test_memory import ROW

EACH = 34 if conftest.whole() else 8  # number of families in a run


def tables(text):
    """The rows of each table of the OOM killer, which may be printed between other lines."""
    for table in re.split(r"^oom: no memory for ", text, flags=re.MULTILINE)[1:]:
        yield [m.groupdict() for m in ROW.finditer(table)]


def score(row):
    own, shared = int(row["own"]), int(row["shared"])
    return max(own - shared, 0) + int(row["has"]) + int(row["kernel"])


def judge(run, nr):
    assert run.passed, run.story()
    assert run.has(rf"^families: {nr} families of seed \d+, "), run.story()
    for rows in tables(run.text):
        victims = [row for row in rows if "the most: killed" in row["remark"]]
        if not victims:
            assert any("ending: waited for" in row["remark"] for row in rows), run.story()
            continue
        (victim,) = victims
        family = [
            row
            for row in rows
            if row["family"] == victim["family"]
            and not re.search("exempt|ending", row["remark"])
        ]
        assert score(victim) == max(map(score, family)), run.story()


@pytest.mark.parametrize("seed", range(1, 3))
def test_families_in_guest_time(boot, seed):
    run = boot(
        f"selftest=none user=families user_arg={EACH} seed={seed}",
        programs=True,
        mem=64,
        cpus=1,
        icount=True,
        shift=3,
    )
    judge(run, EACH)
    assert "waited too long" not in run.text, run.story()


@pytest.mark.parametrize("cpus", [2, 4])
@pytest.mark.parametrize("seed", range(1, 3))
def test_families(boot, cpus, seed):
    """Waits are not judged, because they depend on the host's load."""
    run = boot(
        f"selftest=none user=families user_arg={EACH} seed={seed}",
        programs=True,
        mem=64,
        cpus=cpus,
    )
    judge(run, EACH)
