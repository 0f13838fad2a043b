# SPDX-License-Identifier: MIT
"""Every variable of `make run` at both ends of its documented range, as typed."""
import os

import pytest

SHORT = "selftest=buddy tour=off"
CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    "variables, says",
    [
        ({"BOOT": "grub", "CPUS": 1, "NODES": 1, "MEM": "69M"}, "1 CPUs online of 1, 1 node,"),
        ({"BOOT": "grub", "MEM": "76"}, "4 CPUs online of 4, 2 nodes,"),
        ({"BOOT": "pvh", "MEM": "76m"}, "4 CPUs online of 4, 2 nodes,"),
        ({"BOOT": "uefi", "MEM": "140M"}, "4 CPUs online of 4, 2 nodes,"),
        ({"BOOT": "pvh", "NODES": 16, "MEM": "132M"}, "4 CPUs online of 4,"),
        ({"NODES": 8, "MEM": "1g"}, "4 CPUs online of 4, 8 nodes,"),
        ({"BOOT": "pvh", "CPUS": 255, "MEM": "327M"}, "255 CPUs online of 255,"),
        ({"BOOT": "uefi", "CPUS": 255, "NODES": 16, "MEM": "447M"}, "255 CPUs online of 255,"),
        ({"BOOT": "grub", "MEM": "1T"}, "4 CPUs online of 4, 2 nodes,"),
        ({"BOOT": "uefi", "MEM": "1t"}, "4 CPUs online of 4, 2 nodes,"),
    ],
    ids=[
        "least",
        "least_grub",
        "least_pvh",
        "least_uefi",
        "nodes_16",
        "nodes_8",
        "cpus_255",
        "cpus_255_uefi",
        "most_grub",
        "most_uefi",
    ],
)
def test_range(make, variables, says):
    status, out = make("run", CMDLINE=SHORT, **variables)
    assert status == 0 and says in out, out[-3000:]


@pytest.mark.parametrize(
    "machine", [{"MEM": "64G", "CMDLINE": "selftest=buddy"}, {"MEM": "1T"}], ids=["64G", "1T"]
)
def test_large_memory_passes_with_the_tour(make, machine):
    """Memory that standby brings online meanwhile does not count as lost; the programs touch as
    much as on any machine."""
    status, out = make("run", timeout=900, BOOT="pvh", **machine)
    assert status == 0 and "programs: 3 offlines, each at the first call" in out, out[-3000:]


def test_many_cpus_pass_with_the_tour(make):
    """64 of them: test_boot.py.  CPUs under stress are halted between bursts."""
    status, out = make("run", timeout=900, BOOT="pvh", CPUS=255)
    assert status == 0 and "255 CPUs online of 255," in out, out[-3000:]
    for policy in ("redrain", "disable", "precise"):
        assert f"tour: offline {policy}: 16 MiB " in out, out[-3000:]
    assert (f"run: 255 CPUs on {CORES} host cores: one host thread runs them all" in out) == (
        255 > 4 * CORES
    ), out[:300]
