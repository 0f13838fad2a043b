#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build mm/ as a library in each form, use it, and check that the conformance suite finds wrong
ports.

Each form has its own directory, BUILD/lib-FORM.  The last line is "library: N passed, N failed".
"""
import glob
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import amalgamation
import check
import lib
import needs
import outer_make
import qemu
import watchdog

ROOT = qemu.ROOT
MOMENT = 0.5  # seconds that checks get after the expected failure: some wait for long
TEMPLATE = "examples/port-template"
# The template is written for x86; on other machines it is only compiled and linked.
X86 = platform.machine() == "x86_64"
CROSS = {} if X86 else {"CROSS_COMPILE": "x86_64-linux-gnu-", "LIBCC": "x86_64-linux-gnu-gcc"}
# Flags as for a kernel: no C library, only the general registers.
BARE = "-ffreestanding -mgeneral-regs-only -fno-pic -fno-pie -fno-stack-protector"
CPLUSPLUS = [(cc, std) for cc in ("g++", "clang++") for std in ("c++17", "c++20")]
# {fault of tests/porting/wrong.c: a check that must notice it}
WRONG = {
    "lock": "lock_keeps_other_cpus_out",
    "is_held": "lock_of_another_cpu_is_not_ours",
    "depth": "lock_is_held_until_released",
    "irqrestore": "irqsave_turns_interrupts_off",
    "mask": "call_runs_on_cpus_of_the_mask_only",
    "refusal": "call_is_refused_where_it_would_deadlock",
    "target": "call_waits_while_interrupts_are_off_there",
    "clock": "clock_goes_on_and_never_back",
    "timeout": "wait_ends_with_its_time",
    "wake_up": "no_wake_up_is_lost",
    "sleep": "sleep_lasts_as_long_as_asked",
    "task": "thread_runs_where_it_is_bound",
}
# Source of a kernel that uses the same names with other meanings; the headers have a prefix.
NEIGHBOUR = """
struct lock;
int kfree(int), panic(void), printk(int), spin_lock(struct lock *);
int mutex_lock(struct lock *), nr_cpus(void);
#include <quarry/memory_init.h>
#include <quarry/lock.h>
void *first(struct memory_config *cfg);
void *first(struct memory_config *cfg)
{
	cfg->nr_cpus = quarry_nr_cpus;
	quarry_kfree(NULL);
	return kfree(nr_cpus()) ? quarry_kmalloc(1) : quarry_alloc_pages(GFP_KERNEL, 0);
}
"""


class Wrong(Exception):
    """A test has failed; the text says how."""


def make(build, *goals, **variables):
    if (said := outer_make.run(build, *goals, **variables)) is not None:
        raise Wrong(said)


def call(words, what=None, **more):
    """Run a command, which must succeed."""
    done = rooms.call(words, **more)
    if done.returncode:
        raise Wrong(f"{what or ' '.join(words)}: {done.stdout}")
    return done.stdout


def shell(command):
    call(["sh", "-c", command], command)


def run(program, until=None, **env):
    """(exit status, output) of a program in a build directory.  After the line @until it has only
    MOMENT seconds to end; if it is then killed, the status is None."""
    try:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        proc = subprocess.Popen(os.path.join(ROOT, program), env=os.environ | env, **pipes)
    except OSError as e:
        return str(e), ""
    said = []
    with watchdog.Guard(proc.pid, watchdog.LEAST, lambda: len(said)) as guard:
        for text in proc.stdout:
            said.append(text)
            if text == until:
                threading.Timer(MOMENT, proc.kill).start()
    status = proc.wait()
    if status == -signal.SIGKILL and until in said:
        status = None
    return guard.why or status, "".join(said)


def ends(program, pattern=""):
    """Run a program, which must end well and print @pattern."""
    status, text = run(program)
    if isinstance(status, str) and "Exec format" in status:
        print("    # this host does not run it: linked only")
    elif status or not re.search(pattern, text, re.MULTILINE):
        raise Wrong(f"{program} ended with {status}: {text}")


def built_and_run(build, *programs, **variables):
    """Build @programs, in BUILD/use/, and run them where the host can."""
    paths = [f"{build}/use/{name}" for name in programs]
    make(build, *paths, **variables)
    for path in paths:
        ends(path)


def template(build, more, *programs, **variables):
    """Build programs on the template, and run them where the host can."""
    settings = CROSS | variables | {"PORT": TEMPLATE, "LIBFLAGS": f"{more} {BARE}"}
    built_and_run(build, *programs, **settings)


def no_system_headers(cc=CROSS.get("LIBCC", "gcc")):
    """Flags with which the compiler finds only its own headers."""
    return f"-nostdinc -isystem {call([cc, '-print-file-name=include']).strip()}"


def test_core(build):
    """the core alone: examples/arena on arch/host"""
    built_and_run(build, "arena", CORE="1")


def documented(build, install):
    """Perform the commands of docs/porting.md in their order, those that install or the others, in
    a home directory below @build: (what they say, this directory)."""
    rooms.write(os.path.join(ROOT, build, "program.c"), lib.program())
    said, home = "", os.path.join(os.path.abspath(os.path.join(ROOT, build)), "home")
    for command in [c for c in lib.commands() if "PORT=" not in c or X86]:
        if command.startswith("make install ") == install:
            words = outer_make.command(build, *command.replace("$HOME", home).split()[1:])
            said += call(words, command, env=outer_make.env())
    return said, home


def test_program(build):
    """the commands of docs/porting.md in their order, then its program by the line printed last"""
    said = documented(build, install=False)[0]
    words = re.findall(r"^a program of yours: *(.*program\.c.*)$", said, re.MULTILINE)[-1]
    words = words.replace("program.c", f"{build}/program.c")
    shell(words.replace("-o program", f"-o {build}/program"))
    ends(os.path.join(build, "program"), r"^\d+ of \d+ pages free$")


def compiled(cc, folder, sources, flags):
    """Compile @sources with the flags of `make amalgamation`: their objects."""
    objects = []
    for source in sources:
        objects.append(f"{folder}/{os.path.basename(source)[:-2]}.{cc}.o")
        words = [cc, *amalgamation.FLAGS.split(), "-Wall", "-Wextra", "-Wno-unused-parameter"]
        words += ["-Werror", *flags]
        call([*words, "-c", source, "-o", objects[-1]], f"{cc} {source}")
    return objects


def linked(cc, program, objects, *flags):
    """Link a program, and run it."""
    call([cc, *objects, *flags, "-o", program], f"{cc} {program}")
    ends(program)


def test_amalgamation(build):
    """two files instead of the core's: the template on them, with gcc and clang, and the program in
    docs/porting.md"""
    folder = os.path.join(build, "amalgamation")
    make(build, "amalgamation", CORE="1", PORT=TEMPLATE)
    # The template's sources include quarry/NAME.h: each such file must include quarry.h.
    for path in glob.glob(os.path.join(ROOT, "include", "quarry", "*.h")):
        name = os.path.join(folder, "one", "quarry", os.path.basename(path))
        rooms.write(os.path.join(ROOT, name), "#include <quarry.h>\n")
    alone = [f"{folder}/quarry.c", *(f"{TEMPLATE}/{n}.c" for n in ("main", "port", "machine"))]
    for cc in ("gcc", "clang") if X86 else ():
        flags = [f"-I{folder}", f"-I{folder}/one", f"-I{TEMPLATE}", *BARE.split()]
        objects = compiled(cc, folder, alone, [*flags, *no_system_headers(cc).split()])
        linked(cc, f"{folder}/template.{cc}", objects, "-nostdlib", "-static", "-no-pie")
    make(build, "amalgamation", PORT=TEMPLATE, PREFIX="q_")
    names = set().union(*lib.symbols(compiled("gcc", folder, [f"{folder}/quarry.c"], [])[0]))
    bare = [n for n in names if not n.startswith("q_") and not lib.KEPT.fullmatch(n)]
    if bare or len(names) < 100:
        raise Wrong(f"quarry.c with a prefix has {len(names)} names, without it: {' '.join(bare)}")
    make(build, "amalgamation", "lib", CORE="1", PORT="arch/host")
    rooms.write(os.path.join(ROOT, folder, "program.c"), lib.program())
    flags = [f"-I{build}/include", "-Iarch/host", "-pthread"]
    objects = compiled("gcc", folder, [f"{folder}/quarry.c", f"{folder}/program.c"], flags)
    linked("gcc", f"{folder}/program", objects, f"{build}/libquarry-port.a", "-pthread")


def cplusplus():
    """For each C++ compiler and standard: the beginning of the command in docs/porting.md."""
    for cc, std in CPLUSPLUS:
        if shutil.which(cc):
            yield f"{cc} -std={std} -Wall -Wextra -Werror"
        elif std == CPLUSPLUS[0][1]:
            print("    " + needs.line("C++", f"no {cc} here"))


def headers_in_cplusplus(words, build):
    """Compile all headers of the library as C++, before and after C++'s own."""
    paths = sorted(glob.glob(os.path.join(ROOT, build, "include", "quarry", "*.h")))
    text = "".join(f"#include <quarry/{os.path.basename(path)}>\n" for path in paths)
    rooms.write(os.path.join(ROOT, build, "before.cc"), f"{text}#include <cstring>\n")
    rooms.write(os.path.join(ROOT, build, "after.cc"), f"#include <cstring>\n{text}")
    sources = f"{build}/before.cc {build}/after.cc"
    shell(f"{words} -I{build}/include -Iarch/host -fsyntax-only {sources}")


