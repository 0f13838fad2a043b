# SPDX-License-Identifier: MIT
"""Boot Quarry in QEMU from Python: for tests/qemu, soak.py and bench.py.

    with_defaults = qemu.Machine(cpus=4, mem=256)
    run = with_defaults.run("a_name", "selftest=quick")
    assert run.passed, run.story()

The console goes to a file, BUILD/qemu/NAME.log.  A run that hangs is killed (watchdog.py).  QEMU
ends with Python, however Python ends.
"""
import ctypes
import functools
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field

import watchdog
import rooms
from rooms import ROOT

BUILD = os.path.join(ROOT, os.environ.get("QUARRY_BUILD", "build"))
BOOT_LINE = "quarry: boot"
PASS_LINE = "quarry: PASS"
FAIL_LINE = "quarry: FAIL"
PASS_STATUS = 33  # QEMU's isa-debug-exit turns the kernel's 0x10 into this
FAIL_STATUS = 35
TIMED_OUT = "timeout"
# Seconds of CPU time that a machine may use.  Waits that are not for one process use the host's
# clock instead.  No run needs nearly as much, even on a busy host.
WATCHDOG = 1200
LIMIT = float(os.environ.get("QUARRY_LIMIT") or WATCHDOG)  # parts.py sets a test's limit
ENOUGH = "ended"
OVMF = [
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_CODE.fd",
    "/usr/share/edk2/ovmf/OVMF_CODE.fd",
    "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
]

_libc = ctypes.CDLL(None, use_errno=True)


# QEMU has changed the interface of plugins: a source asks for PLUGIN_API, and takes 1 (QEMU 4 to
# 8), 3 (9.1 and later) and 7 (11.1, which takes nothing older).
APIS = (1, 3, 7)
PLUGIN_FLAGS = "-O2 -Wall -Wextra -Wno-unused -shared -fPIC -Itools/lib"
REFUSES = "qemu_plugin_install returned"  # it was loaded, and misses its own options
# A machine that ends at once.
ENDS = "qemu-system-x86_64 -machine none -nodefaults -display none -accel tcg -monitor stdio"


def make_plugin(source, path):
    """Make a plugin for the QEMU that is here, unless it is there; the reason if this QEMU loads it
    with none of APIS, and then the file is empty.  Another process may make it at the same time."""
    path = os.path.abspath(path)
    of = [source, rooms.tool("qemu_plugin.h"), shutil.which(ENDS.split()[0]) or source]
    if os.path.exists(path) and os.path.getmtime(path) >= max(map(os.path.getctime, of)):
        return ""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = f"{path[:-3]}-{os.getpid()}.so"
    cc = [*os.environ.get("HOSTCC", "gcc").split(), *PLUGIN_FLAGS.split(), "-o", new, source]
    for api in APIS:
        why = failure([*cc, f"-DPLUGIN_API={api}"]) or failure([*ENDS.split(), "-plugin", new])
        if not why or REFUSES in why:
            why = ""
            break
    else:
        open(new, "wb").close()
    os.replace(new, path)
    return why


def failure(command):
    """What a command says if it fails; "" if it does not."""
    try:
        done = rooms.call(command, input="quit\n")
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    said = done.stdout.strip() or f"{command[0]}: status {done.returncode}"
    return said if done.returncode else ""


@functools.lru_cache(None)
def yields():
    """Options with which a CPU that waits lets the host's other threads run (qemu_yield.c);
    none if the plugin cannot be made here, which is said once."""
    path = os.path.join(os.path.abspath(BUILD), "qemu", "yield.so")
    try:
        if why := make_plugin(rooms.tool("qemu_yield.c"), path):
            print(f"qemu: CPUs that wait keep a core busy: {why}", file=sys.stderr)
        return ["-plugin", path] if os.path.getsize(path) else []
    except OSError:
        return []


crashes = []  # logs of runs in which QEMU itself crashed, for tests/qemu/conftest.py


def note_end(proc, log):
    """QEMU has ended: note @log if QEMU itself crashed."""
    if proc.returncode == -signal.SIGSEGV:
        crashes.append(log)


def _die_with_parent(number=signal.SIGKILL):
    """Called in a child: it gets this signal when its parent ends (PR_SET_PDEATHSIG of Linux)."""
    if hasattr(_libc, "prctl"):
        _libc.prctl(1, number)


