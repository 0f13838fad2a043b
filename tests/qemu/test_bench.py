# SPDX-License-Identifier: MIT
"""tools/bench/bench.py: figures, the gate, records, the page, and the messages about bad files."""
import gzip
import json
import os
import platform
import re
import subprocess

import pytest

import bench
import bench_hosted
import bench_report
import figures as drawings
import qemu

GCC = "gcc 12.2.0"
PEERS = {"columns": ["Linux"], "rows": {"a_pair": {"Linux": {"value": 400, "how": "a <module>"}}}}


def figure(name, value, compiler=GCC):
    return {
        "name": name,
        "unit": "instructions",
        "value": value,
        "engine": "icount",
        "machine": "4 CPUs, 2 nodes of 512 MiB",
        "compiler": compiler,
    }


def line(figures, why="first", compiler=GCC):
    return {"compiler": compiler, "why": why, "figures": figures}


def test_figures_are_collected_with_their_machine():
    text = "bench: compiler 12.2.0\nbench: a_pair 39 instructions\nbench: share 0.0156 interrupts\n"
    figures = bench.collect(text, "1 CPU, 1 GiB")
    assert [(f["name"], f["value"], f["unit"]) for f in figures] == [
        ("a_pair", 39, "instructions"),
        ("share", 0.0156, "interrupts"),
    ]
    assert {f["compiler"] for f in figures} == {GCC} and figures[0]["machine"] == "1 CPU, 1 GiB"


def test_a_trace_gives_its_figures_their_names():
    text = "bench: trace 190.5 instructions\nbench: fragmentation 2.3 %\n"
    names = [f["name"] for f in bench.collect(text, "", trace="some/cc-build.trace.gz")]
    assert names == ["trace_cc_build", "fragmentation_cc_build"]


def test_each_boot_states_its_machine():
    assert bench.Boot(dict(cpus=4, nodes=[512, 512])).said == "4 CPUs, 2 nodes of 512 MiB"
    assert bench.Boot(dict(cpus=1, mem=1024)).said == "1 CPU, 1 GiB"
    assert bench.Boot(dict(cpus=255, mem=1 << 20)).said == "255 CPUs, 1 TiB"


@pytest.mark.parametrize(
    "name, value, than, fails",
    [
        ("a_pair", 103, 100, False),
        ("a_pair", 104, 100, True),
        ("a_pair", 41, 39, True),
        ("a_pair", 1, 0, True),
        ("a_pair", 10, 100, False),
        ("blocks_back_after_churn", 96, 100, True),
        ("blocks_back_after_churn", 200, 100, False),
        ("policy_none_hits", 90, 100, True),
        ("lines_a_pair", 10, 8, False),
        ("lines_a_pair", 10.1, 8, True),
        ("code_lines_a_pair", 7, 5, False),
        ("code_lines_a_pair", 8, 5, True),
        ("code_lines_a_pair", 102.5, 100, False),
        ("zone_lock_full_at", 1, 2, False),
        ("zone_lock_full_at", 2, 1, False),
    ],
)
def test_gate(name, value, than, fails, capsys):
    verdict = bench_report.judge([figure(name, value)], {name: than})
    assert bool(verdict) == fails
    assert bench_report.say(verdict, 1, GCC, GCC) == int(fails)
    said = capsys.readouterr().out
    assert said.endswith(f"{1 - fails} passed, {int(fails)} failed\n")
    assert (f"FAILED bench: {name}: " in said) == fails


def test_a_missing_row_fails_by_its_name():
    wrong = bench_report.wrong([figure("a_pair", 1), figure("new", 2)], ["a_pair", "b_pair"])
    assert [line.split(":")[0] for line in wrong] == ["b_pair", "new"]
    assert "missing" in wrong[0] and "bench_report.py" in wrong[1]
    assert bench_report.wrong([figure("a_pair", 1)] * 2, ["a_pair"]) == ["a_pair: measured twice"]


def test_the_rows_of_all_boots_are_recorded_and_no_others():
    rows = [row for boot in bench.BOOTS for row in boot.rows] + bench_hosted.rows()
    assert len(rows) == len(set(rows))
    assert sorted(rows) == sorted(bench_report.recorded(bench_report.read_history(), GCC))


