# SPDX-License-Identifier: MIT
"""Threads that compute do not delay threads that sleep: in guest time, so under icount.

The machine has one CPU.  With several, QEMU under icount runs one CPU until its next timer: a
wake-up on another CPU would also wait for that timer, without a fault of the scheduler."""


def test_sleepers_are_not_kept_waiting(passes):
    passes("selftest=fair", cpus=1, icount=True, shift=3)
