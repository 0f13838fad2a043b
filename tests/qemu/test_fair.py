# SPDX-License-Identifier: MIT
"""Threads that compute do not delay threads that sleep (tests/suites/kernel/test_fair.c)."""


def test_sleepers_are_not_kept_waiting(passes):
    passes("selftest=fair", cpus=1, icount=True, shift=3)
