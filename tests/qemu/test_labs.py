# SPDX-License-Identifier: MIT
"""The labs: bodies, skeletons, leaks, tracks, and the hosted program with both codes in it."""
import fcntl
import os
import re
import shutil
import subprocess
import sys

import pytest

import bodies
import grade_source
import lab_build
import lab_kernel
import lab_make
import labs
import outer_make
import rooms
import skeleton
import submission
import suites
from conftest import whole
from lab_trees import BUILD, IN_KERNEL, ROOT, Lab, each, ending, tool

MOST_CPU = 5  # most seconds of CPU time for all suites of an emptied lab
SOURCE = '''/* SPDX-License-Identifier: MIT */
#include "mm/core/zone.h"

struct pair {
	int a;
};

static const u8 table[] = {1, 2};

/* not { a body } */
static int first(struct zone *zone, const char *text)
    REQUIRES_ZONE(zone)
{
	if (text[0] == '}') {
		return 1;
	}
	return 0;
}

struct page *second(
    struct memory *mem, void (*one)(struct zone *zone))
{
	return NULL;
}

void last(void) {
}
'''


def test_a_body_is_between_two_braces_in_column_0():
    found = bodies.bodies(SOURCE)
    # The last function is not in the style of this tree, and is not found.
    assert list(found) == ["first", "second"]
    assert SOURCE[found["first"].begin : found["first"].end].count("\n") == 5
    assert found["first"].lines(SOURCE) == 4
    assert [found[name].type for name in ("first", "second")] == ["int", "struct page *"]


def test_parameters_and_the_memory_that_they_mean():
    head = bodies.bodies(SOURCE)["second"].head
    rows, inner = lab_make.parameters(head, "second")
    assert rows == [("struct memory *", "mem"), ("void (*one)(struct zone *zone)", "one")]
    assert inner == "struct memory *mem, void (*one)(struct zone *zone)"
    assert lab_make.condition(rows) == "mem == &kernel_memory"
    assert lab_make.condition([("const struct zone *", "z")]) == "z->mem == &kernel_memory"
    assert lab_make.condition([("u64", "bytes")]) is None


def test_an_object_that_make_compiles_just_now_is_not_up_to_date(tmp_path):
    (tmp_path / "x.d").touch()  # the list of inputs; here it is the object, too
    assert not lab_build.Hosted(labs.lab("2"), BUILD).up_to_date(str(tmp_path / "x.d"))


@pytest.mark.parametrize(
    "key, old, new, said",
    [
        ("function", "first_node 7 free_map_order_at", "no_node 7 free_map_order_at", "no_node"),
        ("suite", "suites = free_map buddy", "suites = free_maps buddy", "no suite free_maps"),
        ("set", "sets = alloc-alloc free-offline\n", "sets = alloc\n", "no explorer's set alloc"),
        ("race", "races = R-S2 R-S4\n", "races = R-S99\n", "no race R-S99"),
        ("variant", "FM01 FM02", "FM91 FM02", "no variant FM91"),
        ("track", "labs = 0 2 4 5 6 7 capstone", "labs = 0 2 4 5 6 capstone", "its tracks"),
        ("file", "\tmm/core/free_map.c\n", "\tmm/no_map.c\n", "no file mm/no_map.c"),
        ("lines", "migrate_list 16", "migrate_list 16 put_done 9", "8"),
        (
            "lines",
            "contig_isolated 18",
            "contig_isolated 18 set_types 9 free_contig_range 9",
            "capstone",
        ),
        (
            "data",
            "files =\n\tmm/hotplug/page_isolation.c\n",
            "files =\n\tmm/hotplug/page_isolation.c\n\tmm/hotplug/isolate_policy.c\n",
            "mm/hotplug/isolate_policy.c holds data with function pointers",
        ),
        ("planted", "planted = wrong_count ", "planted = ", "wrong_count.c is not planted"),
        ("planted", "planted = wrong_count", "planted = no_count", "no file labs/planted/0/no_c"),
        ("short", "short = 4 drain_round", "short = 4 no_round", "short: no_round is not emptied"),
        (
            "owner",
            "\tmm/core/drain.c\nfunctions",
            "\tmm/core/drain.c mm/core/pcp.c\nfunctions",
            "belongs to lab 4",
        ),
    ],
)
def test_a_mistake_in_labs_ini_is_named(monkeypatch, key, old, new, said):
    text = labs.read(labs.INI)
    assert old in text, key
    read = labs.read
    changed = text.replace(old, new, 1)
    monkeypatch.setattr(labs, "read", lambda path: changed if path == labs.INI else read(path))
    labs.labs.cache_clear()
    try:
        found = labs.faults()
        if key == "lines":  # @said is the name of a lab
            said = f"lab {said}: {labs.lines(labs.lab(said))} lines of bodies"
    finally:
        labs.labs.cache_clear()
    assert any(said in line for line in found), found


