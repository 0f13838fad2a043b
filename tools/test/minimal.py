#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Perform the commands of README in a chroot of a minimal Debian; `make minimal`.

Run as root, since it makes a chroot (mmdebstrap, by the package registry) of the distribution NAME,
a code name of Debian, with nothing else.  Root types README's first command, without sudo.  Then a
user without root and without sudo types README's other commands as they stand; git clones the
committed tree.  With --archive the user gets the source archive of `make dist` instead.  The first
time make names the missing packages and a command that installs them; root types that command, and
the user tries again.  Then the user types `make test ONLY=lint`, which needs the packages of `make
test`, or with --whole all of `make test`.  Each step prints a line, and DIR/minimal-NAME/log has
its output; the chroot is removed at the end, unless --keep.  Exit status 0 only if each step went
as README says.
"""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import read
import check
import qemu
from needs import commands

MIRROR = "http://deb.debian.org/debian"
SUITE = "bookworm"
SOURCE = "/src"  # the repository, in the chroot
USER = 1000
HOME = "/home/quarry"
TREE = HOME + "/quarry"
LIMIT = 2400  # most seconds of one step
QUIET = 5  # seconds without output after which a program at a terminal waits for a key
INSTALL = re.compile(r"^ +((?:apt-get update && )?apt-get install .*)$", re.MULTILINE)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MOUNTS = (
    'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && '
    'exec chroot "$0" /usr/bin/setpriv --reuid="$1" --regid="$1" --clear-groups '
    'sh -c "cd $2 && $3"'
)


def apt_options():
    """This machine's options of apt that say how to reach a mirror: its proxy, and whether a
    mirror may be older than it says (Acquire::Check-Valid-Until)."""
    said = rooms.call(["apt-config", "dump", "Acquire"]).stdout
    option = re.compile(r'Acquire::(https?(::\S+)?::?Proxy\S*|Check-Valid-Until) "[^"]+";')
    return [line for line in said.split("\n") if option.match(line)]


class Steps:
    """Steps, each of which is a line of the report and counts as one test."""

    def __init__(self, root, log):
        self.root, self.log = root, log
        self.counts = check.Counts()
        self.left_out = []  # the lines of the last step that say what is left out

    def enter(self, user, folder, command):
        """The words that run @command in the chroot."""
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            *("sh", "-c", MOUNTS, self.root, str(user), folder, command),
        ]

    def report(self, good, what, start):
        took = f"({time.monotonic() - start:.0f} s)"
        print(f"  {'ok' if good else 'not ok'} {what} {took}", flush=True)
        return self.counts.one(good, what)

    def run(self, words, keys=""):
        """Run @words: (exit status, output).  With @keys they run at a terminal, and each key is
        typed once the output is quiet."""
        env = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}
        env.update(HOME=HOME, TERM="xterm", LC_ALL="C.UTF-8", PATH=PATH)
        if not keys:
            done = rooms.call(words, env=env, timeout=LIMIT)
            status, text = done.returncode, done.stdout
        else:
            status, text = at_terminal(words, env, keys)
        text = text.replace("\r", "")
        self.log.write(f"==== {words[-1]}\n{text}\n==== status {status}\n")
        self.log.flush()
        return status, text

    def typed(self, command, keys="", wants=r""):
        """Run @command as the user; if make names missing packages, root installs them, and the
        user runs it again."""
        start = time.monotonic()
        status, said = self.run(self.enter(USER, TREE, command), keys)
        wanted = INSTALL.search(said)
        if status and wanted:
            self.report(True, f"{command}: names what is missing, and what to type", start)
            start = time.monotonic()
            install = f"export DEBIAN_FRONTEND=noninteractive; {wanted.group(1)}"
            status, _ = self.run(self.enter(0, "/", install))
            if not self.report(status == 0, "root types that", start):
                return
            start = time.monotonic()
            status, said = self.run(self.enter(USER, TREE, command), keys)
        self.left_out = re.findall(r"^ *(left out: .*)$", said, re.MULTILINE)
        self.report(status == 0 and bool(re.search(wants, said, re.MULTILINE)), command, start)


def at_terminal(words, env, keys):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(words[0], words, env)
    said, keys, end = b"", list(keys), time.monotonic() + LIMIT
    while time.monotonic() < end:
        if select.select([terminal], [], [], QUIET)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                break
            if not data:
                break
            said += data
        elif keys and said:
            os.write(terminal, keys.pop(0).encode())
    else:
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode("utf-8", "replace")


def make_chroot(steps, suite):
    start = time.monotonic()
    words = ["mmdebstrap", "--variant=minbase", *(f"--aptopt={option}" for option in apt_options())]
    status, _ = steps.run([*words, suite, steps.root, MIRROR])
    return steps.report(status == 0, f"a minimal Debian ({suite})", start)


def get_tree(steps, readme, archive):
    """Type README's first two commands: what is needed to get the tree, and to get it."""
    (install,), (clone,) = commands(readme, "sudo apt-get"), commands(readme, "git clone")
    start = time.monotonic()
    status, _ = steps.run(steps.enter(0, "/", install.replace("sudo ", "")))
    if not steps.report(status == 0, f"{install}: typed by root", start):
        return False
    home, start = steps.root + HOME, time.monotonic()
    os.makedirs(home)
    if archive:
        os.makedirs(steps.root + TREE)
        folder = os.path.dirname(steps.root)
        make = f'"{sys.executable}" "{rooms.tool("dist.py")}" --only source --build "{folder}"'
        command = f'{make} && cd "{steps.root + TREE}" && tar -xf "{folder}"/dist/quarry-*.xz'
        status, _ = steps.run(["sh", "-c", command + " --strip-components=1"])
        subprocess.run(["chown", "-R", f"{USER}:{USER}", home], check=True)
        return steps.report(status == 0, "the source archive of `make dist`", start)
    steps.run(["git", "clone", "--quiet", "--bare", qemu.ROOT, steps.root + SOURCE])
    subprocess.run(["chown", "-R", f"{USER}:{USER}", home, steps.root + SOURCE], check=True)
    status, _ = steps.run(steps.enter(USER, HOME, clone.replace("REPOSITORY", SOURCE)))
    return steps.report(status == 0, clone, start)