def test_make_test_expects_only_what_it_measures():
    quick = [row for boot in bench.BOOTS if boot.quick for row in boot.rows]
    assert "order0_pair" in quick and "trace_tar_gzip" in quick
    assert "fill_order0" not in quick and "hosted_pair" not in quick


def test_other_compilers_are_only_reported(capsys):
    history, figures = [line({"a_pair": 1})], [figure("a_pair", 99, "clang 14.0.6")]
    assert bench_report.nearest(history, "clang 14.0.6") is None
    known = bench_report.known_of(figures, history)
    assert known is None and not bench_report.judge(figures, known)
    assert bench_report.say([], 1, "clang 14.0.6", None) == 0
    assert "only reported" in capsys.readouterr().out


@pytest.mark.parametrize(
    "compiler, compared",
    [(GCC, GCC), ("gcc 12.3.0", GCC), ("gcc 13.3.0", GCC), ("gcc 16.2.0", "gcc 14.2.0")],
)
def test_a_version_without_a_record_is_compared_with_the_nearest(compiler, compared, capsys):
    """It may be 10 % worse, and the output says so."""
    history = [line({"a_pair": 100}), line({"a_pair": 100}, compiler="gcc 14.2.0")]
    assert bench_report.nearest(history, compiler) == compared
    figures = [figure("a_pair", 110, compiler)]
    assert bench_report.known_of(figures, history) == {"a_pair": 100}
    wider = bench_report.judge(figures, {"a_pair": 100}, bench_report.WIDER)
    assert not wider and bench_report.judge(figures, {"a_pair": 100})
    bench_report.say([], 1, compiler, compared)
    assert ("10% worse than with" in capsys.readouterr().out) == (compiler != compared)


def test_the_last_record_of_each_row_counts():
    history = [line({"a_pair": 1, "b": 5, "c": 6}), line({"a_pair": 2}), line({"c": None})]
    history.append(line({"a_pair": 3}, compiler="clang"))
    assert bench_report.recorded(history, GCC) == {"a_pair": 2, "b": 5}


def test_a_figure_is_compared_with_its_own_compilers(tmp_path):
    figures = [figure("a_pair", 40, "clang 14.0.6"), figure("hosted_pair", 170)]
    history = [line({"a_pair": 39, "hosted_pair": 171})]
    assert bench_report.known_of(figures, history) is None
    history.append(line({"a_pair": 41}, compiler="clang 14.0.6"))
    assert bench_report.known_of(figures, history) == {"a_pair": 41, "hosted_pair": 171}
    path = str(tmp_path / "history.jsonl")
    assert bench_report.record(figures, history, "", path) == 0
    assert bench_report.read_history(path) == [line({"a_pair": 40}, "", "clang 14.0.6")]


def test_a_record_has_what_changed(tmp_path):
    path = str(tmp_path / "history.jsonl")
    history = [line({"a_pair": 50, "b_pair": 7, "c_pair": 8})]
    figures = [figure("a_pair", 40), figure("c_pair", 8)]
    assert bench_report.record(figures, history, "", path) == 0
    (row,) = bench_report.read_history(path)
    assert row == line({"a_pair": 40}, "")
    assert bench_report.recorded([*history, row], GCC) == {"a_pair": 40, "b_pair": 7, "c_pair": 8}


def test_a_figure_rises_only_with_a_reason(tmp_path):
    path = tmp_path / "history.jsonl"
    history = [line({"a_pair": 40})]
    with pytest.raises(bench_report.Failed, match="a_pair would rise"):
        bench_report.record([figure("a_pair", 41)], history, "  ", str(path))
    assert not path.exists()
    assert bench_report.record([figure("a_pair", 41)], history, "a check more", str(path)) == 0
    assert json.loads(path.read_text())["why"] == "a check more"


def test_a_malformed_history_is_named(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"compiler": "x"}\n')
    with pytest.raises(bench_report.Failed, match="history.jsonl:1: not a record"):
        bench_report.read_history(str(path))