@dataclass
class Run:
    """One boot and its end."""

    command: list
    log: str  # path of the console's log
    status: object  # QEMU's exit status, or TIMED_OUT
    seconds: float
    when: dict = field(default_factory=dict)  # {marker: seconds from QEMU's start}
    # The console from the kernel's first line on, or all if it never came; then what QEMU itself
    # has said, unless the kernel ended the run.
    text: str = ""
    booted: bool = False  # the kernel's first line came

    @property
    def lines(self):
        return [line for line in self.text.split("\n") if line.strip()]

    @property
    def last(self):
        """The last line; a machine may say "halted" too, as it runs on until QEMU has ended."""
        lines = [line for line in self.lines if not line.startswith("quarry: halted")]
        return lines[-1] if lines else ""

    @property
    def passed(self):
        """A pass needs both status 33 and the last line."""
        return self.status == PASS_STATUS and self.last == PASS_LINE and self.booted

    @property
    def failed(self):
        return self.status == FAIL_STATUS and self.last == FAIL_LINE and self.booted

    def has(self, pattern):
        return re.search(pattern, self.text, re.MULTILINE) is not None

    def says(self, *patterns):
        for pattern in patterns:
            assert self.has(pattern), f"no /{pattern}/\n{self.story(80)}"

    def story(self, nr=40):
        """The text to print when the run is not as expected."""
        tail = "\n    ".join(failures(self.text) + self.text.split("\n")[-nr:])
        return (
            f"QEMU ended with {self.status} after {self.seconds:.1f} s{in_test(self.text)}; "
            f"console {self.log}:\n    {tail}\nto run it again:\n    {quoted(self.command)}"
        )

    def ktap(self):
        return ktap_counts(self.text)


def failures(text, nr=20):
    """The lines of each failed test in a KTAP report, at most the last @nr lines of a test."""
    lines, begin, found = text.split("\n"), 0, []
    for at, line in enumerate(lines):
        if re.match(r"  # begin ", line):
            begin = at
        elif re.match(r"  not ok ", line):
            found += [*lines[max(begin, at + 1 - nr) : at + 1], "..."]
    return found


def quoted(command):
    return " ".join(a if re.fullmatch(r"[\w@%+=:,./-]+", a) else f"'{a}'" for a in command)


def ktap_counts(text):
    """(passed, failed, skipped, names of failed tests) by the nested test lines of a KTAP report.
    A name is SUITE.TEST if the report has the line "# begin" of the test."""
    passed = failed = skipped = 0
    names, begun = [], ""
    for match in re.finditer(r"^  (ok|not ok|# begin) (?:\d+ )?(\S+)(.*)$", text, re.MULTILINE):
        if match.group(1) == "# begin":
            begun = match.group(2)
        elif match.group(1) == "not ok":
            failed += 1
            names.append(begun if begun.endswith("." + match.group(2)) else match.group(2))
        elif "# SKIP" in match.group(3):
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped, names


def ktap_running(text):
    """SUITE.TEST of the test that has begun and not ended, the place of a crash or a hang; or
    None."""
    begins = list(re.finditer(r"^  # begin (\S+)$", text, re.MULTILINE))
    if not begins or re.search(r"^  (ok|not ok) \d+ ", text[begins[-1].end() :], re.MULTILINE):
        return None
    return begins[-1].group(1)


def in_test(text):
    """The test of ktap_running() for the end of a sentence: " in SUITE.TEST", or ""."""
    name = ktap_running(text)
    return f" in {name}" if name else ""


def clean_log(path):
    """(the console's text, did the kernel's first line come); the text begins with that line, so
    that firmware and GRUB are left out."""
    try:
        with open(path, "rb") as f:
            text = f.read().decode("utf-8", "replace").replace("\r", "")
    except FileNotFoundError:
        text = ""
    # Found anywhere in a line, because GRUB leaves escape sequences before it.
    at = text.find(BOOT_LINE)
    return (text[at:], True) if at >= 0 else (text, False)


