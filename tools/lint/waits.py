#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare waiting functions with docs/waits.md, which says what ends each wait; part of lint.

Usage: waits.py [FILE...]

A function of the folders FOLDERS waits if it sleeps, yields or relaxes; has a loop without a
condition; a loop around a compare-and-swap; or a loop whose condition reads a value that another
CPU or a device writes, and compares no counter.  Prints missing and needless
rows of the page; with FILEs, their waiting functions.
"""
import glob
import os
import re
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
from rooms import ROOT, read

PAGE = "docs/waits.md"
FOLDERS = ("mm", "kernel", "demo", "bench", "drivers", "arch/x86_64", "tests/soak")
ROW = re.compile(
    rf"^\| ((?:{'|'.join(FOLDERS)})/(?:\w+/)?\w+\.[ch]) \| `(\w+)` \| (.+) \|$", re.MULTILINE
)
WAITS = re.compile(
    r"\b(?:wait_until|mutex_lock_unless|"
    r"sleep_unlocked|sleep_passing|thread_sleep|thread_yield|cpu_relax|"
    r"arch_idle_wait)\(|"
    r"\barch_cpu_park\(|"
    r"\bfor \(;;\)|\bwhile \((?:true|1)\)|\bhlt\b"
)
LOOP = re.compile(r"\b(for|while|do)\b")
CAS = re.compile(r"\b\w*cas\w*\(|__atomic_compare_exchange")
# Reads of values that another CPU or a device changes: shared memory, and registers of devices.
SHARED = re.compile(
    r"\b(?:READ_ONCE|load_acquire|atomic_\w+|__atomic_\w+|in[bwl]|inp[bwl]|page_word|"
    r"\w*trylock\w*|rdmsr|\w*apic_read|pm_read)\("
)
COUNTED = re.compile(r"(?<![-<])[<](?![<])|(?<![->])[>](?![>])|--|\+\+")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL)


def closing(text, at):
    """The index behind the bracket that closes the one at @at."""
    depth = 0
    for i in range(at, len(text)):
        depth += text[i] in "({"
        depth -= text[i] in ")}"
        if depth == 0:
            return i + 1
    return len(text)


def statement(text, at):
    """The index behind the statement that begins at @at: a block, or up to its semicolon."""
    while at < len(text) and text[at].isspace():
        at += 1
    if text[at : at + 1] == "{":
        return closing(text, at)
    while at < len(text) and text[at] != ";":
        at = closing(text, at) if text[at] in "({" else at + 1
    return at + 1


def loops(text):
    """(where, condition, body) of each loop."""
    for m in LOOP.finditer(text):
        at = m.end()
        while text[at : at + 1].isspace():
            at += 1
        if m.group(1) == "do":
            end = statement(text, at)
            tail = re.match(r"\s*while\s*\(", text[end:])
            if tail:
                yield m.start(), text[
                    end + tail.end() : closing(text, end + tail.end() - 1) - 1
                ], text[at:end]
        elif text[at : at + 1] == "(":
            end = closing(text, at)
            inside = text[at + 1 : end - 1]
            yield (
                m.start(),
                inside.split(";")[1] if m.group(1) == "for" and inside.count(";") == 2 else inside,
                text[end : statement(text, end)],
            )


def waiting_loop(condition, body):
    if CAS.search(condition):
        return True
    if CAS.search(body) and not COUNTED.search(condition):
        return True
    return bool(SHARED.search(condition)) and not COUNTED.search(condition)


def waiting(path):
    """The waiting functions of a file, in order.  A function's name is in a line without
    indentation."""
    text = COMMENT.sub(lambda m: "\n" * m.group().count("\n"), read(path))
    at, lines = 0, {
        text.count("\n", 0, where)
        for where, condition, body in loops(text)
        if waiting_loop(condition, body)
    }
    name, declared, found = None, False, []
    for at, line in enumerate(text.split("\n")):
        head = re.match(r"^[A-Za-z_][^=;]*?\b(\w+)\(", line)
        if head and not line.rstrip().endswith(";"):
            name, declared = head.group(1), True
        elif declared and re.search(r"[{;]\s*$", line):
            name, declared = (name if line.rstrip().endswith("{") else None), False
        if (
            line[:1].isspace()
            and (WAITS.search(line) or at in lines)
            and name
            and name not in found
        ):
            found.append(name)
    return found


def wrong():
    named = {(path, name) for path, name, _ in ROW.findall(read(PAGE))}
    paths = [
        os.path.relpath(p, ROOT)
        for d in FOLDERS
        for p in glob.glob(os.path.join(ROOT, d, "**", "*.[ch]"), recursive=True)
        if "/bench/peers/" not in p and "/bench/time/" not in p  # programs of the host
    ]
    there = {(path, name) for path in paths for name in waiting(path)}
    for path, name in sorted(there - named):
        yield f"{path}: {name} waits, and {PAGE} does not say what ends it"
    for path, name in sorted(named - there):
        yield f"{PAGE}: {path}: {name} does not wait"


if __name__ == "__main__":
    said = (
        [f"{path}: {name}" for path in sys.argv[1:] for name in waiting(path)]
        if sys.argv[1:]
        else list(wrong())
    )
    print("\n".join(said) or "waits: all have a row")
    sys.exit(bool(said) and not sys.argv[1:])