def test_history_and_peers_of_the_tree():
    rows = bench_report.read_peers()
    assert all(
        cell["how"] and column in rows["columns"]
        for row in rows["rows"].values()
        for column, cell in row.items()
    )
    assert bench_report.recorded(bench_report.read_history(), GCC)


def test_table(capsys):
    bench_report.print_rows(bench_report.cells_of([figure("a_pair", 39)], {"a_pair": 40}, PEERS))
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["figure", "recorded", "Linux"]
    assert row.split() == ["a_pair", "39", "40", "400"]


def test_other_compilers_have_a_column(capsys):
    history = [line({"a_pair": 1}), line({"a_pair": 44}, compiler="clang 14.0.6")]
    beside = bench_report.others(history, GCC)
    assert beside == {"clang": {"a_pair": 44}}
    cells = bench_report.cells_of([figure("a_pair", 39)], {"a_pair": 40}, PEERS, beside)
    bench_report.print_rows(cells)
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["figure", "recorded", "clang", "Linux"]
    assert row.split() == ["a_pair", "39", "40", "44", "400"]


def test_runs_that_differ_are_named():
    first, again = [figure("a_pair", 39), figure("b_pair", 7)], [figure("a_pair", 40)]
    assert bench_report.unequal(first, again) == ["a_pair: 39, then 40"]
    assert not bench_report.unequal(first, first)


def test_page_is_whole_and_names_how():
    page = bench_report.page(
        [figure("a_pair", 39)], PEERS, [line({"a_pair": 40}), line({"a_pair": 41})]
    )
    assert page.count("<svg") == page.count("</svg>") == 2  # one with bars, one with the history
    assert "a &lt;module&gt;" in page and "4 CPUs, 2 nodes of 512 MiB" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)  # the page loads no other file


def test_bad_files_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bench.main(["--traces", "none.trace"]) == 1
    assert "bench: none.trace: no such file" in capsys.readouterr().out
    assert bench.main(["--traces", " "]) == 1
    assert "names no file" in capsys.readouterr().out
    (tmp_path / "half.trace.gz").write_bytes(gzip.compress(b"# events" * 99)[:-9])
    assert bench.main(["--build", str(tmp_path), "--traces", "half.trace.gz"]) == 1
    assert "half.trace.gz: the packed file is cut short" in capsys.readouterr().out
    packed = bytearray(gzip.compress(bytes(range(256)) * 9))
    packed[12:40] = bytes(28)
    (tmp_path / "bad.trace.gz").write_bytes(packed)
    assert bench.main(["--build", str(tmp_path), "--traces", "bad.trace.gz"]) == 1
    assert "bench: bad.trace.gz: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, said",
    [
        (
            ["--only", "word-without-boot"],
            'ONLY: no row or group is named "word-without-boot"; groups: ',
        ),
        (["--only", "order0_pairs"], 'is named "order0_pairs"; near it: order0_pair, '),
        (["--only", ""], 'ONLY: no row or group is named ""; groups: memmap, '),
        (["--only", "pairs,"], 'ONLY: no row or group is named ""'),
        (["--record", " "], 'RECORD gives no reason: make bench RECORD="why"'),
        (["--record", "why", "--traces", "x"], "RECORD keeps the tree's own rows: not with TRACES"),
        (["--record", "why", "--plugin", "x"], "RECORD keeps the tree's own rows: not with PLUGIN"),
        (["--traces", "x", "--only", "pairs"], "ONLY and TRACES do not go together"),
        (["--plugin", "x", "--curves"], "PLUGIN and CURVES do not go together"),
        (["--profile", "f"], "PROFILE goes with ONLY or TRACES"),
        (
            ["--profile", "f", "--only", "pairs", "--record", "x"],
            "PROFILE goes with ONLY or TRACES",
        ),
        (["--repeat", "0"], "REPEAT=0: wanted a number of runs"),
        (["--repeat", "x"], "REPEAT=x: wanted a number of runs"),
        (["--repeat", "3", "--curves"], "REPEAT goes with rows"),
        (["--repeat", "3", "--only", "pairs", "--profile", "f"], "REPEAT goes with rows"),
        (["--only", "hosted_pair", "--profile", "f"], "PROFILE: no boot measures these rows"),
        (["--plugin", ""], "PLUGIN: no name: no such file"),
        (["--traces", "/"], "/: no such file"),
    ],
)
def test_odd_requests_are_refused_before_anything_is_measured(words, said, capsys, monkeypatch):
    monkeypatch.setattr(bench, "measure", None)
    assert bench.main(words) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and lines[0].startswith("bench: ") and said in lines[0]