@dataclass
class Machine:
    """A machine and the kernel's boot path; .run() boots it once."""

    boot: str = "pvh"  # pvh, grub or uefi
    cpus: int = 4
    mem: int = 256  # MiB
    nodes: list = None  # MiB of memory of each node; None: no NUMA
    distances: list = None  # [(from, to, distance)]
    node_cpus: list = None  # ["0-1", "", ...] of each node; None: shared out evenly
    room: int = 0  # MiB of addresses, with 8 slots, for memory plugged in later
    cpu: str = "max"
    machine: str = "q35"
    threads: str = "multi"  # host threads: one for each CPU, or "single"
    icount: bool = False  # guest time is the number of instructions
    shift: int = 0  # an instruction takes 2^shift ns: a larger shift shortens waits for the host
    module: str = None  # path of a boot module
    files: list = field(default_factory=list)  # paths of further modules, which GRUB loads
    programs: bool = False  # load the programs for ring 3
    extra: list = field(default_factory=list)
    timeout: float = LIMIT  # seconds of a CPU
    kernel: str = None
    ktap: bool = True  # print the selftests' whole report on the console

    def memory_options(self):
        mem = sum(self.nodes) if self.nodes else self.mem
        room = f",slots=8,maxmem={mem + self.room}M" if self.room else ""
        options = ["-smp", str(self.cpus), "-m", f"{mem}M{room}"]
        sizes = self.nodes or [mem]
        for i, size in enumerate(sizes):
            # With reserve=off the host backs only memory that the guest touches.
            if size:
                options += ["-object", f"memory-backend-ram,id=r{i},size={size}M,reserve=off"]
        if not self.nodes:
            return options, ",memory-backend=r0"
        for i in range(len(sizes)):
            memory = f",memdev=r{i}" if sizes[i] else ""
            options += ["-numa", f"node,nodeid={i}{self.cpus_of(i)}{memory}"]
        for src, dst, value in self.distances or []:
            options += ["-numa", f"dist,src={src},dst={dst},val={value}"]
        return options, ""

    def cpus_of(self, node):
        if self.node_cpus:
            cpus = self.node_cpus[node]
        else:
            first = node * self.cpus // len(self.nodes)
            last = (node + 1) * self.cpus // len(self.nodes) - 1
            cpus = f"{first}-{last}" if first <= last else ""
        return f",cpus={cpus}" if cpus else ""

    def loader_options(self, name, cmdline):
        kernel = self.kernel or os.path.join(BUILD, "quarry.elf")
        modules = [self.module] if self.module else []
        if self.programs:
            modules += sorted(glob.glob(os.path.join(BUILD, "bin", "*")))
        modules = [f"{os.path.basename(m)}={m}" for m in modules + self.files]
        if self.boot == "pvh":
            initrd = self.archive(name, modules) if self.programs else self.module
            return ["-kernel", kernel, "-append", cmdline] + (["-initrd", initrd] if initrd else [])
        iso = os.path.join(BUILD, "qemu", name + ".iso")
        words = ["sh", rooms.tool("mkiso.sh"), iso, kernel, cmdline]
        subprocess.run(words + modules, check=True)
        options = ["-cdrom", iso]
        if self.boot == "uefi":
            code = next(f for f in OVMF if os.path.exists(f))
            variables = os.path.join(BUILD, "qemu", name + ".vars")
            shutil.copy(code.replace("CODE", "VARS"), variables)
            options += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"]
            options += ["-drive", f"if=pflash,format=raw,unit=1,file={variables}"]
        return options

    def archive(self, name, modules):
        """A cpio archive of the modules; one for all machines, if these are just the programs."""
        path = os.path.join(BUILD, "qemu", name + ".cpio")
        common = os.path.join(BUILD, "qemu", "all-programs.cpio")
        just_programs = not self.module and not self.files
        if just_programs and os.path.exists(common):
            parts = [os.path.join(BUILD, "bin"), *(m.partition("=")[2] for m in modules)]
            if os.path.getmtime(common) > max(map(os.path.getmtime, parts)):
                return common
        subprocess.run(["sh", rooms.tool("mkcpio.sh"), path, *modules], check=True)
        if not just_programs:
            return path
        os.replace(path, common)  # at once: other tests may make it too
        return common

    def command(self, name, cmdline, console=None):
        """console: QEMU's chardev instead of the file BUILD/qemu/NAME.log."""
        memory, backend = self.memory_options()
        if self.ktap and "report=" not in cmdline:
            cmdline = f"{cmdline} report=all".strip()
        words = "qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot".split()
        words += "-monitor none -device isa-debug-exit,iobase=0xf4,iosize=4".split()
        # The use of an emulated x2APIC ends QEMU 9 to 11 under icount.
        # The firmware would look for disks for as long as the rest of a boot takes.
        disks = ",sata=off" if (self.machine, self.boot) == ("q35", "pvh") else ""
        words += ["-machine", self.machine + disks + backend]
        words += ["-cpu", self.cpu + (",-x2apic" if self.icount else "")]
        words += ["-accel", f"tcg,thread={'single' if self.icount else self.threads}"]
        if self.icount:
            words += ["-icount", f"shift={self.shift},align=off,sleep=off"]
        elif self.threads == "multi":
            words += yields()
        words += [*memory, *self.loader_options(name, cmdline), *self.extra, "-chardev"]
        return [*words, console or f"file,id=con,path={log_path(name)}", "-serial", "chardev:con"]

    def run(self, name, cmdline="", markers=(), talk=None, enough=None):
        """Boot the machine and wait for its end.

        markers: regular expressions; Run.when says when each first matched on the console.
        talk: called with a Qmp when QEMU runs; run() waits for QEMU's end after talk returns.
        enough: called with the console and QEMU's pid now and then; True ends the run, with
            status ENOUGH.
        """
        os.makedirs(os.path.join(BUILD, "qemu"), exist_ok=True)
        command = self.command(name, cmdline)
        log = log_path(name)
        if os.path.exists(log):
            os.unlink(log)
        path = None
        if talk:
            # A relative path, because a socket's path must be short.
            path = os.path.relpath(os.path.join(BUILD, "qemu", f"{os.getpid()}.qmp"))
            command += ["-qmp", f"unix:{path},server=on,wait=off"]
        start = time.monotonic()
        with open(log + ".err", "wb") as err:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": err, "stderr": err}
            proc = subprocess.Popen(command, preexec_fn=_die_with_parent, **pipes)
            try:
                with watchdog.Guard(proc.pid, self.timeout, lambda: size_of(log)) as guard:
                    if talk:
                        with Qmp(path, proc, log) as qmp:
                            talk(qmp)
                    status, when = _wait(proc, log, start, markers, enough)
                if guard.why:
                    status = TIMED_OUT
            finally:
                if proc.poll() is None:
                    proc.kill()
                    proc.wait()
                note_end(proc, log)
                if path and os.path.exists(path):
                    os.unlink(path)
        run = Run(command, log, status, time.monotonic() - start, when)
        run.text, run.booted = clean_log(log)
        if not run.booted or status not in (0, PASS_STATUS, FAIL_STATUS, ENOUGH):
            with open(log + ".err", encoding="utf-8", errors="replace") as f:
                run.text += f.read()
        return run


