# SPDX-License-Identifier: MIT
"""Threads that compute do not delay threads that sleep: in guest time, so under icount.

The machine has one CPU.  Under icount QEMU runs one CPU of several until its next timer, so a
wake-up on another CPU would also wait for that turn, which is not the scheduler's."""


def test_sleepers_are_not_kept_waiting(passes):
    passes("selftest=fair", cpus=1, icount=True, shift=3)
