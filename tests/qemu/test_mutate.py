# SPDX-License-Identifier: MIT
"""The operators of `make mutate`, on a file of a few lines; the drawn edits, and that a
run continues where it stopped."""
import os
import signal
import subprocess
import sys

import pytest
import qemu

pytest.importorskip("clang.cindex")
import kills
import mutate
import mutate_run
import mutate_sites

SOURCE = """\
void spin_lock(int *l); void spin_unlock(int *l); int pages_free(int a, int b); int panic(const
char *s);
#define EVENT(x) do { pages_free(x, x); } while (0)
#define FLAG_A 1
#define FLAG_B 2
static int lock;
int f(int a, int b)
{
	int flags = FLAG_A | FLAG_B;

	spin_lock(&lock);
	a = b;
	EVENT(a);
	if (a < 7 && b)
		pages_free(a, b);
	if (a > b)
		panic("a");
	spin_unlock(&lock);
	return flags - 1;
}
"""
WANTED = {
    "lock-pair": ["\t(void)0;\n"],
    "delete": ["\t;\n", "\tEVENT(a);\n"],
    "undo": ["\t\t;\n"],
    "swap": ["\tEVENT(a);\n\ta = b;\n"],
    "negate": ["\tif (!(a < 7 && b))\n"],
    "condition": ["\tif (a < 7)\n", "\tif (b)\n", "\tif (1 || (a > b))\n"],
    "relation": ["\tif (a <= 7 && b)\n"],
    "off-by-one": ["\tif (a < 8 && b)\n", "\treturn flags;\n", "\treturn flags + 1;\n"],
    "arguments": ["\t\tpages_free(b, a);\n"],
    "flag": ["\tint flags = FLAG_A;\n"],
    "return-early": ["\treturn 0; a = b;\n"],
}


@pytest.fixture
def found(tmp_path):
    (tmp_path / "x.c").write_text(SOURCE)
    return mutate_sites.sites(str(tmp_path), "x.c", ["-std=gnu11"], lambda path: False)


@pytest.mark.parametrize("operator", WANTED)
def test_each_operator_makes_its_edits(found, operator):
    texts = [s.apply(SOURCE.encode()).decode() for s in found if s.operator == operator]
    assert texts
    for text in WANTED[operator]:
        assert any(text in t and t != SOURCE for t in texts), (text, texts)


def test_a_macro_in_a_macro_is_edited_whole(tmp_path):
    text = """#define NOTE(step) (noted = 1, step)
#define atomic_add(p, v) NOTE(__atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST))
#define full_barrier() NOTE(__atomic_thread_fence(__ATOMIC_SEQ_CST))
int noted, n;
void f(int a)
{
	atomic_add(&n, (a));
	full_barrier();
	if (a < atomic_add(&n, 1))
		n = 3;
}
"""
    (tmp_path / "x.c").write_text(text)
    sites = mutate_sites.sites(str(tmp_path), "x.c", [], lambda path: False)
    edits = [(s.operator, *(text[at:end] for at, end, _ in s.edits)) for s in sites]
    assert ("delete", "atomic_add(&n, (a))") in edits and ("barrier", "full_barrier()") in edits
    assert ("negate", "a < atomic_add(&n, 1)") in edits
    assert [e[0] for e in edits].count("atomic") == 2


def test_statements_behind_labels_are_left_out(tmp_path):
    text = "int n;\nvoid f(int a)\n{\n\tswitch (a) {\n\tcase 0:\n\tcase 3: n = a; break;\n"
    text += "\tdefault: n++;\n\t}\n}\n"
    (tmp_path / "x.c").write_text(text)
    sites = mutate_sites.sites(str(tmp_path), "x.c", [], lambda path: False)
    gone = {text[s.edits[0][0] : s.edits[0][1]] for s in sites if s.operator == "delete"}
    assert gone == {"n = a", "break", "n++"}


def test_a_header_found_by_an_option_has_its_path(tmp_path):
    (tmp_path / "mm").mkdir()
    (tmp_path / "mm" / "x.h").write_text("static inline int f(int a) { return a + 1; }\n")
    (tmp_path / "mm" / "x.c").write_text("#include \"mm/x.h\"\nint g(void) { return f(2); }\n")
    names = []
    found = mutate_sites.sites(
        str(tmp_path), "mm/x.c", ["-I."], lambda path: names.append(path) or path == "mm/x.h"
    )
    assert names == ["mm/x.h"] and {s.path for s in found} == {"mm/x.h", "mm/x.c"}