def test_cplusplus(build):
    """C++: the command in docs/porting.md, with the headers and with quarry.h"""
    quarry, template_h = (f"{build}/amalgamation/{name}.h" for name in ("quarry", "template"))
    make(build, "amalgamation", PORT=TEMPLATE)
    shutil.copy(os.path.join(ROOT, quarry), os.path.join(ROOT, template_h))
    make(build, "amalgamation", "lib", CORE="1")
    objects = compiled("gcc", f"{build}/amalgamation", [f"{quarry[:-2]}.c"], [])
    for words in cplusplus():
        headers = lib.cplusplus().replace("g++ -std=c++17", words).replace("build/", f"{build}/")
        # What is in quarry.h hides the headers: each has a guard.
        one = headers.replace(f"-I{build}", f"-include {quarry} -I{build}")
        headers_in_cplusplus(words, build)
        shell(f"{words} -fsyntax-only -include {template_h} -xc++ /dev/null")
        for command in (headers, one.replace(f"{build}/libquarry-mm.a", objects[0])):
            shell(command)
            ends(f"{build}/blocks")


def test_installed(build):
    """the program in docs/porting.md, with what `make install` has put into a directory"""
    shutil.rmtree(os.path.join(ROOT, build, "home"), ignore_errors=True)
    prefix = os.path.join(documented(build, install=True)[1], ".local")
    text = rooms.read(os.path.join(prefix, "lib", "pkgconfig", "quarry-mm.pc"))
    found = dict(re.findall(r"^(\w+): (.*)", text.replace("${prefix}", prefix), re.MULTILINE))
    for words in ("gcc", "g++ -xc++"):
        source = f"{found['Cflags']} {build}/program.c -xnone {found['Libs']}"
        shell(f"{words} {source} -o {prefix}/program")
        ends(os.path.join(prefix, "program"), r"^\d+ of \d+ pages free$")