def test_each_function_says_which_memory_it_works_for():
    """A parameter names the memory; otherwise a lab's tests call the student's function
    directly."""
    for one in labs.labs().values():
        for path, names in one.functions.items():
            for body in (one.body(path, name) for name in names):
                rows, _ = lab_make.parameters(body.head, body.name)
                static = re.search(r"\bstatic\b", body.head)
                straight = one.tests or one.in_ring_3()
                assert static or straight or lab_make.condition(rows), body.name


def test_functions_that_are_not_emptied_cost_nothing():
    """Only lines of emptied bodies count for the limit."""
    one = labs.lab("2")
    more = labs.Lab(**{**vars(one), "functions": {"mm/core/free_map.c": ["free_map_take"]}})
    assert 0 < labs.lines(more) < labs.lines(one) <= labs.MOST


def test_the_table_and_the_tracks():
    def said(*words):
        tool = [sys.executable, "tools/grade/labs.py", *words]
        return subprocess.check_output(tool, cwd=ROOT, text=True).split("\n")

    lines = said()
    assert [line.split()[0] for line in lines[1 : 1 + len(labs.labs())]] == list(labs.labs())
    assert all(len(line) <= 80 for line in lines)
    assert "    0 2 4 5 6 7 capstone" in lines and "    week 4: 7" in lines
    assert list(labs.tracks()) == ["core", "short4"]
    assert labs.tracks()["core"] == [["0", "2", "4", "5", "6", "7", "capstone"]]
    assert len(labs.tracks()["short4"]) == 4
    for name in list(labs.labs())[:: 1 if whole() else 4]:
        assert all(len(line) <= 80 for line in said("show", name))


@pytest.mark.parametrize("name", list(labs.labs()))
def test_an_emptied_file_differs_in_the_named_bodies_only(name):
    one = labs.lab(name)
    for path in one.files:
        text, empty = labs.read(path), skeleton.emptied(one, path, labs.read(path))
        before, after = bodies.bodies(text), bodies.bodies(empty)
        assert list(before) == list(after)
        names = one.functions.get(path, [])
        for body in before.values():
            other = after[body.name]
            same = text[body.begin : body.end] == empty[other.begin : other.end]
            assert same == (body.name not in names), body.name
        rest = [strip(text, before, names), strip(empty, after, names)]
        for added in (skeleton.INCLUDE, skeleton.USER_INCLUDE):
            rest[1] = rest[1].replace(added, "")
        assert rest[0] == rest[1]


def strip(text, found, names):
    for body in sorted((found[name] for name in names), key=lambda b: -b.begin):
        text = text[: body.begin] + text[body.end :]
    return text


def test_a_skeleton_leaves_out_what_shows_solutions(tmp_path, monkeypatch):
    folder = str(tmp_path / "lab")
    command = [
        "make",
        "-s",
        "skeleton",
        "LAB=2",
        f"DIR={folder}",
        f"B={os.path.relpath(BUILD, ROOT)}",
    ]
    more = {"cwd": ROOT, "env": outer_make.env(), "capture_output": True, "text": True}
    done = subprocess.run(command, check=True, **more)
    assert "8 functions to write" in done.stdout
    assert not os.path.exists(os.path.join(folder, "tests", "mutants"))
    assert not os.path.exists(os.path.join(folder, ".git"))
    with open(os.path.join(folder, "mm/core/free_map.c"), encoding="utf-8") as f:
        assert f.read().count("LAB_TODO();") == 7
    assert os.path.exists(os.path.join(folder, "labs/reference/kernel/mm_core_free_map.c.o"))
    again = subprocess.run(command, check=False, **more)
    assert again.returncode and "exists" in again.stderr
    has_the_rules_of_the_hand_in(folder, monkeypatch)


