# SPDX-License-Identifier: MIT
"""What the grader refuses in sources and objects; texts in another encoding or with control
characters; and what it says before it grades."""
import json
import os
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

import grade_layers
import grade_report
import grade_run
import grade_source
import lab_make
import labs
import qemu
import submission
import test_grade
from test_grade import BUILD, LAB

HEADER = "mm/core/free_map.h"
PUT = (
    "static always_inline unsigned free_map_put(struct free_map *map, unsigned page, "
    "unsigned order)\n{\n"
)
# (file of lab 2, text in it, complaint)
REFUSED = (
    ("mm/core/free_map.c", '#include"mm/core/drain.c"', "which is no header of mm/"),
    ("mm/core/free_map.c", '#import "mm/core/zone.h"', "has #import"),
    ("mm/core/free_map.c", '#inc\\\nlude "/etc/passwd"', "which is no header of mm/"),
    ("mm/core/free_map.c", '#inc\\ \r\nlude "/etc/passwd"', "which is no header of mm/"),
    ("mm/core/free_map.c", '%:include "/etc/passwd"', "has a digraph"),
    ("mm/core/free_map.c", '#\0include "/etc/passwd"', "has control characters"),
    ("mm/core/free_map.c", '# 1 "/etc/passwd"', "has #1"),
    ("mm/core/free_map.c", '#line 1 "/etc/passwd"', "has #line"),
    ("mm/core/free_map.c", "#pragma GCC poison x", "has #pragma"),
    ("mm/core/free_map.c", '#define NAME "mm/core/drain.c"\n#include NAME', "includes NAME"),
    ("mm/core/free_map.c", "#include <mm/core/free_map.h>", "includes <mm/core/free_map.h>"),
    ("mm/core/free_map.c", '#include "mm/./free_map.h"', "which is no header of mm/"),
    ("mm/core/free_map.c", '#if __has_include("/etc/passwd")\n#endif', "of the preprocessor"),
    ("mm/core/free_map.c", 'char *s = "/*"; __asm__("syscall"); /* */', "has assembly"),
    ("mm/core/free_map.c", "char c = '\"'; __asm__(\"syscall\"); char d = '\"';", "has assembly"),
    ("mm/core/free_map.c", "__as\\\nm__(\"syscall\");", "has assembly"),
    ("mm/core/free_map.c", 'R"(")" __asm__("syscall"); //"', "a raw string"),
    (
        "mm/core/free_map.c",
        "#define A(x, y) __attribute__((x y))\nA(section, (N)) int x;",
        "a section",
    ),
    ("mm/core/free_map.c", '[[gnu::section("a")]] int x;', "a section"),
    ("mm/core/free_map.c", "__attribute__((no_sanitize_thread)) int f(int);", "a sanitizer's name"),
    ("mm/core/free_map.c", '[[gnu::__no_sanitize__("thread")]] int f(int);', "a sanitizer's name"),
    ("mm/core/free_map.c", "static void __tsan_write4(void *at)\n{\n}", "a sanitizer's name"),
    ("mm/core/free_map.c", "#define race_point(name) ((void)0)", "names race_point"),
    ("mm/core/free_map.c", "void f(void (*race_point)(const char *));", "names race_point"),
    ("mm/core/free_map.c", "#define lab_holds_block(zone, pfn) ((void)0)", "names lab_holds_block"),
    ("mm/core/free_map.c", "#undef zone_lock", "a macro zone_lock"),
    ("mm/core/free_map.c", "#undef RACE_BUILD", "a macro RACE_BUILD"),
    ("mm/core/free_map.c", "#ifndef __SANITIZE_THREAD__\n#endif", "tell the grader's builds apart"),
    ("mm/core/free_map.c", "#if defined(CHECKED_BUILD)\n#endif", "tell the grader's builds apart"),
    ("mm/core/free_map.c", "#ifdef __OPTIMIZE__\n#endif", "tell the grader's builds apart"),
    ("mm/core/free_map.c", "#if !__STDC_HOSTED__\n#endif", "tell the grader's builds apart"),
    ("mm/core/free_map.c", "#ifdef QUARRY_LABS_POINTS_H\n#endif", "tell the grader's builds apart"),
    ("mm/core/free_map.c", "#if 1 && !defined(EOF)\n#endif", "has a condition on EOF"),
    ("mm/core/free_map.c", "#ifndef zone_lock\n#endif", "has a condition on zone_lock"),
    ("mm/core/free_map.c", "void f(void *z)\n{\n\t(zone_lock)(z);\n}", "has zone_lock in another"),
    (
        "mm/core/free_map.c",
        "void f(void *z)\n{\n#define TAKE zone_lock\n\t(TAKE)(z);\n}",
        "has zone_lock in another",
    ),
    ("mm/core/free_map.c", "bool (*take)(struct page *) = get_page;", "has get_page in another"),
    (HEADER, "#define ktest_fail(...) ((void)0)", "names ktest_fail"),
    (HEADER, "static inline void ktest_fail(struct ktest *t, ...)\n{\n}", "names ktest_fail"),
    (HEADER, "#define EXPECT(t, cond) ((void)(cond))", "a macro EXPECT"),
    (HEADER, "#define if(cond) while (0 && (cond))", "a macro if"),
    (HEADER, "#define model_free(...) true", "a macro model_free"),
)
# Text that right submissions may have.
ACCEPTED = (
    "#define PAGES_OF(order) (1U << (order)) /* don't */\n#undef PAGES_OF",
    '#include "mm/core/zone.h" // of a pageblock',
    '#  include <quarry/string.h>\n#\n#error "a # and a \' and /* in it"',
    "char quote = '\"', percent[] = \"100 %: asm, R\\\"(x)\\\"\"; /* __asm__ \" */",
    "pfn_t section = ALIGN_DOWN(pfn, 4);\r\n/* \xe4 */",
    "#define MINE 1\n#if MINE || PAGEBLOCK_ORDER > 3\n#ifdef DEBUG\n#endif\n#endif",
    "unsigned most = __INT_MAX__, order = __ATOMIC_RELAXED;",
)


