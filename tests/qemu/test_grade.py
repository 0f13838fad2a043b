# SPDX-License-Identifier: MIT
"""The grader: points, attacks, which gain none, and its messages.  labs_check.py grades the
reference, right and wrong submissions."""
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

import grade
import grade_report
import grade_source
import lab_kills
import labs
import qemu
import skeleton
import submission

BUILD = os.environ.get("QUARRY_BUILD", "build")
LAB = "2"
FUNCTION = "bool free_map_take_at(struct free_map *map, unsigned page, unsigned order)\n{\n"
TICKET = "\tfull_barrier();\n\tticket = "
WALK = "contract.free_map.random_walk_agrees_with_the_model"
TAKE = "int free_map_take(struct free_map *map, unsigned order, unsigned *had)\n{\n"
# {name: (declarations, code, complaint)} of wrong submissions that try to be counted right.
ATTACKS = {
    "prints": ("int puts(const char *);", 'puts("ok 1 - all");', "uses puts"),
    "ends": ("void _exit(int);", "_exit(0);", "uses _exit"),
    "hook": ("extern void *ktest_hook;", "ktest_hook = 0;", "names ktest_hook"),
    "constructor": (
        "static int early;\n__attribute__((constructor)) static void run(void)\n{\n\tearly = 1;\n}",
        "order += early - 1;",
        "has a section",
    ),
    "replaces": (
        "int check_memory(void *m, void *v)\n{\n\treturn 0;\n}",
        "",
        "defines check_memory",
    ),
    "reference": (
        "bool ref_free_map_take_at(struct free_map *map, unsigned page, unsigned order);",
        "return ref_free_map_take_at(map, page, order);",
        "uses ref_free_map_take_at",
    ),
    "system_call": ("", '__asm__("syscall");', "has assembly"),
    "reads_a_file": ('#include "/etc/passwd"', "", "includes"),
    "much_data": ("static char much[1 << 20];", "much[page] = 1;", "of data"),
    "library": (
        "",
        "order += (unsigned)__builtin_popcountll(map->counts) & 0;\n"
        "\tpage += (unsigned)__builtin_popcountll(page) - 1;",
        "uses __popcountdi2: a part of gcc's library",
    ),
    "detects": ("int getpid(void);", "if (getpid() & 1)\n\t\treturn true;", "uses getpid"),
}


def graded(folder, lab=LAB, only="", name="reference", text=None, **more):
    """A Grade of a submission, which is written to @folder."""
    submission.write(lab, name, str(folder))
    if text:
        for path, new in text.items():
            (folder / path).write_bytes(new.encode("utf-8", "surrogateescape"))
    one = grade_of(lab, str(folder), only, **more)
    one.run()
    return one


def grade_of(lab, tree=None, only="", **more):
    """A Grade that has not run yet."""
    arguments = lab_kills.arguments(BUILD, tree, only)
    vars(arguments).update(more)
    return grade.Grade(labs.lab(lab), tree, arguments)


def attack(name):
    before, inside, _ = ATTACKS[name]
    text = labs.read("mm/core/free_map.c")
    at = text.index(FUNCTION)
    broken = "\tfree_map_flip(map, free_node(page, order));\n\treturn true;\n}\n"
    end = text.index("\n}\n", at) + 3
    return text[:at] + before + "\n" + FUNCTION + "\t" + inside + "\n" + broken + text[end:]


def lost(one):
    """[(test, why)] of the results that count and did not pass."""
    return [(r.key(), r.why) for r in one.results if r.verdict != "PASS" and not r.neutral]


@pytest.mark.parametrize("lab", [lab for lab in labs.labs() if grade.worthless(lab)])
def test_what_the_empty_tree_passes_gives_no_points(lab):
    """A submission that fails such a test loses points."""
    one = grade_of(lab)
    tests = [(layer, name) for layer, names in one.layers().items() for name in names]

    def points(passes):
        one.results = [
            grade.Result(layer, name, "PASS" if passes(f"{layer}.{name}") else "FAIL")
            for layer, name in tests
        ]
        return one.points()

    def cost():
        return (one.cost_points() or (0, 0))[0]

    assert points(lambda key: True) == 100
    most = 100 + cost()
    assert points(lambda key: False) == 0
    assert points(lambda key: key in one.worthless) == 0
    assert one.worthless <= {f"{layer}.{name}" for layer, name in tests}
    for lost in one.worthless:
        assert points(lambda key, lost=lost: key != lost) + cost() < most, lost
    # A test that is not run neither gives nor costs points.
    tests = [pair for pair in tests if pair[0] == "contract" and ".".join(pair) in one.worthless]
    assert points(lambda key: True) == 0


