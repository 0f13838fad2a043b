# SPDX-License-Identifier: MIT
"""Threads that sleep are not kept waiting by threads that compute: in guest time, so under icount.

On one CPU: under icount QEMU runs one CPU of several until its next timer, so that a wake-up on
another would also wait for the turns of those, which are not the scheduler's to give.
"""


def test_sleepers_are_not_kept_waiting(passes):
    passes("selftest=fair", cpus=1, icount=True, shift=3)