def faults_of(folder, path, text):
    """The faults of a source of lab 2 that ends with @text."""
    there = folder / "there"
    there.write_bytes((labs.read(path) + text + "\n").encode())
    return list(grade_source.source_faults(labs.lab(LAB), str(there), path))


@pytest.mark.parametrize("path, text, complaint", REFUSED)
def test_sources_that_are_refused(tmp_path, path, text, complaint):
    said = faults_of(tmp_path, path, text)
    assert any(complaint in line for line in said), said


@pytest.mark.parametrize("text", ACCEPTED)
def test_sources_that_are_accepted(tmp_path, text):
    assert faults_of(tmp_path, "mm/core/free_map.c", text) == []


def test_a_byte_order_mark_hides_no_directive(tmp_path):
    there = tmp_path / "there"
    there.write_bytes(b'\xef\xbb\xbf#include "/etc/passwd"\n')
    (said,) = grade_source.source_faults(labs.lab(LAB), str(there), "mm/core/free_map.c")
    assert "includes" in said


# {name: (language, source, complaint)} of objects with machine code that no compiler has made.
CODE = {
    "data_in_text": ("c", 'const char x[] __attribute__((section(".text"))) = "a";', "in the sec"),
    "code_in_rodata": (
        "c",
        'const char x[] __attribute__((section(".rodata.x,\\"ax\\",@progbits#"))) = "a";',
        "has a section .rodata.x",
    ),
    "stack": (
        "c",
        "int use(int (*)(int));\nint f(int a)\n{\n\tint g(int b)\n\t{\n\t\treturn a + b;\n\t}\n"
        "\treturn use(g);\n}",
        "has a section .note.GNU-stack",
    ),
    "constructor": (
        "c",
        "int early;\n__attribute__((constructor(99))) static void run(void)\n{\n\tearly = 1;\n}",
        "has a section .init_array.00099",
    ),
    "rex": ("assembler", ".byte 0x48, 0x0f, 0x05", "needs: syscall"),
    "rep": ("assembler", "rep outsb", "needs: outsb"),
}


def compiled(folder, text, *flags, language="c"):
    """The path of an object of @text."""
    to = str(folder / "x.o")
    command = ["gcc", *flags, "-x", language, "-c", "-o", to, "-"]
    subprocess.run(command, input=text + "\n", text=True, check=True)
    return to


@pytest.mark.parametrize("name", CODE)
def test_machine_code_is_found_in_objects(tmp_path, name):
    language, text, complaint = CODE[name]
    to = compiled(tmp_path, text, language=language)
    said = [*grade_source.section_faults(to, "x.c"), *grade_source.instruction_faults(to, "x.c")]
    assert any(complaint in line for line in said), said