def test_archives(build):
    """the archives of a release: the same bytes twice; the tree builds without git; the core in two
    files by its README, with each compiler"""
    folder, both = os.path.join(ROOT, build, "dist"), []
    for _ in range(2):
        make(build, "dist", ONLY="source,amalgamation")
        both.append({name: open_bytes(f"{folder}/{name}") for name in os.listdir(folder)})
    if both[0] != both[1]:
        raise Wrong("not the same bytes twice")
    if outer_make.run(build, "dist", ONLY="sorce") is None or not os.path.isdir(folder):
        raise Wrong("a wrong name of a part is taken, or costs the archives")
    for path in glob.glob(f"{folder}/*.tar.xz"):
        with tarfile.open(path) as tar:
            tar.extractall(folder)
    trees = {path.split("/quarry-")[-1][0]: path for path in glob.glob(f"{folder}/*[0-9]/")}
    call(["make", "-s", "-C", trees["1"], "lib", "CORE=1"], env=outer_make.env())
    how = re.search(r"^    gcc (.*)$", rooms.read(trees["a"] + "README"), re.MULTILINE)[1]
    for cc in ("gcc", "clang"):
        call(["sh", "-c", f"cd {trees['a']} && {cc} -Wall -Wextra -Wno-unused-parameter {how}"])
        ends(f"{trees['a']}program", r"^\d+ of \d+ pages free$")
    call(["sh", "-c", f"cd {trees['a']} && gcc {how.split(' -pthread')[0]} -c quarry.c host.c"])
    for words in cplusplus():
        shell(f"cd {trees['a']} && {words} -pthread -xc++ program.c -xnone *.o -o program")
        ends(f"{trees['a']}program", r"^\d+ of \d+ pages free$")