def test_no_edit_moves_a_line_or_touches_a_macro(found):
    for site in found:
        text = site.apply(SOURCE.encode()).decode()
        assert text.count("\n") == SOURCE.count("\n")
        assert "#define EVENT(x) do { pages_free(x, x); } while (0)" in text


def test_an_assertion_is_not_dropped_and_words_are_not_edited(found):
    texts = [s.apply(SOURCE.encode()).decode() for s in found]
    assert not any("0 && (a > b)" in t for t in texts)
    assert all('panic("a")' in t for t in texts)


ALIKE = """\
struct s { int a, b; volatile int v; union { int u, w; }; };
int strcmp(const char *a, const char *b); int g(void); void panic(const char *s);
#define MM_EVENT(x) ((void)0)
#define KASSERT(c) do { if (!(c)) panic(#c); } while (0)
#define ASSERT_LOCKED(c) KASSERT(c)
int f(struct s *s, int *p, const char *a, const char *b)
{
	KASSERT(s->a);
	ASSERT_LOCKED(s->b);
%s
	return strcmp(a, b);
}
"""
IN_THIS_ORDER = [
    "s->a = 1; s->b = s->v ? 2 : 3;",
    "s->a = *p + 1; s->b = g();",
    "s->u = 1; s->w = 2;",
    "s->v = 1; s->a = 2;",
    "s->a = s->b; s->b = 2;",
    "*p = 1; s->b = 2;",
    "s->a = 1; s->b = (s->a = 3);",
    "p[0] = 1; s->b = 2;",
    "s->a++; s->b += s->a;",
    "s->v++; s->b--;",
    "s->a += 2; s->b = g();",
]


@pytest.mark.parametrize(
    "text, swapped",
    [
        ("s->a = 1; s->b = s->u + 2;", True),
        ("s->a = 1; s->b = -(int)3UL ? 2 : 3;", False),
        ("s->a++; s->b += 3;", False),
        ("g(); MM_EVENT(s->a);", False),
        *((text, True) for text in IN_THIS_ORDER),
    ],
)
def test_only_related_stores_are_swapped(tmp_path, text, swapped):
    (tmp_path / "x.c").write_text(ALIKE % text)
    found = mutate_sites.sites(str(tmp_path), "x.c", [], lambda path: False)
    assert any(s.operator == "swap" for s in found) == swapped
    assert not any(
        s.operator == "arguments" or s.line in (8, 9) and s.operator in ("delete", "swap")
        for s in found
    )


def test_the_same_seed_draws_the_same_and_shares_follow_the_lines():
    sites = {"mm": {"delete": list(range(50)), "negate": list(range(100, 103))}}
    first = list(mutate.draw(sites, "mm", 7))
    assert first == list(mutate.draw(sites, "mm", 7)) and first != list(mutate.draw(sites, "mm", 8))
    assert sorted(first) == sorted(sites["mm"]["delete"] + sites["mm"]["negate"])


def tried_edit(key, verdict, by=""):
    row = {"key": key, "path": "mm/core/pcp.c", "line": 1, "function": "f", "operator": "delete"}
    return row | {"verdict": verdict, "by": by, "seconds": 1, "diff": ""}


def test_a_run_continues_where_it_stopped(tmp_path, monkeypatch):
    class Args:
        seed, build, number = "x", str(tmp_path), 3

    site = [
        mutate_sites.Site("mm/core/pcp.c", 1, "f", "delete", ((i, i + 1, ""),)) for i in range(9)
    ]
    sites = {"mm": {"delete": site}}
    trial = mutate.Trial(Args, sites)
    first, key = trial.next()
    trial.done(tried_edit(key, "killed", "a test"))
    again = mutate.Trial(Args, sites)
    tried = []
    while found := again.next():
        tried.append(found[1])
        again.done(tried_edit(found[1], "survived" if tried[1:] else "same code"))
    # One edit was done before, "same code" does not count, and two more edits make three.
    assert key not in tried and len(tried) == 3 and len(again.chosen) == 3