def test_stacks_may_be_protected(tmp_path):
    """As by the compilers of some distributions, if they are not asked not to."""
    text = "int get(int *);\nint f(int a)\n{\n\tint x[9];\n\n\tx[0] = a;\n\treturn get(x);\n}"
    to = compiled(tmp_path, text, "-fstack-protector-strong")
    assert ("U", "__stack_chk_fail") in lab_make.symbols(to)
    said = list(grade_source.symbol_faults(labs.lab(LAB), to, "mm/core/free_map.c"))
    assert any("uses get," in line for line in said)
    assert not any("__stack_chk" in line for line in said)


@pytest.mark.parametrize(
    "place, text, complaint",
    (
        ("contract", "void __tsan_write4(void *);", "uses __tsan_write4"),
        ("explorer", "void __tsan_write4(void *);", ""),
        ("explorer", "void __tsan_write4(void *at)\n{\n}", "defines __tsan_write4"),
        ("explorer", "void __tsan_write4(void *at) __attribute__((weak));", "uses __tsan_write4"),
    ),
)
def test_only_the_explorers_build_calls_at_stores(tmp_path, place, text, complaint):
    """labs/grade/stores.c has these functions; code that has its own would hide its stores."""
    folder = tmp_path / "labs" / place
    folder.mkdir(parents=True)
    to = compiled(folder, f"{text}\nvoid f(int *at)\n{{\n\t__tsan_write4(at);\n}}")
    said = list(grade_source.symbol_faults(labs.lab(LAB), to, "mm/core/free_map.c"))
    assert any(complaint in line for line in said) if complaint else len(said) == 1, said


@pytest.mark.parametrize(
    "layer, here, ends",
    (
        ("model", "!defined(QUARRY_FIBER_ARCH_INLINE_H)", "_exit"),
        ("contract", "defined(QUARRY_FIBER_ARCH_INLINE_H)", "_exit"),
        ("explorer", "defined(RACE_BUILD)", "_exit"),
        pytest.param("kernel", "!__STDC_HOSTED__", "machine_power_off", marks=pytest.mark.full),
    ),
)
def test_what_a_header_brings_into_given_sources(tmp_path, monkeypatch, layer, here, ends):
    """In one layer the submission ends the program in given code; all its own objects are clean."""
    monkeypatch.setattr(grade_source, "source_faults", lambda *_: ())  # they would end it before
    text = labs.read(HEADER)
    at = text.index(PUT)
    body = at + len(PUT)
    begin = f"#if {here}\nvoid {ends}(int);\n#else\n#define {ends}(how) ((void)0)\n#endif\n"
    text = text[:at] + begin + text[at:body] + f"\t{ends}(0);\n" + text[body:]
    one = test_grade.graded(tmp_path, text={HEADER: text}, only=layer, kernel=layer == "kernel")
    assert [r.name for r in one.results] == ["rules"] and one.points() == 0
    said = [one.results[0].why, *one.results[0].details]
    for path in ("mm/core/buddy.c", "mm/core/buddy_batch.c"):
        lacks = f"{path}, with the lab's headers, has {ends}, which the lab does not list"
        assert lacks in said, said


def test_the_kernel_that_is_measured_is_checked(tmp_path, monkeypatch):
    """It prints what is measured, so code that ends it could print figures of its own."""
    monkeypatch.setattr(grade_source, "source_faults", lambda *_: ())
    path = labs.lab("10").sources()[0]
    text = labs.read(path) + (
        "#if !__STDC_HOSTED__\nvoid machine_power_off(_Bool);\n"
        "static void __attribute__((used)) end(void)\n{\n\tmachine_power_off(1);\n}\n#endif\n"
    )
    one = test_grade.graded(tmp_path, lab="10", text={path: text}, only="perf")
    assert [r.name for r in one.results] == ["rules"] and one.points() == 0
    assert "uses machine_power_off" in one.results[0].why


@pytest.mark.full
@pytest.mark.parametrize("lab, name", (("2", "sets_then_merges"), ("4", "one_way_out")))
def test_headers_of_right_submissions_are_accepted(tmp_path, lab, name):
    """Also where they make given sources use other functions; in all layers."""
    one = test_grade.graded(tmp_path, lab=lab, name=name, kernel=True)
    assert test_grade.lost(one) == [] and one.points() == 100


@pytest.mark.parametrize(
    "row, verdict",
    (
        ({"B": [], "E": [], "D": ["0"]}, "PASS"),
        ({"B": [], "E": [], "D": [str(int(signal.SIGSEGV))]}, "CRASH"),
        ({"B": [], "E": [], "D": [str(1 << 8)]}, "CRASH"),
        ({"B": [], "E": []}, "CRASH"),
        ({"B": [], "E": [], "F": [], "D": ["0"]}, "FAIL"),
    ),
)
def test_a_test_passes_only_if_its_process_ends_well(row, verdict):
    assert grade_layers.result_of("contract", "a.b", row, "", False).verdict == verdict


