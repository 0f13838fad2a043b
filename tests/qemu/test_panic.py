# SPDX-License-Identifier: MIT
"""The report of a panic: its cause, its page, the last records, the place of each CPU, and the
command to run it again."""
import re

import pytest

import qemu

CPUS = 3
EVENT = r"^ +\d+ us  cpu \d+ +\w+ +pfn 0x[0-9a-f]+ order \d+$"
# {fault: (first line of the report, is it about a page)}
FAULTS = {
    "badfree": (r"bad free of page \w+, order 0: double free", True),
    "corrupt": (r"page \w+: expected PCP order 0 refs 0, found PCP order 0 refs 0 flags 0x2", True),
    "freelist": (
        r"page \w+: expected TAIL order 0 refs 0, found TAIL order 0 refs 0 flags 0x2",
        True,
    ),
    "null": (r"exception 14: page fault", False),
    "printk": (r"exception 13: general protection", False),
    "both": (r"page \w+: expected PCP order 0 refs 0, found PCP", True),
}


def panics(boot, fault, words="", **machine):
    """Boot with this fault. Returns the run, and its report from the first PANIC on."""
    run = boot(f"selftest=none fault={fault} {words}".strip(), tour=None, cpus=CPUS, **machine)
    assert run.status == qemu.FAIL_STATUS, run.story()
    assert "the machine continues" not in run.text, run.story()
    report = run.text[run.text.index("PANIC on CPU") :]
    assert report.startswith("PANIC on CPU"), run.story()
    return run, report


def in_order(run, report, patterns):
    at = 0
    for pattern in patterns:
        match = re.compile(pattern, re.MULTILINE).search(report, at)
        assert match, f"no /{pattern}/ after what comes before it\n{run.story(80)}"
        at = match.end()


def ends_well(run, report):
    """Check that the last line is a command that repeats the run, always with a seed."""
    last = [line for line in report.split("\n") if line.strip()][-1]
    match = re.fullmatch(
        r'To run it again: make run BOOT=pvh CPUS=(\d+) NODES=1 MEM=(\d+)M CMDLINE="(.*)"', last
    )
    assert match, run.story()
    assert int(match.group(1)) == CPUS and int(match.group(2)) == 256, last
    assert (
        match.group(3).startswith("selftest=none fault=") and match.group(3).count("seed=0x") == 1
    ), last


def all_cpus(report):
    return set(
        re.findall(
            r"^CPU (\d+)(?: \(APIC id \d+\): asked, NMI in thread .*|: panics)$", report,
            re.MULTILINE,
        )
    )


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_says_everything(boot, fault):
    what, page = FAULTS[fault]
    run, report = panics(boot, fault)
    in_order(
        run,
        report,
        [rf"PANIC on CPU \d+, thread \w+: {what}"]
        + (
            [
                r"^page: pfn 0x[0-9a-f]+ (PCP|TAIL) order \d+ refs 0 flags 0(x2)? pins 0\n"
                r"page: block 0x[0-9a-f]+ \w+, zone 0$",
                r"^history of pfn 0x[0-9a-f]+: (time, cpu, what, block|nothing recorded)$",
            ]
            if page
            else []
        )
        + [
            r"^last events: time, cpu, what, block \(slow paths only; all with history=all\)$",
            EVENT,
            r"^CPU \d+: panics$",
            r"^  [0-9a-f]{16} panic\+0x",
            r"^  [0-9a-f]{16} fault_provoke\+0x|thread_main\+0x",
            r"^To run it again: ",
        ],
    )
    assert all_cpus(report) == {str(cpu) for cpu in range(CPUS)}, run.story(80)
    assert len(re.findall("^PANIC", report, re.MULTILINE)) == 1, run.story(80)
    assert not page or re.search("^page: ", report, re.MULTILINE)
    ends_well(run, report)


def test_history_of_everything(boot):
    """With history=all the report has the two frees and the records before them."""
    run, report = panics(boot, "badfree", "history=all seed=0x77")
    pfn = re.search(r"^page: pfn (0x[0-9a-f]+) ", report, re.MULTILINE).group(1)
    in_order(
        run,
        report,
        [
            rf"^history of pfn {pfn}: time",
            rf"  alloc +pfn {pfn} order 0$",
            rf"  free +pfn {pfn} order 0$",
            r"^last events: time, cpu, what, block$",
            EVENT,
            r"^CPU",
        ],
    )
    ends_well(run, report)
    assert "seed=0x77" in report.split("\n")[-2], report[-300:]