def unbuilt(lab, fails=()):
    """A Grade of a lab, with results as if all tests had passed but those whose layer is named."""
    one, left = grade_of(lab), list(fails)
    for layer, names in one.layers().items():
        for name in names:
            bad = layer in left and not left.remove(layer)
            one.results.append(grade.Result(layer, name, "FAIL" if bad else "PASS"))
    return one


@pytest.mark.parametrize("lab", [lab for lab in labs.labs() if lab != "P"])
def test_a_fault_costs_five_points_at_least(lab):
    assert unbuilt(lab).points() == 100 and unbuilt(lab, ["cost"]).points() == 100
    for layer in [layer for layer, _, _ in unbuilt(lab).scores() if layer != "cost"]:
        assert unbuilt(lab, [layer]).points() <= 95, layer


@pytest.mark.parametrize("lab", labs.labs())
def test_a_function_that_is_left_empty_costs_its_share(lab, tmp_path):
    whole = labs.lab(lab)
    for path, names in whole.functions.items():
        for name in names:
            one = replace(whole, functions={path: [name]})
            text = skeleton.emptied(one, path, labs.read(path))
            for new in (text, text.replace(skeleton.SAYS, "/* later */")):
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_text(new)
                assert grade.empty_functions(whole, str(tmp_path)) == [name]
        (tmp_path / path).write_text(labs.read(path))
    assert grade.empty_functions(whole, None) == []


@pytest.mark.parametrize("track", (None, labs.SHORT))
def test_the_functions_of_a_track_share_all_points(track):
    shares = labs.lab("7", track).shares()
    assert round(sum(shares.values()), 6) == 100
    one = unbuilt("7", ["contract"])
    one.empty = {"evacuate": shares["evacuate"]} if track is None else {"commit_chunk": 30}
    assert one.points() == 100 - sum(one.empty.values())
    said = "\n".join(grade_report.text_of(one))
    assert f"left empty: {next(iter(one.empty))} ({100 - one.points():g} points)" in said
    one.results = unbuilt("7").results  # the other functions do its work
    assert one.points() == 100


def test_what_headers_declare_may_be_used():
    may = labs.lab("4").allow
    assert {"pfn_valid_in", "nr_cpus", "memset", "cpu_online_mask", "migrate_anywhere"} <= may
    assert not may & {"ktest_fail", "race_point", "machine_power_off", "puts", "stack_count"}
    # Of a header that the student writes nothing counts.
    assert "free_map_ok" in may and "free_map_ok" not in labs.lab("2").allow


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_gain_nothing(tmp_path, name):
    one = graded(tmp_path, text={"mm/core/free_map.c": attack(name)}, only="contract")
    assert one.points() == 0
    *_, last = grade_report.text_of(one)
    assert last.startswith("not graded: mm/core/free_map.c ") and ATTACKS[name][2] in last
    said = [r.why + " ".join(r.details) for r in one.results]
    assert any(ATTACKS[name][2] in text for text in said), said


def taking(before, inside):
    """{path: the lab's source} with @before before free_map_take() and @inside at its start."""
    text = labs.read("mm/core/free_map.c")
    return {"mm/core/free_map.c": text.replace(TAKE, before + TAKE + inside)}


def test_an_endless_loop_is_a_hang(tmp_path):
    one = graded(tmp_path, text=taking("", "\tfor (;;)\n\t\t;\n"), only="model.one_block")
    assert [r.verdict for r in one.results] == ["HANG"]


@pytest.mark.full
def test_an_endless_loop_is_a_hang_of_the_explorer(tmp_path):
    one = graded(tmp_path, text=taking("", "\tfor (;;)\n\t\t;\n"), only="explorer.alloc-alloc")
    assert [(r.verdict, r.why) for r in one.results] == [("HANG", "it runs for ever")]