@pytest.mark.parametrize(
    "text,status,how",
    [
        ("  ok 1 a\n", 0, "passed"),
        ("  not ok 2 b\n", 1, "b"),
        ("PANIC: x\n", -6, "PANIC: x"),
        ("", qemu.TIMED_OUT, "hangs"),
        ("", 3, "ended with 3"),
        ("  # begin s.a\n  ok 1 a\n  # begin s.b\n", qemu.TIMED_OUT, "hangs in s.b"),
        ("  # begin s.a\nPANIC: x\n", -6, "PANIC: x in s.a"),
        ("  # begin s.a\n  ok 1 a\nok 1 s\n", 3, "ended with 3"),
    ],
)
def test_a_run_is_judged_by_its_output_and_status(text, status, how):
    assert mutate_run.verdict(text, status) == how


def test_ctrl_c_is_no_verdict_and_waits_for_no_job(tmp_path):
    usual = "import os, signal; signal.signal(2, signal.SIG_DFL); os.kill(os.getpid(), 2)"
    with pytest.raises(KeyboardInterrupt):
        mutate_run.run([sys.executable, "-c", usual])
    script = f"""
import sys, threading
from concurrent.futures import ThreadPoolExecutor
sys.path.insert(0, {os.path.join(qemu.ROOT, "tools", "lib")!r})
import rooms
def main():
    with ThreadPoolExecutor(1) as pool:
        _ = [pool.submit(threading.Event().wait) for _ in range(9)]
        print("begun", flush=True)
rooms.run(main, interrupted="interrupted")
"""
    words = [sys.executable, "-B", "-c", script]
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    more["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # not ignored
    with subprocess.Popen(words, start_new_session=True, **more) as child:
        assert child.stdout.readline() == "begun\n"
        os.killpg(child.pid, signal.SIGINT)
        assert child.communicate()[1] == "interrupted\n" and child.returncode == 130


def test_a_row_that_was_cut_short_is_tried_again(tmp_path):
    path = tmp_path / "1.jsonl"
    path.write_text('{"key": "a"}\n{"key": "b", "verd')
    assert list(mutate.read(str(path))) == ["a"]


def test_names_that_are_none_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(mutate, "all_sites", lambda build, files, areas: {areas[0]: {}})
    for names, words, said in (
        (["pcp"], "--without pcp,drian", "no suite of mm/ is called drian"),
        ([], "--room bench", "no suite of bench/ is in host-plain"),
        ([], "--files mm/core/pcp.c,mm/core/typo.c", "--files: no mm/core/typo.c"),
    ):
        monkeypatch.setattr(kills, "Run", lambda *_: type("", (), {"names": names}))
        monkeypatch.setattr(sys, "argv", ["kills.py", *words.split()])
        pytest.raises(SystemExit, kills.main)
        assert said in capsys.readouterr().err


def test_the_suites_of_a_file_are_those_that_its_head_names():
    hosted, booted = mutate_run.suites_of("mm/core/pcp.c")
    assert "pcp" in hosted and "pcp" in booted
    hosted, booted = mutate_run.suites_of("kernel/cap.c")
    assert not hosted and "ipc" in booted
    hosted, booted = mutate_run.suites_of("demo/progress.c")
    assert hosted == ["progress"] and "progress" not in booted


def test_a_test_from_outside_counts_only_if_the_unmodified_kernel_passes_it(monkeypatch):
    assert "tests/qemu/test_prompt.py" in mutate_run.judges_of("demo/monitor.c")
    bench = mutate_run.Bench("build", ["kernel", "tests"])
    fails = {"variant": "a_test"}
    monkeypatch.setattr(mutate_run.variant_build, "program_of", lambda build, name: "plain")
    monkeypatch.setattr(bench, "judge", lambda home, program, tests, limit: fails.get(program))
    assert bench.outside("home", "variant", "demo/monitor.c") == "a_test"
    assert bench.outside("home", "plain", "demo/monitor.c") is None
    # A test that fails with the unmodified kernel, too, does not count: the host may be busy.
    fails["plain"] = "a_test"
    assert bench.outside("home", "variant", "demo/monitor.c") is None
    bench.outside_seconds.clear()
    assert bench.outside("home", "variant", "demo/monitor.c") is None


def test_a_program_that_sleeps_for_ever_hangs(monkeypatch):
    monkeypatch.setattr(mutate_run, "IDLE", 1)
    assert mutate_run.run(["sleep", "600"]).how == "hangs"
