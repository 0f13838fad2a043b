# SPDX-License-Identifier: MIT
"""tools/bench/bench_count.py and its plugin of QEMU: the places they find in the kernel, and their
counts."""
import os
import re

import pytest

import bench
import bench_count
import bench_report
import qemu

ELF = os.path.join(qemu.BUILD, "quarry.elf")
CONSOLE = """bench: row #0 is end
bench: row #1 is empty
bench: row #2 is fill_order0
bench: row #3 is free_random_order0
bench: lock 0xff10 is of a zone
"""
COUNTS = """row 1 10 40 0 0 10 0 0
row 2 4 176 4 12 20 8 1
held 2 ff10 60 2
at 2 1010 6
at 2 1020 2
held 2 ff20 4 4
row 3 4 96 0 8 8 8 2
held 3 ff10 20 1
off 500 10 20 30 400
off 900 30 40 50 800
"""


def test_counts_are_of_one_operation_and_net_of_the_marks():
    counts = bench_count.Counts(COUNTS, CONSOLE)
    assert counts.per("fill_order0", bench_count.INSNS) == 44 - 4
    assert counts.per("fill_order0", bench_count.CODE) == 5 - 1
    assert counts.per_held("fill_order0", True, 0) == 15
    assert counts.per_held("fill_order0", False, 1) == 1
    assert list(bench_count.loaded(counts, "irqs_off_max")) == [
        ("irqs_off_max", 900, "instructions")
    ]


def test_a_lock_is_full_where_its_share_of_the_work_is_one_cpu(monkeypatch):
    monkeypatch.setattr(bench_report, "COUNTED", "fill_order0 free_random_order0")
    counts = bench_count.Counts(COUNTS.replace("row 1 ", "row 2 ", 0), CONSOLE)
    counts.rows["order0_pair"] = counts.rows["fill_order0"]
    found = {name: value for name, value, _ in bench_count.counted(counts)}
    assert found["zone_lock_held_pair"] == 15 + 5
    assert found["zone_lock_taken_pair"] == 0.75
    assert found["other_locks_held_pair"] == 1
    assert found["zone_lock_full_at"] == (40 + 20) / 20
    assert found["relinks_pair"] == 0.75
    assert found["trace_off_cost"] == 2


class Functions:
    def at(self, address):
        return "one" if address < 0x1018 else "two", 0


def test_profile_says_in_which_functions_the_instructions_are():
    lines = list(bench_count.profile(bench_count.Counts(COUNTS, CONSOLE), Functions()))
    assert [line.split() for line in lines] == [
        ["fill_order0:", "2.0", "instructions"],
        ["1.5", "one"],
        ["0.5", "two"],
    ]


@pytest.mark.parametrize(
    "function, text, kinds",
    [
        ("f", "cli", ["off"]),
        ("f", "sti", ["on"]),
        ("f", "iretq", ["leave"]),
        ("f", "lock cmpxchg %edx,(%rdi)", ["locked"]),
        ("f", "xchg   %eax,(%rdi)", ["locked"]),
        ("f", "xchg   %ax,%ax", []),
        ("spin_lock", "lock cmpxchg %edx,(%rdi)", ["locked", "take"]),
        ("spin", "pause", ["spin"]),
        ("spin", "ret", ["spun"]),
        ("f", "ret", []),
    ],
)
def test_instructions_are_known(function, text, kinds):
    assert list(bench_count.kind_of(function, text)) == kinds


def test_the_test_whether_to_record_is_found_behind_other_instructions():
    body = ["push   %rbp", "cmpl   $0x0,0x20(%rdi)", "jne    10", "incl   %gs:0x8", "ret"]
    code = [
        (name, at + i, text)
        for name, at in (("mem_alloc_page", 0), ("mem_free_page", 16))
        for i, text in enumerate(body)
    ]
    assert list(bench_count.tests_of_trace(code)) == [1, 2, 17, 18]
    with pytest.raises(bench_count.Failed, match="mem_alloc_page: does not begin"):
        list(bench_count.tests_of_trace([code[0], *code[2:]]))
    with pytest.raises(bench_count.Failed, match="different words"):
        other = [(f, at, t.replace("0x20", "8") if at >= 16 else t) for f, at, t in code]
        list(bench_count.tests_of_trace(other))