def has_the_rules_of_the_hand_in(folder, monkeypatch):
    """Check that functions and data that a student adds do not change the rules for objects."""

    def rules():
        one = labs.lab("2")
        return [(one.exports(p), grade_source.lab_data(one, p)) for p in one.sources()]

    want = rules()
    assert "free_map_take" in want[0][0] and "lab_free_count_depth" in want[0][1]
    with open(os.path.join(folder, "mm/core/free_map.c"), "a", encoding="utf-8") as f:
        f.write("\nconst int data = 1;\n\nint helper(void)\n{\n\treturn data;\n}\n")
    monkeypatch.setattr(labs, "ROOT", folder)
    assert rules() == want


def test_a_solution_elsewhere_is_found(monkeypatch):
    text = labs.read("mm/core/free_map.c")
    body = bodies.bodies(text)["free_map_take_at"]
    read = labs.read

    def with_copy(path):
        extra = text[body.begin : body.end] if path == "docs/mm/model.md" else ""
        return read(path) + extra

    monkeypatch.setattr(labs, "read", with_copy)
    assert skeleton.shown(["2"]) == ["lab 2: free_map_take_at is shown by docs/mm/model.md"]


# ---- the hosted program --------------------------------------------------------------------------


@pytest.mark.full
def test_both_codes_are_linked_side_by_side(tmp_path):
    """Two suites suffice: test_the_reference_passes_as_a_student runs all with the right code."""
    lab, which = Lab("2", tmp_path), "free_map,buddy"
    got = lab.run(which)
    assert got["rc"] == 0 and got["ended"] and got["ok"] and not got["not ok"]
    lab.change("mm/core/free_map.h", "while (bits >> (node ^ 1) % 64 & 1)", "while (0)")
    got = lab.run(which)
    assert got["rc"] and (got["not ok"] or "PANIC" in got["text"])
    lab.change("mm/core/free_map.h", "while (0)", "while (bits >> (node ^ 1) % 64 & 1)")
    assert lab.run(which)["rc"] == 0


def test_a_program_that_is_up_to_date_is_not_made_again(tmp_path):
    lab = Lab("2", tmp_path)
    lab.run("buddy")
    program = os.path.join(BUILD, "labs", lab_build.Hosted.KIND, "2", "test", "check")
    before = os.stat(program).st_mtime_ns
    lab.run("buddy")
    assert os.stat(program).st_mtime_ns == before


def test_builds_in_one_folder_keep_each_others_stamps(tmp_path):
    (tmp_path / "one.c").write_text("int one;\n")
    objects = [str(tmp_path / name) for name in ("a.o", "b.o")]
    builders = [lab_make.Builder(str(tmp_path)) for _ in objects]
    for builder, to in zip(builders, objects):
        builder.compile(str(tmp_path / "one.c"), to, ["gcc"])
    for builder in builders:
        builder.save()
    last = lab_make.Builder(str(tmp_path))
    for to in objects:
        last.compile(str(tmp_path / "one.c"), to, ["gcc"])
    assert last.made == 0


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_an_edit_is_noticed_in_a_folder_with_any_name(tmp_path, cc):
    folder = tmp_path / "anna #2 for $5"
    folder.mkdir()
    (folder / "one.c").write_text('#include "one.h"\n')
    for text in ("int one;\n", "int two;\n"):
        (folder / "one.h").write_text(text)
        for makes in (1, 0):
            builder = lab_make.Builder(str(tmp_path))
            builder.compile(str(folder / "one.c"), str(tmp_path / "one.o"), [cc])
            builder.save()
            assert builder.made == makes, text


def test_what_a_compiler_says_of_the_students_file_is_shown(tmp_path):
    lab = Lab("2", tmp_path)
    lab.change(
        "mm/core/free_map.c", "return counts == map->counts;", "return counts == map->count;"
    )
    with pytest.raises(lab_make.Failed) as failed:
        lab.run("buddy")
    assert "has no member named" in str(failed.value)