def test_two_traces_of_one_name_are_refused(tmp_path, capsys):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.trace").write_text("")
    assert bench.main(["--traces", f"{tmp_path}/a/x.trace {tmp_path}/b/x.trace"]) == 1
    assert "two files whose row would be trace_x" in capsys.readouterr().out


def asked(monkeypatch, build, *words):
    """(names of the printed rows, boots) of a run in which all figures are 1."""
    booted = []

    def measure(boot, number, build):
        booted.append(boot)
        return [figure(name, 1) for name in boot.rows], 0.0

    monkeypatch.setattr(bench, "measure", measure)
    out = str(build / "out.json")
    assert bench.main(["--build", str(build), "--out", out, *words]) == 0
    with open(out, encoding="utf-8") as f:
        return [row["name"] for row in json.load(f)["figures"]], booted


def test_only_measures_the_named_rows_and_groups(tmp_path, monkeypatch):
    names, boots = asked(monkeypatch, tmp_path, "--only", "order0_pair,drain,trace_cc_build")
    assert names == ["order0_pair", "drain_all_empty", "trace_cc_build"] and len(boots) == 2
    names, boots = asked(monkeypatch, tmp_path, "--only", "ring3")
    assert names == bench_report.of_group("ring3") and len(boots) == 1


def test_hosted_rows_are_measured_again_and_compared(tmp_path, monkeypatch, capsys):
    runs = iter([[figure("hosted_pair", value)] for value in (1, 2)])
    monkeypatch.setattr(bench_hosted, "figures", lambda build, plugin: next(runs))
    asked(monkeypatch, tmp_path, "--only", "hosted_pair", "--repeat", "2")
    assert "run 2 differs: hosted_pair: 1, then 2" in capsys.readouterr().out


def test_a_figure_without_a_compiler_is_no_figure(monkeypatch, capsys):
    found = [figure("null_syscall", 1, "unknown")], 0.0
    monkeypatch.setattr(bench, "measure", lambda boot, number, build: found)
    assert bench.main(["--only", "null_syscall"]) != 0
    assert "no line names the compiler of null_syscall" in capsys.readouterr().out


def test_a_malformed_table_of_others_is_named(tmp_path):
    path = tmp_path / "peers.json"
    for text in ("{", "[]", '{"columns": []}'):
        path.write_text(text)
        with pytest.raises(bench_report.Failed, match="peers.json: not a table of other"):
            bench_report.read_peers(str(path))


def test_a_kernel_of_another_compiler_is_refused(monkeypatch):
    monkeypatch.setenv("CC", "clang-14")
    with pytest.raises(bench.Failed, match="built by gcc 12.2.0: build with clang in another"):
        bench.check_compiler([figure("a_pair", 1)])
    bench.check_compiler([figure("a_pair", 1, "clang 14.0.6")])
    bench.check_compiler([figure("null_syscall", 1, "unknown")])
    monkeypatch.setenv("CC", "x86_64-linux-gnu-gcc")
    bench.check_compiler([figure("a_pair", 1)])
    monkeypatch.setenv("CC", "cc")
    bench.check_compiler([figure("a_pair", 1)])


def test_compilers_are_named_by_kind_and_version():
    named = {"12.2.0": GCC, "Debian Clang 14.0.6": "clang 14.0.6", "Tiny 1": "Tiny 1"}
    for said, name in named.items():
        assert bench.compiler_of(f"bench: compiler {said}\n") == name
    assert bench.compiler_of("") == "unknown"


def test_a_malformed_trace_is_named_with_its_line(tmp_path, capsys):
    path = tmp_path / "bad.trace"
    path.write_text(
        "# events=2 allocs=1 frees=1 ids=1 peak_live_pages=1 cpus=1\na 0 0 U 0\nf 1 0\n"
    )
    assert bench.main(["--build", qemu.BUILD, "--traces", str(path)]) == 1
    said = capsys.readouterr().out
    assert "bad.trace: not a trace" in said and "bad.trace:3: " in said


