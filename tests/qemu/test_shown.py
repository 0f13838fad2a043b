# SPDX-License-Identifier: MIT
"""The tour, the monitor's prompt, and offlining in rounds under stress (rounds=N).

Their tests belong here: boot(..., tour=None) leaves the tour on, boot(..., monitor=None, talk=f) the
monitor; pexpect drives the prompt.
"""
