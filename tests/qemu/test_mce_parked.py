# SPDX-License-Identifier: MIT
"""A machine check of a CPU that is down: it interrupts nothing there, and a CPU that is online
deals with it."""
import re

from test_mce import ADDRV, BANK, MCIP, OPTIONAL, RIPV, inject


def test_broadcast_reaches_another_cpu(host):
    h = host(cpus=3, room=0)
    for cpu in (1, 0):
        assert "cpu: done: " in h.ask(f"cpu down {cpu}")
    for times in (1, 2):
        for cpu in (0, 1):
            inject(h.qmp, OPTIONAL & ~ADDRV, RIPV | MCIP, cpu=cpu)
            h.says(rf"mce: CPU {cpu} bank {BANK}: action optional, no page: nothing was done")
    assert h.cpus() == ["down", "down", "online"]
    for cpu in (0, 1):
        assert "cpu: done: " in h.ask(f"cpu up {cpu}")
    assert re.search(r"0 flagged", h.ask("poison"))