@pytest.mark.parametrize(
    "tool, lab", [("grade", "2"), ("lab_build", "2"), ("lab_kernel", "2"), ("lab_kernel", "P")]
)
def test_a_directory_without_the_labs_files_is_refused(tool, lab, tmp_path):
    tree = [str(tmp_path)] if tool == "grade" else ["--tree", str(tmp_path)]
    done = rooms.call(
        [sys.executable, f"tools/grade/{tool}.py", "--build", BUILD, lab, *tree],
        stderr=subprocess.PIPE
    )
    assert done.returncode == 1 and not done.stdout
    said = f"{tmp_path} has none of the lab's files: {labs.lab(lab).files[0]}"
    assert done.stderr.startswith(f"tools/grade/{tool}.py: {said}")


@pytest.mark.parametrize(
    "tool, kind, lab",
    [(lab_build, "Hosted", "2"), (lab_kernel, "Kernel", "2"), (lab_kernel, "User", "P")],
)
def test_one_tool_builds_at_a_time(tool, kind, lab, tmp_path, monkeypatch):
    """A second one would replace the program of the first before that has started it."""

    def begins(*_, **__):
        with open(tmp_path / "labs" / "lock", encoding="utf-8") as f:
            with pytest.raises(BlockingIOError):
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raise lab_make.Failed("it is locked")

    monkeypatch.setattr(tool, kind, begins)
    monkeypatch.setattr("sys.argv", [kind, "--build", str(tmp_path), lab])
    with pytest.raises(SystemExit, match="it is locked"):
        tool.main()


def test_symbols_that_a_lab_does_not_list(tmp_path):
    lab = Lab("2", tmp_path)
    hosted = lab_build.Hosted(lab.one, BUILD)
    hosted.program(lab.folder, "test")
    name = "mm_core_free_map.c.o"
    same = os.path.join(hosted.folder_of_same(), name)
    assert grade_source.object_faults(lab.one, same, "mm/core/free_map.c") == []
    lab.change(
        "mm/core/free_map.c",
        "unsigned free_map_first(",
        "extern int ktest_run(const char *which, u64 seed);\n"
        "__attribute__((constructor)) static void early(void)\n{\n\tktest_run(NULL, 0);\n}\n\n"
        "unsigned free_map_first(",
    )
    hosted = lab_build.Hosted(lab.one, BUILD)
    hosted.program(lab.folder, "test")
    made = os.path.join(hosted.lab, "test", name)
    said = grade_source.object_faults(lab.one, made, "mm/core/free_map.c")
    assert any(line.startswith("mm/core/free_map.c uses ktest_run, which") for line in said)
    assert "mm/core/free_map.c has a section .init_array" in said


def test_of_a_students_tree_only_the_labs_files_count(tmp_path):
    lab = Lab("4", tmp_path)
    for path in ("mm/core/pcp.h", "mm/core/page.h", "mm/core/zone.h"):
        with open(os.path.join(lab.folder, path), "w", encoding="utf-8") as f:
            f.write("#error another header\n")
    lab_build.Hosted(lab.one, BUILD).program(lab.folder, "test")


@pytest.mark.parametrize("mistake", labs.lab("0").planted)
def test_a_planted_mistake_fails_its_test(mistake, tmp_path):
    lab = Lab("0", tmp_path)
    head, functions = skeleton.planted(lab.one, mistake)
    text = labs.read(head["file"])
    lab.write(head["file"], submission.fitted(text, functions))
    got = lab.run(head["test"])
    assert head["says"] in got["text"] and got["rc"], got["text"]
    assert got["ended"] == (head["verdict"] == "FAIL"), got["text"]
    for other, _ in skeleton.mistakes(lab.one):
        if other["test"] != head["test"]:
            assert lab.run(other["test"])["rc"] == 0, other


@pytest.mark.parametrize("name", each(IN_KERNEL))
def test_the_emptied_tree_ends_every_test(name, tmp_path):
    lab = Lab(name, tmp_path)
    lab.empty()
    got = lab.run(ending(lab.one))
    assert got["said"] == "", "a warning"
    assert got["ended"], got["text"][-2000:]
    assert got["not ok"]
    assert "runtime error" not in got["text"] and "AddressSanitizer" not in got["text"]
    assert got["todo"][0] in lab.one.names()
    # Tests that wait for code that is not written time out soon.
    assert got["cpu"] < MOST_CPU