def test_calls_of_a_function_are_rows_up_to_the_instruction_behind_them(tmp_path, monkeypatch):
    code = [("f", 1, "call   1000 <one>"), ("f", 6, "call   2000 <two>"), ("f", 11, "ret")]
    lines = [("call", 6, 16), ("next", 11, 16), ("call", 1, 17), ("next", 6, 17)]
    assert sorted(bench_count.calls_of(code, ["two", "one"])) == sorted(lines)
    with pytest.raises(bench_count.Failed, match="nothing in the kernel calls on"):
        list(bench_count.calls_of(code, ["on"]))
    monkeypatch.setattr(bench_count, "Functions", lambda elf: Functions())
    out = tmp_path / "counts"
    out.write_text(
        "row 2 9 9 0 0 0 0 0\nrow 16 2 8 0 0 0 0 0\nat 16 1010 6\nat 16 1020 2\noff 1 2 3\n"
    )
    lines = list(bench_count.profile_of_calls(str(out), ["two", "one"], ""))
    assert [line.split() for line in lines] == [
        ["two:", "2", "calls"],
        ["one:", "0", "calls"],
        ["two:", "4.0", "instructions"],
        ["3.0", "one"],
        ["1.0", "two"],
    ]


@pytest.mark.full
def test_the_calls_of_a_function_are_profiled(capsys):
    words = ["--build", qemu.BUILD, "--only", "trace_tar_gzip", "--profile", "mem_free_pages,mem"]
    assert bench.main(words) == 1
    assert "nothing in the kernel calls mem," in capsys.readouterr().out
    trace = os.path.join(qemu.ROOT, "bench", "traces", "short.trace")
    words = ["--build", qemu.BUILD, "--traces", trace, "--profile", "mem_free_pages"]
    assert bench.main(words) == 0
    said = capsys.readouterr().out
    assert int(re.search(r"^mem_free_pages: (\d+) calls$", said, re.M).group(1)) >= 100
    assert re.search(r"^ +3\d\.\d  mem_free_pages?$", said, re.M)


def test_the_kernel_has_what_is_counted():
    lines = bench_count.spec(ELF, bench_count.source_rows()).split("\n")
    kinds = [line.split()[0] for line in lines if line]
    for kind in ("text", "marks", "stacks", "load", "entry", "off", "on", "leave", "drop", "mark"):
        assert kind in kinds
    assert kinds.count("take") >= 3 and kinds.count("test") >= 4 and kinds.count("relink") >= 1
    profiled = bench_count.spec(ELF, bench_count.source_rows(), ["mem_free_pages"])
    assert "\nmark " not in profiled and "\ncall " in profiled  # a mark would end a call's row


def test_another_program_is_refused_by_what_it_lacks():
    with pytest.raises(bench_count.Failed, match="no bench_mark, bench_marks"):
        bench_count.spec(bench_count.plugin(qemu.BUILD), {"load": 7})


def measured(name, groups, cpus, mem):
    options, out = bench_count.options(qemu.BUILD, name)
    machine = qemu.Machine(cpus=cpus, mem=mem, icount=True, extra=options)
    run = machine.run(name, f"bench={groups} selftest=none tour=off monitor=off")
    assert run.passed, run.story()
    return {n: value for n, value, _ in bench_count.figures(out, run.text, qemu.BUILD)}


@pytest.mark.full
def test_operations_are_counted_and_alike_in_each_run():
    found = measured("count-a", "counted", 1, 512)
    assert sorted(found) == sorted(bench_report.of_group("counted"))
    assert found["locked_order0_pair"] == 0 and found["locked_put_page_pair"] == 1
    assert found["trace_off_cost"] == 6
    assert 2 <= found["lines_order0_pair"] < found["lines_order4_pair"]
    assert found["locked_order4_pair"] < 1  # its stack serves it
    assert found["zone_lock_taken_pair"] > 0 and found["zone_lock_full_at"] > 1
    assert measured("count-b", "counted", 1, 512) == found


def test_sections_with_interrupts_off_are_found_under_load():
    found = measured("count-load", "load", 2, 128)
    with open(os.path.join(qemu.BUILD, "qemu", "irqs-off.txt"), encoding="utf-8") as f:
        longest = f.readline()
    assert longest.startswith(f"{found['irqs_off_max']} from ") and "+0x" in longest
    assert found["irqs_off_max"] > 100