def test_any_trace_is_replayed(tmp_path, capsys):
    path, out = tmp_path / "my-own.trace", tmp_path / "out.json"
    events = "a 0 0 U 0\nf 0 0\n" * 100
    path.write_text("# events=200 allocs=100 frees=100 ids=1 peak_live_pages=1 cpus=1\n" + events)
    words = ["--build", qemu.BUILD, "--traces", str(path), "--out", str(out)]
    assert bench.main(words) == 0, capsys.readouterr().out
    first = json.loads(out.read_text())["figures"]
    assert first[0]["name"] == "trace_my_own" and 0 < first[0]["value"] < 200
    assert bench.main(words) == 0
    assert json.loads(out.read_text())["figures"] == first  # equal, to the instruction


@pytest.mark.full
def test_plugins_are_refused_with_a_reason(tmp_path, capsys):
    assert bench.main(["--plugin", str(tmp_path / "none.so")]) == 1
    assert "none.so: no such file" in capsys.readouterr().out
    (tmp_path / "text.so").write_text("no program")
    assert bench.main(["--build", qemu.BUILD, "--plugin", str(tmp_path / "text.so")]) == 1
    assert re.search(r"^bench: compare: \S*text\.so: ", capsys.readouterr().out, re.M)


PLUGIN = """#include "plugin.h"
static uint64_t next;
int init(uint64_t nr, unsigned cpus) { return 0; }
int put(unsigned cpu, uint64_t at, unsigned order) { return 0; }
uint64_t metadata_bytes(void) { return 0; }
uint64_t get(unsigned cpu, unsigned order) { %s }
"""


@pytest.mark.parametrize(
    "get, said",
    [
        ("return *(volatile uint64_t *)8;", "compare.*: ended by signal 11"),
        ("return next++ % 9;", "plugin_get gave frame 0 twice"),
        ("return next++ ? 1ull << 40 : 0;", "plugin_get gave frame 1099511627776 for order 0"),
    ],
)
def test_a_plugin_that_breaks_is_told_how(get, said, tmp_path, capsys):
    folder = os.path.join(qemu.ROOT, "examples", "plugin")
    source, made = tmp_path / "broken.c", str(tmp_path / "broken.so")
    source.write_text(PLUGIN % get)
    command = ["gcc", "-shared", "-fPIC", f"-I{folder}", "-o", made, str(source)]
    subprocess.run(command, check=True)
    assert bench.main(["--build", qemu.BUILD, "--plugin", made]) == 1
    assert re.search(said, capsys.readouterr().out)


def test_traces_end_in_the_same_memory_for_ours_and_for_a_plugin(tmp_path):
    path = tmp_path / "half.trace"
    # Each of two blocks of 2 MiB is half in use.
    events = [f"a {i} 0 M 0" for i in range(1024)] + [f"f {i} 0" for i in range(0, 1024, 2)]
    path.write_text("# events=1536\n" + "\n".join(events) + "\n")
    figures = bench_hosted.fragmentation(qemu.BUILD, {"half": str(path)})
    assert [f["name"] for f in figures] == ["hosted_fragmentation_half", "lifo_fragmentation_half"]
    assert [f["value"] for f in figures] == [0.2, 0.2]  # in percent: 512 of 261,632 free pages
    path.write_text("# events=1\nx 0\n")
    with pytest.raises(bench_hosted.Failed, match="half.trace: not a trace"):
        bench_hosted.fragmentation(qemu.BUILD, {"half": str(path)})


def test_curves_are_drawn_to_scale():
    points = bench_hosted.measured("churn 0 0\nnoise\nchurn 100 2048\n")
    assert points == [(0, 0), (100, 2048)]
    both = {"LIFO": points, "this": points}
    text = drawings.written("rounds", (0, 100, 20), (0, 2048, 512), both)
    assert drawings.curves_of(text)[3] == both
    drawing = drawings.draw_curves(text)
    assert drawing.count('points="60.0,280.0 580.0,20.0"') == 2 and ">LIFO: 2048<" in drawing
    names = re.findall(r'y="(\d+)" fill', drawing)
    assert len(set(names)) == 2  # no label covers another