@pytest.mark.parametrize("name", each(IN_KERNEL))
def test_the_reference_passes_as_a_student(name, tmp_path):
    lab = Lab(name, tmp_path)
    got, hosted = lab.run(), lab_build.Hosted(lab.one, BUILD)
    assert got["rc"] == 0 and got["ended"] and not got["not ok"], got["text"][-2000:]
    for path in lab.one.sources():
        made = os.path.join(hosted.folder_of_same(), path.replace("/", "_") + ".o")
        assert grade_source.object_faults(lab.one, made, path) == []


@pytest.mark.parametrize("name", [name for name in IN_KERNEL if name != "0"])
def test_the_kernels_objects_use_only_what_their_lab_lists(name):
    one = labs.lab(name)
    may = {*one.allow, *lab_make.BY_PORT}
    may.update(*(one.exports(path) for path in one.twice()))
    for path in one.sources():
        used = lab_make.symbols(f"{BUILD}/kernel/{path}.o")
        assert not {n for kind, n in used if kind in "Uw"} - may, path


@pytest.mark.full
def test_a_skeleton_has_the_reference_as_objects_only(tmp_path):
    folder = str(tmp_path / "lab")
    skeleton.write(labs.lab("2"), folder)
    skeleton.write_reference(labs.lab("2"), folder, BUILD)

    words = [sys.executable, "tools/grade/lab_build.py", "2", "--run", "free_map"]
    status, said = tool(folder, *words)
    assert status == 1 and "is not written yet" in said, said
    # The kernel's own memory worked, or no test would have ended.
    assert "# selftest:" in said
    for path in labs.lab("2").files:
        shutil.copy(os.path.join(ROOT, path), os.path.join(folder, path))
    status, said = tool(folder, *words)
    assert status == 0, said


@pytest.mark.parametrize("name", each(labs.labs()))
def test_emptied_files_compile_without_a_warning(name, tmp_path):
    lab = Lab(name, tmp_path)
    lab.empty()
    settings = lab_build.Settings(BUILD)
    kernel = [f for f in settings["KFLAGS"] if name != "P" or f not in ("-I.", "-Iarch/x86_64")]
    for path in [*lab.one.sources(), *lab.one.extra]:
        source = os.path.join(lab.folder if path in lab.one.files else ROOT, path)
        for cc, more in (("gcc", []), ("clang", ["--target=x86_64-linux-gnu"])):
            for flags in (kernel, settings["HFLAGS"]):
                if flags is kernel and path in suites.listed("HOST_TEST_SRCS"):
                    continue
                if name == "P" and flags is not kernel:
                    continue
                include = ["-iquote", lab.folder, *(["-iquote", "user"] if name == "P" else [])]
                done = rooms.call(
                    [cc, *more, *include, *flags, "-S", "-o", "/dev/null", source],
                    stderr=subprocess.PIPE
                )
                assert done.returncode == 0 and not done.stderr, done.stderr


# ---- tracks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in labs.labs() if labs.lab(n).short])
def test_a_short_lab_empties_fewer_functions(name):
    whole, short = labs.lab(name), labs.lab(name, labs.SHORT)
    assert short.hours <= whole.hours and set(short.names()) == set(whole.short[1:])
    assert labs.lines(short) < labs.lines(whole)
    texts = dict(skeleton.texts(short))
    assert sum(text.count("LAB_TODO();") for text in texts.values()) == len(short.names())
    assert set(texts) == set(whole.files)


def test_a_short_lab_is_one_of_the_track():
    with pytest.raises(labs.BadLab):
        labs.lab("8", labs.SHORT)
    assert labs.lab("2", labs.SHORT) is labs.lab("2")


def test_the_short_track_is_32_hours_in_four_weeks():
    weeks = [sum(labs.lab(n, labs.SHORT).hours for n in week) for week in labs.tracks()["short4"]]
    assert weeks == [8, 8, 8, 8]
