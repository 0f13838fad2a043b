# SPDX-License-Identifier: MIT
"""Who sleeps is not kept waiting by those who compute: in guest time, so under icount."""
import pytest


@pytest.mark.parametrize("cpus", [1, 4])
def test_sleepers_are_not_kept_waiting(passes, cpus):
    passes("selftest=fair", cpus=cpus, icount=True, timeout=300)