def test_churn_is_drawn_of_lifo_address_order_and_this():
    with open(bench_hosted.CURVES, encoding="utf-8") as f:
        _, x, y, curves = drawings.curves_of(f.read())
    assert list(curves) == [name for name, _ in bench_hosted.SUBJECTS]
    assert x[:2] == [0, 100] and y[:2] == [0, 2048]
    assert all([a for a, _ in points] == list(range(0, 101, 10)) for points in curves.values())


# ---- `make bench TIME=1`; no test asserts a time -------------------------------------------------
ROWS = (
    "calls order0_pair batch4096_pair order1_pair order4_pair order9_pair order9_pair_uncached "
    "fill_order0 free_random_order0 free_random_bulk64"
).split()
if len(os.sched_getaffinity(0)) > 1:
    ROWS += ["alloc_remote_p50", "alloc_remote_p99", "alloc_remote_p999"]
# Of the plugin and the floor, how many have a row: both, else this many.
OTHERS = {"order9_pair_uncached": 0, "free_random_bulk64": 0}
OTHERS |= {row: 1 for row in ROWS if row.startswith("alloc_remote")}
ours_only = pytest.mark.skipif(platform.machine() != "x86_64", reason="TIME=1 needs x86_64")


@ours_only
def test_each_row_is_measured_beside_the_floor_and_a_plugin(capsys):
    plugin = f"{qemu.ROOT}/examples/plugin/buddy.c"
    words = ["--build", qemu.BUILD, "--time", "--quick", "--repeat", "1", "--plugin", plugin]
    assert bench.main(words) == 0, capsys.readouterr().out
    out = capsys.readouterr().out
    head, *lines = out.splitlines()[1:]
    assert head.split() == ["ns", "this", "tree", "buddy", "floor"]
    for row in ROWS:
        ours, others = re.search(rf"^{row} +(\S+)(.*)$", out, re.M).groups()
        assert float(ours) > 0
        assert len(re.findall(r"\(\d+\.\d+\)", others)) == OTHERS.get(row, 2)
    assert len([line for line in lines if not line.startswith("bench: ")]) == len(ROWS)


@pytest.mark.parametrize(
    "words, said",
    [
        (["--time", "--base", "no-such"], "bench: BASE=no-such: no such commit here"),
        (["--time", "--plugin", "none.so"], "bench: PLUGIN: none.so: no such file"),
        (["--base", "HEAD"], "bench: BASE goes with TIME=1"),
        (["--time", "--only", "pairs"], "bench: ONLY and TIME do not go together"),
    ],
)
def test_wrong_requests_are_refused(words, said, tmp_path, capsys):
    assert bench.main(["--build", str(tmp_path), *words]) == 1
    assert capsys.readouterr().out == said + "\n"


def test_without_git_a_base_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bench.main(["--build", str(tmp_path), "--time", "--base", "HEAD"]) == 1
    assert capsys.readouterr().out == "bench: BASE=HEAD: git is not installed\n"


def test_a_ratio_far_above_the_recorded_one_is_a_warning(tmp_path):
    path = str(tmp_path / "times.json")
    rows = {"a": {"this tree": [4.0, 6.0], "floor": [2.0, 2.0]}, "b": {"this tree": [9.0]}}
    bench_hosted.record(rows, "some CPU", "first", path)
    known = bench_hosted.read_record(path)["some CPU"]
    assert known["why"] == "first" and known["rows"]["a"] == {"ns": 5.0, "to_floor": 2.5}
    assert not list(bench_hosted.warnings(rows, known["rows"]))
    rows["a"]["this tree"] = [6.0, 8.0]
    said = list(bench_hosted.warnings(rows, known["rows"]))
    assert said == ["warning: a takes 3.50 of the floor's time, recorded 2.50"]
    assert not list(bench_hosted.warnings(rows, {}))  # another CPU
    (tmp_path / "times.json").write_text(json.dumps({"x": []}))
    with pytest.raises(bench_hosted.Failed, match="times.json: not a record of times"):
        bench_hosted.read_record(path)