@pytest.mark.parametrize(
    "loop, why", (("thread_yield();", "it waits for ever"), (";", "it does not end"))
)
def test_an_endless_wait_is_a_hang_of_its_test(tmp_path, loop, why):
    """A wait costs no time.  A busy loop does: after three of them no other test is run."""
    text = labs.read("mm/core/drain.c").replace(TICKET, f"\tfor (;;)\n\t\t{loop}\n{TICKET}", 1)
    one = graded(tmp_path, lab="5", text={"mm/core/drain.c": text}, only="contract.drain")
    assert sorted(r.name for r in one.results) == sorted(one.tests()["contract"])
    hung = [r for r in one.results if r.verdict == "HANG"]
    assert {r.why for r in hung} == {why}
    rest = {r.verdict for r in one.results} - {"HANG"}
    if loop == ";":
        assert len(hung) == 3 and "SKIP" in rest
    else:
        assert len(hung) > 3 and rest == {"PASS"}


def test_a_failing_schedule_is_run_again(tmp_path):
    """The command printed for a failure shows it again; the reference passes the same schedule."""
    only, name = "explorer.free-disable", "depth_after_round"
    (row,) = graded(tmp_path / "all", lab="5", only=only, name=name).results
    assert row.verdict == "FAIL" and row.plan

    def planned(name, plan):
        (row,) = graded(tmp_path / name, lab="5", only=only, name=name, plan=plan).results
        return row

    again = planned(name, row.plan)
    assert (again.verdict, again.plan) == (row.verdict, row.plan)
    assert again.why.split(" ends ")[1] == row.why.split(" ends ")[1]
    assert again.details[0] == "what each role does:" and len(again.details) > 5
    assert planned("reference", row.plan).verdict == "PASS"
    assert planned("reference", "AH").verdict == "ERROR"
    never = planned("reference", "AB,60000:B")
    assert (never.verdict, never.why) == ("ERROR", "AB,60000:B: a preemption did not happen")


