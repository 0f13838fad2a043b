# SPDX-License-Identifier: MIT
"""Tests of the tool that runs the wrong variants: each verdict, and each way in which a variant can
be malformed."""
import os
import re

import pytest

import mutants
import qemu
import variant

WORDS = "assertion failed: range.end <= READ_ONCE((*zone)->end_pfn)"
HEAD = f"""id: TST
title: a title
why: a reason
kill: zone.ranges_across_zones_are_recognised
expect: {WORDS}
"""
OLD = "\t\tif (likely(pageblock_state(pb) != PB_HOLE && pb->zone == id))\n"
SAME = OLD.replace("id)", "id /* the same */)")
WRONG = OLD.replace("==", ">=")
LOOP = "\tfor (;;)\n\t\tcpu_relax();\n"


def block(new, old=OLD):
    old, new = (re.sub("^(?=.)", mark, text, flags=re.M) for mark, text in (("-", old), ("+", new)))
    return f"@@ mm/core/zone.c\n{old}{new}"


def read(folder, *texts):
    """The variant TST of a folder with a file for each of @texts."""
    for number, text in enumerate(texts):
        (folder / f"{number}.mut").write_text(text)
    return variant.read("TST", str(folder))


VERDICTS = {
    "killed": (HEAD, WRONG, "KILLED"),
    "another_form": (HEAD, SAME, "SURVIVED"),
    "other_words": (HEAD.replace(WORDS, "something else"), WRONG, "KILLED OTHERWISE"),
    "no_c": (HEAD, "\treturn;;)\n", "BUILD ERROR"),
    "compiled_alone": (HEAD.replace("kill:", "compile: mm/core/zone.c\nkill:"), WRONG, "KILLED"),
    "compiled_elsewhere": (
        HEAD.replace("kill:", "compile: mm/hotplug/cma.c\nkill:"), WRONG, "BAD PATCH",
    ),
    "hangs": (HEAD, LOOP + OLD, "TIMEOUT"),
    "hangs_as_it_must": (HEAD.replace(WORDS, "hangs"), LOOP + OLD, "KILLED"),
    "does_not_hang": (HEAD.replace(WORDS, "hangs"), SAME, "SURVIVED"),
    "wrong_but_ends": (HEAD.replace(WORDS, "hangs"), WRONG, "KILLED OTHERWISE"),
    "ends_with_the_words": (HEAD.replace(WORDS, "hangs, or " + WORDS), WRONG, "KILLED"),
    "no_test": (HEAD.replace("ranges_across", "no_ranges_across"), WRONG, "the unmodified tree"),
    "always_said": (HEAD.replace(WORDS, "KTAP version 1"), WRONG, "BAD PATCH"),
    "no_race": (
        HEAD.replace("kill: zone.ranges_across_zones_are_recognised", "kill: race R-NONE"),
        WRONG,
        "the unmodified tree",
    ),
    "not_noticed_there": (
        HEAD.replace("kill: zone.ranges_across_zones_are_recognised", "kill: race R-S1"),
        WRONG,
        "SURVIVED",
    ),
    "no_set": (
        HEAD.replace("kill: zone.ranges_across_zones_are_recognised", "kill: explore nothing"),
        WRONG,
        "the unmodified tree",
    ),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_verdict(tmp_path, monkeypatch, case):
    head, new, want = VERDICTS[case]
    if want == "TIMEOUT":
        monkeypatch.setattr(mutants, "LIMIT", 2)
    v = read(tmp_path, head + block(new))
    hunt = mutants.Hunt(qemu.BUILD, False)
    wrong = hunt.prepare([v])
    assert (wrong or hunt.one(v)[0]["verdict"]).startswith(want), wrong
    with open(f"{variant.ROOT}/mm/core/zone.c", encoding="utf-8") as f:
        assert OLD in f.read()  # this tree is unchanged


MALFORMED = {
    "no_title": (HEAD.replace("title", "# title") + block(WRONG), "mut:2: not a line of a header"),
    "no_why": (HEAD.replace("why: a reason\n", "") + block(WRONG), "no line why"),
    "unknown_line": (HEAD + "colour: red\n" + block(WRONG), "mut:6: unknown line colour"),
    "second_title": (HEAD + "title: more\n" + block(WRONG), "second line title"),
    "no_id": (HEAD.replace("id: TST\n", "") + block(WRONG), "begins with a line id"),
    "another_id": (HEAD.replace("TST", "OTHER") + block(WRONG), "no variant TST"),
    "twice": (2 * (HEAD + block(WRONG)), "is in .* and in"),
    "kill_alone": (HEAD + "kill: zone.another\n" + block(WRONG), "go together"),
    "no_such_kill": (
        HEAD.replace("zone.ranges", "zone ranges") + block(WRONG), "mut:4: kill: .* is none of",
    ),
    "no_such_build": (HEAD + "build: fast\n" + block(WRONG), "mut:6: build: 'fast' is none of"),
    "no_block": (HEAD, "changes nothing"),
    "no_file": (
        HEAD + block(WRONG).replace("@@ mm/core/zone.c\n", ""), "mut:6: .*@@ PATH names one",
    ),
    "outside": (HEAD + block(WRONG).replace("mm/", "../"), "mut:6: .* not a file of the tree"),
    "no_mark": (HEAD + block(WRONG) + "}\n", "mut:9: not a line of .* a diff: '}'"),
    "header_last": (HEAD + block(WRONG) + "cpus: 2\n", "mut:9: not a line of"),
    "numbers": (
        HEAD + block(WRONG).replace("mm/core/zone.c", "-1,2 +1,2 @@"), "mut:6: not a line of",
    ),
    "only_new": (HEAD + block(WRONG, ""), "mut:6: nothing to replace"),
    "nothing_new": (HEAD + block(WRONG) + "@@\n }\n", "mut:9: nothing to replace"),
    "same": (HEAD + block(OLD), "nothing to replace"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(tmp_path, case):
    text, says = MALFORMED[case]
    with pytest.raises(variant.BadVariant, match=says):
        read(tmp_path, text)


def test_a_change_has_lines_that_stay(tmp_path):
    """An empty line stays, too.  The second change is in the same file."""
    v = read(tmp_path, HEAD + block(WRONG) + "@@\n one\n\n-two\n three\n@@ a/b.c\n-four\n")
    assert v.edits == [
        ("mm/core/zone.c", OLD, WRONG),
        ("mm/core/zone.c", "one\n\ntwo\nthree\n", "one\n\nthree\n"),
        ("a/b.c", "four\n", ""),
    ]


def test_a_file_has_several_variants(tmp_path):
    other = HEAD.replace("TST", "TST2") + block(SAME)
    v = read(tmp_path, HEAD + block(WRONG) + "\n" + other)
    assert (v.id, v.edits) == ("TST", [("mm/core/zone.c", OLD, WRONG)])
    assert variant.read("TST2", str(tmp_path)).edits == [("mm/core/zone.c", OLD, SAME)]


@pytest.mark.parametrize(
    "old, says",
    [
        ("\tno such line\n", "0 times"),
        ("}\n", "times, not once"),
        (OLD[5:], "begins within a line"),
    ],
    ids=["gone", "twice", "part_of_a_line"],
)
def test_does_not_fit(tmp_path, old, says):
    with pytest.raises(variant.BadVariant, match=says):
        variant.edited(read(tmp_path, HEAD + block(WRONG, old)))


def test_a_test_that_the_build_does_not_have_is_a_fault(tmp_path):
    test = "silence_lock.free_mutex_is_not_taken_where_nothing_may_sleep"
    v = read(tmp_path, HEAD.replace("zone.ranges_across_zones_are_recognised", test) + block(WRONG))
    faults = list(variant.misfits(v, {test.split(".")[1]}, {}))
    assert faults == [f"TST: {test} is a test of build: silence"]


def test_a_tree_has_the_variants_files_and_links_to_the_rest(tmp_path):
    tree = str(tmp_path / "tree")
    (tmp_path / "tree" / "build").mkdir(parents=True)
    (tmp_path / "tree" / "build" / "kept.o").write_text("")
    with open(f"{variant.ROOT}/include/quarry/types.h", encoding="utf-8") as f:
        first = f.readline()
    other = f"@@ include/quarry/types.h\n {first}+/* new */\n"
    for text in (other, block(WRONG)):  # nothing of the first text stays behind
        v = read(tmp_path, HEAD + text)
        (path,) = variant.make_tree(v, tree)
        for name in (
            "mm/core/zone.c",
            "mm/core/zone.h",
            "include/quarry/types.h",
            "user/init.c",
            "Makefile",
        ):
            with open(f"{tree}/{name}") as copy, open(f"{variant.ROOT}/{name}") as own:
                assert (copy.read() == own.read()) == (name != path), name
        folder = path.split("/")[0]
        real = [n for n in os.listdir(tree) if not os.path.islink(f"{tree}/{n}")]
        assert sorted(real) == sorted(["build", folder])
    assert os.listdir(f"{tree}/build") == ["kept.o"]