def open_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def as_rust(declared):
    """A C parameter, or a result and a name, as Rust writes its type."""
    const, name, star = re.match(r"(const )?(?:struct )?(\w+) (\*)?", declared).groups()
    words = {"unsigned": "c_uint", "gfp_t": "c_uint", "size_t": "usize", "int": "c_int"}
    name = words.get(name) or "c_void" * (name == "void") or name.title().replace("_", "")
    return f"*{'const' if const else 'mut'} {name}" if star else name


def rust_declares(source):
    """What a Rust program declares otherwise than the headers do."""
    headers = "".join(map(rooms.read, ["include/quarry/mm.h", "arch/host/host.h"]))
    for name, given, result in re.findall(r"^    fn (\w+)\((.*)\)(?: -> (.*))?;", source, re.M):
        found = re.search(rf"^([\w *]* \*?){name}\(([^)]*)\)", headers, re.M)
        want = [as_rust(text.strip()) for text in found[2].split(",")] if found else []
        want.append(as_rust(found[1] + name) if found else "nothing")
        have = [*(text.split(": ")[1] for text in given.split(", ")), result or "c_void"]
        if have != want:
            yield f"{name}: {have}, the header has {want}"
    values = dict(re.findall(r"^#define (GFP_\w+) +(\w+)", headers, re.M))
    for name, value in re.findall(r"^const (\w+): c_uint = (\w+);", source, re.M):
        if values.get(values[name], values[name]) != f"{value}u":
            yield f"{name} is not {value}"


def test_rust(build):
    """Rust: the command in docs/porting.md; its declarations are those of the headers"""
    source = rooms.read("examples/rust/blocks.rs")
    if wrong := list(rust_declares(source)):
        raise Wrong("\n".join(wrong))
    if not list(rust_declares(source.replace("gfp: c_uint, ", ""))):
        raise Wrong("a missing parameter is not noticed")
    if not shutil.which("rustc"):
        print("    " + needs.line("Rust", "no rustc here"))
        return
    make(build, "lib", CORE="1")
    shell(lib.rust().replace("build/", f"{build}/"))
    ends(f"{build}/blocks", r"^3937 blocks, 2937 meanwhile, 3937 now$")


def test_full(build):
    """all of mm/: the same program, and its headers as C++"""
    built_and_run(build, "arena")
    for words in cplusplus():
        headers_in_cplusplus(words, build)


def test_order3(build):
    """the core with pageblocks of 8 pages, in the headers too"""
    built_and_run(build, "arena", CORE="1", LIBFLAGS="-DPAGEBLOCK_ORDER=3")


def test_prefix(build):
    """PREFIX=quarry_: no other name is left, and the headers stand beside a kernel that has the
    same names"""
    built_and_run(build, "arena", CORE="1", PREFIX="quarry_")
    defined = lib.symbols(os.path.join(ROOT, build, "libquarry-mm.a"))[0]
    if bare := [name for name in defined if not name.startswith("quarry_")]:
        raise Wrong(f"no prefix: {' '.join(bare)}")
    home = os.path.join(ROOT, build, "prefixed")
    make(build, "install", CORE="1", PREFIX="quarry_", prefix=home)
    if "-include quarry/prefix.h" not in rooms.read(f"{home}/lib/pkgconfig/quarry-mm.pc"):
        raise Wrong("pkg-config: a program does not get the prefix")
    words = f"gcc -Wall -Werror -fsyntax-only -I{build}/include -Iarch/host -xc -"
    call(words.split(), input=NEIGHBOUR)