@pytest.mark.parametrize(
    "words", [[], ["--only", "explorer"], ["--only", "explorer.free-disable", "--plan", "7"]]
)
def test_a_plan_is_of_one_set(words):
    command = [sys.executable, "tools/grade/grade.py", "--build", BUILD, "5", "--plan", "AB"]
    command += words
    done = subprocess.run(command, cwd=qemu.ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("PLAN= takes one set")


@pytest.mark.full
def test_an_output_flood_is_a_hang(tmp_path):
    """A submission's output is neither kept nor read for points."""
    flood = '\tfor (;;)\n\t\tprintk("ok 1 - all\\n");\n'
    before = "void printk(const char *fmt, ...);\n"
    one = graded(tmp_path, text=taking(before, flood), only=f"model.one_block,{WALK}")
    assert one.points() == 0
    verdicts = {r.layer: r.verdict for r in reversed(one.results)}
    assert verdicts["model"] == "HANG" and verdicts["contract"] in ("HANG", "CRASH")
    assert max(len(line) for r in one.results for line in [r.why, *r.details]) < 500


def test_huge_memory_use_is_a_crash(tmp_path):
    deep = """static unsigned deep(unsigned n)
{
	volatile char much[1 << 16];

	much[n % 8] = (char)n;
	return n ? deep(n + 1) + (unsigned)much[0] : 0;
}

"""
    one = graded(
        tmp_path, text=taking(deep, "\torder += deep(1) * 0;\n"), only=f"model.one_block,{WALK}"
    )
    assert {r.verdict for r in one.results} <= {"CRASH", "SKIP"} and one.points() == 0


def test_overwriting_the_description_is_seen(tmp_path):
    """The submission changes end_pfn of the struct memory, so that other pages would be checked."""
    write = "\tif (order == 1)\n\t\t((struct memory *)0x300000000008UL)->end_pfn += "
    write += "PAGEBLOCK_PAGES;\n"
    one = graded(tmp_path, text=taking("", write), only="model.one_block_pages")
    assert [r.verdict for r in one.results] == ["FAIL"]
    assert "description of the memory was overwritten" in one.results[0].why


def test_overwriting_the_tests_gains_nothing(tmp_path):
    """The submission overwrites all memory behind the data that it is given: as if it had crashed
    there."""
    ends = []
    for name, how in ("over", "memset(map, 0xff, 1 << 20)"), ("crash", "*(volatile int *)8 = 1"):
        (tmp_path / name).mkdir()
        one = graded(tmp_path / name, text=taking("", f"\t{how};\n"), only="contract.free_map")
        ends.append([(r.name, r.verdict) for r in one.results])
    assert ends[0] == ends[1] and one.points() < 10


@pytest.mark.parametrize("layer", ("model", "contract"))
def test_special_cases_lose_in_the_other_layer(tmp_path, layer):
    """The submission is right only in the memories of one layer, which it recognises by their
    addresses."""
    far = "(unsigned long)map >> 40 == 0x30"
    there = far if layer == "contract" else f"!({far})"
    wrong = f"\tif ({there})\n\t\treturn FREE_MAP_NONE;\n"
    one = graded(tmp_path, text=taking("", wrong), only="model,contract")
    other = "contract" if layer == "model" else "model"
    bad = [r for r in one.results if r.verdict in ("FAIL", "CRASH")]
    assert bad and {r.layer for r in bad} == {other} and one.points() < 60


def test_a_crash_has_the_name_of_its_test(tmp_path):
    """The place of the failure is reported, and the tests after it are run."""
    one = graded(
        tmp_path, text=taking("", "\tif (order == 4)\n\t\t*(volatile int *)8 = 1;\n"),
        only="contract",
    )
    names = [r.name for r in one.results]
    assert sorted(names) == sorted(one.layers()["contract"])
    crashed = [r for r in one.results if r.verdict == "CRASH"]
    assert crashed and all(r.why and "mm/core/free_map.c:" in r.details[0] for r in crashed)
    assert any(r.verdict == "PASS" for r in one.results[names.index(crashed[0].name) :])


def test_objects_of_other_layers_are_not_judged(tmp_path):
    """They may be those of an earlier state of the code."""
    one = graded(tmp_path, text={"mm/core/free_map.c": attack("ends")}, only="explorer")
    assert [r.name for r in one.results] == ["rules"]
    one = graded(tmp_path, text=taking("", "\t/* changed */\n"), only="model.one_block")
    assert [(r.name, r.verdict) for r in one.results] == [("one_block", "PASS")]


def test_what_does_not_compile_is_the_students_fault(tmp_path):
    one = graded(tmp_path, text={"mm/core/free_map.c": "int f(void)\n{\n\treturn 1\n}\n"})
    assert [(r.layer, r.verdict) for r in one.results] == [("build", "FAIL")]
    assert "error" in one.results[0].why and one.points() == 0


def test_other_files_are_not_taken(tmp_path):
    """A changed header of the student's tree changes nothing."""
    submission.write(LAB, "reference", str(tmp_path))
    (tmp_path / "mm/core/buddy.h").write_text("#error not taken\n")
    one = graded(tmp_path, only="model.one_block")
    assert [r.verdict for r in one.results] == ["PASS"]


SECRET = "int secret = 4711;"


def link_of_a_file(tree, secret):
    (tree / "mm/core/free_map.c").unlink()
    (tree / "mm/core/free_map.c").symlink_to(secret)


def link_of_a_folder(tree, secret):
    (tree / "mm").rename(secret.parent / "mm")
    (secret.parent / "mm/core/free_map.c").write_text(SECRET)
    (tree / "mm").symlink_to(secret.parent / "mm")


def pipe_without_a_writer(tree, _):
    (tree / "mm/core/free_map.c").unlink()
    os.mkfifo(tree / "mm/core/free_map.c")


def folder_of_that_name(tree, _):
    (tree / "mm/core/free_map.c").unlink()
    (tree / "mm/core/free_map.c").mkdir()


def too_much_of_it(tree, _):
    (tree / "mm/core/free_map.c").write_bytes(b"/" * (1 << 20 | 1))


@pytest.mark.parametrize(
    "instead",
    (link_of_a_file, link_of_a_folder, pipe_without_a_writer, folder_of_that_name, too_much_of_it),
)
def test_what_is_no_file_of_the_submission_is_not_read(tmp_path, instead):
    """A grader that is root could read files that its student may not read."""
    secret = tmp_path / "outside" / "secret.c"
    secret.parent.mkdir()
    secret.write_text(SECRET)
    tree = tmp_path / "tree"
    submission.write(LAB, "reference", str(tree))
    instead(tree, secret)
    one = grade_of(LAB, str(tree))
    one.run()
    assert [(r.layer, r.verdict) for r in one.results] == [("build", "FAIL")]
    assert one.results[0].why.startswith("mm/core/free_map.") and one.points() == 0
    assert "secret" not in "\n".join(grade_report.text_of(one))
    staged = os.path.join(BUILD, "labs", "staged")
    for folder, _, files in os.walk(staged):
        for file in files:
            with open(os.path.join(folder, file), "rb") as f:
                assert SECRET.encode() not in f.read()


def test_a_file_that_is_not_handed_in_is_the_emptied_one(tmp_path):
    """The report says so.  Track short4 has no function of mm/hotplug/evacuate.c to write."""
    for lab, track, missing in (
        (LAB, None, "mm/core/free_map.c"),
        ("7", None, "mm/hotplug/evacuate.c"),
        ("7", "short4", "mm/hotplug/evacuate.c"),
    ):
        tree = tmp_path / f"{lab}-{track}"
        submission.write(lab, "reference", str(tree))
        (tree / missing).unlink()
        one = labs.lab(lab, track)
        to = str(tmp_path / f"to-{lab}-{track}")
        assert grade_source.stage(one, str(tree), to) == [missing]
        with open(os.path.join(to, missing), encoding="utf-8") as f:
            assert ("LAB_TODO" in f.read()) == (track is None)
    one = grade_of(LAB, str(tmp_path / f"{LAB}-None"), "model.one_block")
    one.run()
    assert lost(one) and "  note: mm/core/free_map.c is not handed in" in "\n".join(
        grade_report.text_of(one)
    )


def test_results_in_every_form(tmp_path):
    out = tmp_path / "out"
    more = {"out": str(out), "github": True}
    one = graded(tmp_path / "tree", name="never_merges", only="model.blocks", **more)
    grade_report.write(one, one.args)
    (row,) = json.loads((out / "grade.json").read_text())["tests"]
    assert row["verdict"] in ("FAIL", "CRASH") and row["why"]
    assert any("by the calls so far it is" in text for text in row["details"]), row
    assert row["replay"].endswith("ONLY=model.blocks")
    case = ElementTree.parse(out / "junit.xml").getroot().find("testsuite/testcase")
    assert case.get("name") == "blocks" and case.find("failure").get("type") == row["verdict"]
    tests = json.loads((out / "results.json").read_text())["tests"]
    status = {t["name"]: t["status"] for t in tests}
    assert status["model.blocks"] == "failed" and "explorer.alloc-alloc" in status
    said = grade_report.as_github(one)
    assert any(line.startswith("::error file=mm/core/free_map.") for line in said)
    lines = [line for line in grade_report.text_of(one) if "again: " not in line]
    assert all(len(line) <= 80 for line in lines)
    assert re.search(r"points in [\d.]+ s, [\d.]+ s of processor time$", lines[-1])


def test_a_submission_gives_github_no_commands(monkeypatch):
    """It takes no line of the report as one; a word that the submission cannot know ends this."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    one, command = unbuilt(LAB), "::notice::100 of 100 points"
    one.results[0] = replace(one.results[0], verdict="FAIL", why=command)

    def shown():
        out = io.StringIO()
        grade_report.Screen(one, out).close()
        return out.getvalue().rstrip("\n").split("\n")

    plain = shown()
    assert "      " + command in plain and not any(line.startswith("::") for line in plain)
    for github, value in ((True, ""), (False, "true")):
        one.args.github = github
        monkeypatch.setenv("GITHUB_ACTIONS", value)
        (first, *lines, last), (other, *_) = shown(), shown()
        word = first.removeprefix("::stop-commands::")
        assert lines == plain and last == f"::{word}::" and first != other and len(word) == 32


def test_no_lab_is_flagged_for_the_reference():
    """The sources of the reference, of every lab."""
    said = []
    for one in labs.labs().values():
        for path in one.files:
            said += grade_source.source_faults(one, os.path.join(qemu.ROOT, path), path)
    assert said == []