@pytest.mark.full
def test_texts_in_another_encoding(tmp_path):
    """Here Latin-1: in a header, and in a line that the compiler quotes."""
    latin = {HEADER: labs.read(HEADER) + "/* gr\udcfcn */\n"}
    only = "contract.free_map,model.one_block"
    one = test_grade.graded(tmp_path / "right", text=latin, only=only)
    assert test_grade.lost(one) == []
    wrong = test_grade.taking("", "\treturn 1 1; /* gr\udcfcn */\n")
    one = test_grade.graded(tmp_path / "wrong", text=wrong, only="model.one_block")
    assert [r.verdict for r in one.results] == ["FAIL"]


def test_a_students_own_tree_in_another_encoding(tmp_path, monkeypatch):
    (tmp_path / "drain.c").write_bytes(b"/* gr\xfcn */\n")
    monkeypatch.setattr(labs, "ROOT", str(tmp_path))
    assert labs.read("drain.c") == "/* gr\ufffdn */\n"


def test_the_compiler_speaks_english(monkeypatch):
    """The grader looks for words in its output."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert lab_make.run("sh", "-c", "echo $LC_ALL") == "C\n"
    assert lab_make.compiled(["sh", "-c", "echo $LC_ALL >&2"], "a source") == (0, "C\n")


def test_control_characters_of_a_submission(tmp_path):
    """Its last words go through JSON and into XML."""
    dies = test_grade.taking("", '\tpanic("red \\033[31m, bell \\a, \\357\\277\\277");\n')
    out, only = tmp_path / "out", "explorer.alloc-alloc,model.one_block"
    one = test_grade.graded(tmp_path / "in", text=dies, only=only, out=str(out))
    one.args.github = False
    grade_report.write(one, one.args)
    cases = ElementTree.parse(out / "junit.xml").getroot().findall("testsuite/testcase")
    assert len(cases) == 2
    tests = json.loads((out / "grade.json").read_text())["tests"]
    assert all("red [31m, bell , " in t["why"] + "".join(t["details"]) for t in tests), tests


def test_root_without_setpriv_is_told(monkeypatch):
    guard = grade_run.Guard()
    try:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(shutil, "which", lambda name: None)
        note = "no setpriv on this machine: the code is run as root"
        assert note in grade_run.Sandbox(guard).notes
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert not any("setpriv" in note for note in grade_run.Sandbox(guard).notes)
    finally:
        guard.close()


def test_the_command_to_repeat_is_quoted():
    row = grade_layers.Result("model", "one_block", "FAIL")
    args = type("Arguments", (), {"tree": "/tmp/hand in", "seed": 1, "track": "short4"})
    one = type("Grade", (), {"args": args, "one": labs.lab(LAB), "in_ring_3": False})
    again = "make grade LAB=2 DIR='/tmp/hand in' TRACK=short4 ONLY=model.one_block"
    assert grade_report.replay(one, row) == again


def told(*words):
    command = [sys.executable, "tools/grade/grade.py", "--build", BUILD, *words]
    done = subprocess.run(command, cwd=qemu.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    return done.stderr


def test_what_cannot_be_graded_is_told_at_once(tmp_path):
    said = told(LAB, "--only", "model.one_block,modle,contract.x")
    assert said == "tools/grade/grade.py: lab 2 has no test modle contract.x\n"
    assert told(LAB, "--test", "a.b") == "tools/grade/grade.py: lab 2 has no test a.b\n"
    (tmp_path / "file").write_text("")
    said = told(LAB, "--only", "model.one_block", "--out", str(tmp_path / "file" / "out"))
    assert said == f"tools/grade/grade.py: {tmp_path}/file/out: Not a directory\n"


def test_a_file_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    submission.write(LAB, "reference", str(tmp_path / "in"))
    real = os.open

    def refuse(path, *words, **more):
        if path == refused:
            raise PermissionError(13, "Permission denied", path)
        return real(path, *words, **more)

    monkeypatch.setattr(os, "open", refuse)
    for refused in ("free_map.c", "mm", str(tmp_path / "in")):
        with pytest.raises(labs.BadLab, match="mm/core/free_map.[ch]: Permission denied"):
            grade_source.stage(labs.lab(LAB), str(tmp_path / "in"), str(tmp_path / "to"))
