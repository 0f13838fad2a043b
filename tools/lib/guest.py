# SPDX-License-Identifier: MIT
"""A booted machine, used by its prompt and by QMP while it runs: for tests/qemu and soak.py.

    with Guest("a_name", machine) as guest:
        print(guest("mem"))
        guest.qmp("qom-set", path=..., property="requested-size", value=...)
        guest.wait_plugged(512)
"""
import math
import os
import re
import subprocess
import time

import qemu
import watchdog

PROMPT = "quarry> "
MIB = 1 << 20


class Guest:
    """A guest in QEMU: guest("command") returns the command's output, guest.qmp(...) QEMU's
    answer; leaving the block ends the guest."""

    def __init__(self, name, machine, cmdline="selftest=none tour=off", reboots=False):
        os.makedirs(os.path.join(qemu.BUILD, "qemu"), exist_ok=True)
        self.name, self.log, self.seen = name, qemu.log_path(name), 0
        self.asked_at = None
        self.command = machine.command(name, cmdline, console="stdio,id=con,signal=off")
        if reboots:
            self.command.remove("-no-reboot")
        self.path = os.path.relpath(os.path.join(qemu.BUILD, "qemu", f"{os.getpid()}.qmp"))
        with open(self.log, "wb") as log, open(self.log + ".err", "wb") as err:
            words = self.command + ["-qmp", f"unix:{self.path},server=on,wait=off"]
            pipes = {"stdin": subprocess.PIPE, "stdout": log, "stderr": err}
            self.proc = subprocess.Popen(words, preexec_fn=qemu._die_with_parent, **pipes)
        self.qmp = qemu.Qmp(self.path, self.proc, self.log)
        self.dog = watchdog.Watchdog(self.proc.pid, machine.timeout)

    def __enter__(self):
        try:
            self.qmp.__enter__()
            self.wait(lambda text: PROMPT in text, "the prompt")
        except BaseException:
            self.__exit__()
            raise
        self.seen = self.text().count(PROMPT)
        return self

    def __exit__(self, *_):
        if hasattr(self.qmp, "stream"):
            self.qmp.__exit__()
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        qemu.note_end(self.proc, self.log)
        self.proc.stdin.close()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def text(self):
        return qemu.clean_log(self.log)[0]

    def wait(self, condition, what, timeout=None):
        """Wait until condition(console) is true; returns the console."""
        deadline = time.monotonic() + (timeout or math.inf)
        heard = 0
        while True:
            text = self.text()
            if condition(text):
                return text
            if len(text) != heard:
                heard = len(text)
                self.dog.heard()
            why = self.dog.why() or time.monotonic() > deadline and "it is late"
            if self.proc.poll() is not None or why:
                how = "ended" if self.proc.poll() is not None else f"hangs: {why}"
                tail = "\n    ".join([*text.split("\n")[-30:], qemu.quoted(self.command)])
                raise TimeoutError(f"{what}: QEMU {how}; {self.log}:\n    {tail}")
            time.sleep(0.02)

    def send(self, line):
        self.proc.stdin.write(line.encode() + b"\r")
        self.proc.stdin.flush()

    def __call__(self, line, timeout=None):
        start = len(self.text())
        self.send(line)
        self.seen += 1
        return self.wait(lambda text: text.count(PROMPT) >= self.seen, line, timeout)[start:]

    def halt(self):
        """Power off by the prompt; returns QEMU's exit status."""
        self.send("halt")
        return self.proc.wait(timeout=qemu.WATCHDOG)

    def rss(self):
        """QEMU's own resident memory on the host, in MiB: not pages of files, which come and go."""
        with open(f"/proc/{self.proc.pid}/status", encoding="ascii") as f:
            return int(re.search(r"RssAnon:\s+(\d+) kB", f.read()).group(1)) / 1024

    # ---- virtio-mem, the device vm0 ----

    def ask(self, mib):
        self.asked_at = None if self.plugged() == mib else len(self.text())
        size = {"property": "requested-size", "value": mib * MIB}
        self.qmp("qom-set", path="/machine/peripheral/vm0", **size)

    def plugged(self):
        """The plugged size according to QEMU, in MiB."""
        return self.qmp("query-memory-devices")[0]["data"]["size"] / MIB

    def wait_size(self, mib, timeout=None):
        """Wait until QEMU reports @mib MiB plugged; returns the seconds until then."""
        start = time.monotonic()
        while self.plugged() != mib:
            if self.dog.why() or time.monotonic() - start > (timeout or math.inf):
                said = f"{self('virtio')}\n{self.text()[-2000:]}"
                raise TimeoutError(f"{self.plugged()} MiB are plugged, not {mib}\n{said}")
            time.sleep(0.02)
        return time.monotonic() - start

    def wait_plugged(self, mib, timeout=None):
        """As wait_size, then wait until the kernel says that it uses them. It says so only if that
        is news: not if a request was replaced while the kernel was about to fulfil it."""
        seconds = self.wait_size(mib, timeout)
        if self.asked_at is not None:
            said = re.compile(rf"virtio\d: {mib} MiB plugged, {mib} asked for$", re.MULTILINE)
            self.wait(lambda text: said.search(text[self.asked_at :]), f"{mib} MiB in use")
        return seconds


def virtio_mem(mib, block="2M", more=""):
    """QEMU's options for a virtio-mem device, vm0, with @mib MiB at most."""
    device = f"virtio-mem-pci,id=vm0,memdev=vmem0,requested-size=0,block-size={block}{more}"
    memory = f"memory-backend-ram,id=vmem0,size={mib}M,reserve=off"
    return ["-m", "slots=4,maxmem=32G", "-object", memory, "-device", device]


def plug_round(guest, mib, settle=1.0):
    """Plug @mib MiB, use all of them, unplug them; returns the share of @mib by which QEMU's memory
    on the host fell, @settle seconds later."""
    guest.ask(mib)
    guest.wait_plugged(mib)
    guest(f"burst {mib + 128}")
    before = guest.rss()
    guest.ask(0)
    guest.wait_plugged(0)
    time.sleep(settle)
    return (before - guest.rss()) / mib


def plug_run(name, machine, cmdline, mib, rounds):
    """One boot with @rounds rounds under load, as a qemu.Run; its text has a line with the
    decrease of memory."""
    start, fell, text, status = time.monotonic(), [], "", qemu.TIMED_OUT
    guest = Guest(name, machine, cmdline)
    try:
        with guest:
            guest("burst 420")  # the host then backs the memory to which pages will move
            guest("load 128")
            fell = [plug_round(guest, mib) for _ in range(rounds)]
            guest("load")
            guest("check")
            status = guest.halt()
    except (TimeoutError, EOFError, OSError, RuntimeError) as e:
        text = f"# {e}\n"
    run = qemu.Run(guest.command, guest.log, status, time.monotonic() - start)
    run.text, run.booted = qemu.clean_log(guest.log)
    run.text += text + "".join(f"\n# fell by {part:.4f}" for part in fell) + "\n"
    return run