def test_bare32(build):
    """the core with -m32, no C library and no header of the host, on the template: links, and runs
    if the host can"""
    flags = f"-m32 -march=i686 {no_system_headers()}"
    template(build, flags, "template", "porting-check", CORE="1")


def test_full32(build):
    """all of mm/ with -m32 and no C library, on the template"""
    template(build, "-m32 -march=i686", "template")


def test_one_cpu(build):
    """the core for one CPU, NR_CPUS=1, without a C library: the template as it is"""
    template(
        build, f"-DNR_CPUS=1 {no_system_headers()}", "template", "porting-check", CORE="1"
    )


def test_port(build):
    """arch/host passes the conformance suite, and no check is skipped"""
    paths = [f"{build}/use/{name}" for name in ("porting-check", "porting-wrong")]
    make(build, *paths, CORE="1")
    for path in paths:
        ends(path, r" 0 failed, 0 skipped")


def test_kernel_port(build):
    """the kernel's own locks and cross-calls pass the conformance suite"""
    sources = {"PORT_SRCS": "$(HOST_BASE) $(SHARED_SRCS)"}
    built_and_run(build, "porting-check", CORE="1", **sources)


def test_wrong_ports(build):
    """in each port with one fault, the check for that fault finds it"""
    make(build, f"{build}/use/porting-wrong", CORE="1")
    for wrong, name in WRONG.items():
        status, text = run(f"{build}/use/porting-wrong", f"not ok {name}\n", WRONG=wrong)
        if status == 0 or f"not ok {name}\n" not in text:
            raise Wrong(f"WRONG={wrong}: {name} does not notice (status {status}): {text}")


def test_mini(build):
    """examples/mini, another kernel on two files, boots in QEMU with 1 and with 4 CPUs; its port
    passes the conformance suite"""
    # 5 GiB: there is RAM on both sides of the hole below 4 GiB.
    for name, cpus, mem in ("mini", 1, 64), ("mini", 4, 5120), ("check", 4, 256):
        elf = f"{build}/mini/{name}.elf"
        make(build, elf)
        machine = qemu.Machine(kernel=os.path.join(ROOT, elf), cpus=cpus, mem=mem, ktap=False)
        done, well = machine.run(f"{name}-{cpus}", str(cpus)), f"mini: {cpus} CPU.*^mini: ok$"
        well = (r"^porting-check: .* 0 failed.*" if name == "check" else "^") + well
        if done.status != qemu.PASS_STATUS or not done.has(f"(?s){well}"):
            raise Wrong(done.story())


# {name: (directory, test)}; tests of one directory share its builds.
TESTS = {
    "core": ("core", test_core),
    "program": ("core", test_program),
    "amalgamation": ("core", test_amalgamation),
    "cplusplus": ("core", test_cplusplus),
    "rust": ("core", test_rust),
    "port": ("core", test_port),
    "wrong_ports": ("core", test_wrong_ports),
    "installed": ("core", test_installed),
    "archives": ("core", test_archives),
    "kernel_port": ("plain", test_kernel_port),
    "full": ("full", test_full),
    "order3": ("order3", test_order3),
    "prefix": ("prefix", test_prefix),
    "bare32": ("bare32", test_bare32),
    "full32": ("full32", test_full32),
    "one_cpu": ("one", test_one_cpu),
    "mini": ("core", test_mini),
}


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--only", help="tests, with commas: " + ",".join(TESTS))
    args = parser.parse_args()
    counts, start = check.Counts(), time.monotonic()
    for name in rooms.chosen(parser, args.only, TESTS, "test"):
        folder, test = TESTS[name]
        try:
            wrong = test(os.path.join(args.build, f"lib-{folder}")) or ""
        except Wrong as error:
            wrong = "\n    " + str(error).strip().replace("\n", "\n    ")
        print(f"  {'not ok' if wrong else 'ok'} {name}: {test.__doc__}{wrong}", flush=True)
        counts.one(not wrong, f"library: {name}")
    return counts.close("library", start)


if __name__ == "__main__":
    rooms.run(main)