def test_failing_report_continues(boot):
    """The rings cannot be read: two parts of the report fault, and the others are printed."""
    run, report = panics(boot, "report")
    in_order(
        run,
        report,
        [
            r"PANIC on CPU 0, thread main: bad free",
            "^page: pfn",
            "^CPU 0: exception 13",
            r"^PANIC on CPU 0, thread \?, in the report: exception 13",
            r"^PANIC on CPU 0, thread \?, in the report: exception 13",
            "^CPU 0: panics",
        ],
    )
    assert all_cpus(report) == {"0", "1", "2"}, run.story(80)
    assert (
        len(re.findall("^CPU 0: exception 13, general protection, in thread main$", report, re.M))
        == 2
    ), run.story(80)
    ends_well(run, report)


def test_silent_cpu(boot):
    """A silent CPU is reported once, with the backtraces of both CPUs. After six times that
    timeout the kernel panics."""
    run, report = panics(boot, "silent", "ipi_timeout=300")
    before = run.text[: run.text.index("PANIC")]
    silent = CPUS - 1
    in_order(
        run,
        before,
        [
            rf"^smp: CPU {silent} has not answered call \d+ of CPU 0, inbox bit (still set|taken)$",
            r"^CPU 0 \(APIC id 0\): asks, in thread main$",
            r" fault_provoke\+0x",
            rf"^CPU {silent} \(APIC id \d+\): asked, NMI in thread hang, irqs off$",
            # A called function has no frame in its first instructions, and then hides its caller.
            r"^  [0-9a-f]+ (hang|arch_clock_ns)\+0x",
            rf"^smp: CPU {silent} has not answered",
        ],
    )
    in_order(
        run,
        report,
        [
            r"PANIC on CPU 0, thread main: smp: a cross-call of CPU 0 was not answered",
            "^last events",
            r" fault_provoke\+0x",
            rf"^CPU {silent} \(APIC id \d+\): asked, NMI in thread hang, irqs off$",
        ],
    )
    ends_well(run, report)


def test_report_is_whole_while_others_print(boot):
    """The other CPUs print lines without end; none of them is between the report's lines."""
    run, report = panics(boot, "talk", threads="multi")  # so that CPUs print at the same time
    run.says("^fault: CPU [12] prints a line$")
    assert "prints a line" not in report, run.story(80)
    assert all_cpus(report) == {str(cpu) for cpu in range(CPUS)}, run.story(80)
    ends_well(run, report)


def test_registers_are_part_of_the_report(boot):
    """An exception is reported while other CPUs print: none of their lines comes after the first
    line of the report."""
    run, report = panics(boot, "talknull", threads="multi")
    run.says("^fault: CPU [12] prints a line$")
    report = run.text[re.search(r"^CPU 0: exception 14, page fault", run.text, re.M).start() :]
    assert "prints a line" not in report and "\ncr2 " in report, run.story(80)
    ends_well(run, report)


def test_panic_shows_hidden_text(boot):
    """After a panic in a selftest whose text went only to the log, the console has the test's name
    and text, and the report."""
    run = boot("selftest=buddy,fatal report=short", cpus=CPUS)
    assert run.status == qemu.FAIL_STATUS, run.story()
    in_order(
        run,
        run.text,
        [
            "^ok 1 buddy ",
            "^  # begin fatal.panics_as_it_should\n  # said before the panic\n\n"
            "PANIC on CPU 0, thread main: as it should$",
            "^CPU 0: panics$",
            "^To run it again: ",
        ],
    )
    assert run.text.count("# begin") == 1 and run.text.count("PANIC") == 1, run.story()


def test_unknown_fault(boot):
    run = boot("selftest=buddy fault=none")
    run.says(r"command line: .*\bfault\b.* malformed")
    run = boot("selftest=none fault=both", cpus=1)
    assert run.failed and run.has("^fault: both: the machine continues"), run.story()