def perform(steps, readme, whole):
    wants = {"make run": r"^quarry: PASS$", "make lib": r"^a program of yours: "}
    for command in commands(readme):
        if "STEP=1" in command:
            steps.typed(command, keys="qqq", wants=r"R-S0A")
        else:
            want = wants.get(" ".join(command.split()[:2]), r"^hosted: \d+ passed, 0 failed")
            steps.typed(command, wants=want)
    last = "make test" if whole else "make test ONLY=lint"
    steps.typed(last, wants=r"^\d+ passed, 0 failed(, \d+ skipped)?$")
    for line in dict.fromkeys(steps.left_out):
        print(f"  {line}")


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--suite", default=SUITE, help="Debian's code name; default: " + SUITE)
    parser.add_argument("--archive", action="store_true", help="a tree without git's data")
    parser.add_argument("--whole", action="store_true", help="all of make test")
    parser.add_argument("--keep", action="store_true", help="keep the chroot")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("minimal: a chroot needs root")
    if not re.fullmatch(r"[a-z]+", args.suite):
        parser.error(f"--suite (SUITE=) {args.suite}: wanted a code name, such as trixie")
    folder = os.path.join(os.path.abspath(args.build), "minimal-" + args.suite)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    start = time.monotonic()
    readme = read("README.md")
    with open(os.path.join(folder, "log"), "w", encoding="utf-8") as log:
        steps = Steps(os.path.join(folder, "root"), log)
        if rooms.call(["unshare", "--mount", "true"]).returncode:
            steps.counts.left_out("minimal", "no right to mount file systems here")
            return steps.counts.close(f"minimal {args.suite}", start)
        try:
            if make_chroot(steps, args.suite) and get_tree(steps, readme, args.archive):
                perform(steps, readme, args.whole)
        except subprocess.TimeoutExpired:
            steps.counts.one(False, f"a step did not end within {LIMIT} s")
        finally:
            if not args.keep:
                shutil.rmtree(steps.root, ignore_errors=True)
    return steps.counts.close(f"minimal {args.suite}", start)


if __name__ == "__main__":
    rooms.run(main)