def log_path(name):
    return os.path.join(BUILD, "qemu", re.sub(r"[^\w.-]", "_", name) + ".log")


def size_of(path):
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _wait(proc, log, start, markers, enough=None):
    """Wait for QEMU's end: (exit status or ENOUGH, {marker: seconds until it came})."""
    when = {}
    while proc.poll() is None:
        now = time.monotonic() - start
        if enough and enough(clean_log(log)[0], proc.pid):
            return ENOUGH, when
        missing = [m for m in markers if m not in when]
        if missing:
            text = clean_log(log)[0]
            when.update({m: now for m in missing if re.search(m, text, re.MULTILINE)})
        time.sleep(0.005 if missing else 0.02)
    text = clean_log(log)[0]
    for m in markers:
        if m not in when and re.search(m, text, re.MULTILINE):
            when[m] = time.monotonic() - start
    return proc.returncode, when


class Qmp:
    """QEMU's machine protocol: qmp("query-status"), qmp("stop"), ...; .wait_for(pattern) on the
    console.

    .event(name) waits for an event, unless it has already come.
    """

    def __init__(self, path, proc, log):
        self.path, self.proc, self.log = path, proc, log
        self.events = []  # events that came and that event() has not returned

    def __enter__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + WATCHDOG  # QEMU is only slow, unless it has ended
        while True:
            try:
                self.socket.connect(self.path)
                break
            except OSError:
                if time.monotonic() > deadline or self.proc.poll() is not None:
                    raise
                time.sleep(0.02)
        self.stream = self.socket.makefile("rw", encoding="utf-8")
        self.stream.readline()  # the greeting
        self("qmp_capabilities")
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def __call__(self, execute, **arguments):
        self.stream.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
        self.stream.flush()
        while True:
            answer = self.read(execute)
            if "error" in answer:
                raise RuntimeError(f"{execute}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def read(self, what):
        """QEMU's next message; an event is recorded as well."""
        try:
            line = self.stream.readline()
        except ConnectionResetError:  # QEMU ended before it read the request
            line = ""
        if not line:
            raise EOFError(f"QEMU ended during {what}")
        said = json.loads(line)
        if "event" in said:
            self.events.append(said)
        return said

    def go_on(self):
        """Continue a machine, which may then end before it has answered."""
        try:
            self("cont")
        except EOFError:
            pass

    def event(self, name, timeout=WATCHDOG):
        """The data of the oldest event @name; removes that event and all earlier ones."""
        deadline = time.monotonic() + timeout
        try:
            while not any(e["event"] == name for e in self.events):
                self.socket.settimeout(max(deadline - time.monotonic(), 0.01))
                self.read(f"the wait for {name}")
        finally:
            self.socket.settimeout(None)
        at = next(i for i, e in enumerate(self.events) if e["event"] == name)
        found = self.events[at]
        del self.events[: at + 1]
        return found.get("data", {})

    def wait_for(self, pattern, timeout=WATCHDOG, times=1):
        """Wait until the console matches @pattern @times times; returns the console's text."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            ended = self.proc.poll() is not None
            text = clean_log(self.log)[0]
            if sum(1 for _ in re.finditer(pattern, text, re.MULTILINE)) >= times:
                return text
            if ended:
                break
            time.sleep(0.02)
        raise TimeoutError(f"the console never said {pattern!r}; see {self.log}")
