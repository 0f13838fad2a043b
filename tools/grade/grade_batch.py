#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The steps of grade-batch: submissions of one lab, graded one by one.

Usage: grade_batch.py begin LAB IN OUT [OPTION...]       grade the reference, to make the
                                                               objects that all gradings share
       grade_batch.py left LAB IN OUT [OPTION...]        print the names still to be graded
       grade_batch.py one LAB NAME IN OUT [OPTION...]    grade one submission
       grade_batch.py nth LAB NUMBER IN OUT [OPTION...]  the same by its number, from 1 on
       grade_batch.py report LAB IN OUT [OPTION...]      OUT/grades.csv, OUT/report.html

OPTIONs go to grade.py.  The lab's files are taken from any folder of a submission, also if
they lie there alone; but only regular files.  OUT/NAME/ has grade.json, junit.xml, results.json,
the text that was printed, and a key: a hash of the files, the options and the grader.  A submission
whose key has not changed is not graded again, unless the grader failed on it.  If the points of a
submission change, OUT/NAME/before has the old ones.

A submission's name is a student's id or, for several of a student, ID@TIME: anna@2026-11-03T18.20;
without a time in the name, it is that of the file.  With DUE=2026-11-03T23.59 in the environment
grades.csv has the days late, begun ones too.
"""
import csv
import datetime
import hashlib
import html
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections import Counter
from functools import lru_cache
from lzma import LZMAError
from urllib.parse import quote

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import grade_source
import labs

ROOT = labs.ROOT
LIMIT = 1800  # seconds of one grading
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
FAILED, GOOD = "ERROR", ("PASS", "SKIP")
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Where the grader's sources are, and how their names end.
ROOMS = "arch bench boot demo drivers include kernel labs mm tests tools user".split()
ENDINGS = (".c", ".h", ".S", ".py", ".sh", ".ini", ".mk", ".ld", ".txt", ".gz", "Makefile")
# Errors of damaged archives.  RuntimeError: an encrypted file, or an unknown method.
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError)
UNREADABLE = (*DAMAGED, EOFError, MemoryError, OSError, RuntimeError, ValueError)
# The members of a tar archive that describe the next member; tarfile reads each of them whole.
HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
HEADERS += (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


class BadBatch(Exception):
    """The batch cannot be graded; the text says why."""


# ---- submissions ----


def name_of(entry):
    """The name of the submission: that of its file or folder, without an archive's ending.  A name
    with bytes that are not UTF-8, or with control characters, gets others for them, and a hash."""
    ending = next((e for e in sorted(ARCHIVES, key=len, reverse=True) if entry.endswith(e)), "")
    entry = entry.removesuffix(ending)
    plain = UNPRINTABLE.sub("_", entry)
    if plain == entry:
        return entry
    return f"{plain}-{hashlib.sha256(os.fsencode(entry)).hexdigest()[:8]}"


def submissions(folder):
    """{name of a submission: path}"""
    if not os.path.isdir(folder):
        raise BadBatch(f"{folder}: no such directory")
    found = {}
    for entry in sorted(os.listdir(folder)):
        path = os.path.join(folder, entry)
        if entry.startswith(".") or not (os.path.isdir(path) or entry.endswith(ARCHIVES)):
            continue
        if name_of(entry) in found:
            raise BadBatch(f"{folder}: {name_of(entry)} is there twice")
        found[name_of(entry)] = path
    return found


def of_folder(path):
    """(path in the folder, function that reads it) of each regular file; links are left out."""
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(f for f in folders if not os.path.islink(os.path.join(folder, f)))
        for file in sorted(files):
            full = os.path.join(folder, file)
            if os.path.isfile(full) and not os.path.islink(full):
                yield os.path.relpath(full, path), lambda full=full: read_some(open(full, "rb"))


class Member(tarfile.TarInfo):
    """A member of a tar archive; its size is not trusted."""

    def _proc_member(self, archive):
        if self.type in HEADERS and self.size > grade_source.MOST_BYTES:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        try:
            member = super()._proc_member(archive)
        except tarfile.InvalidHeaderError as error:  # else tarfile takes this for the last member
            raise tarfile.ReadError(str(error)) from None
        if archive.offset <= self.offset:  # else tarfile would come here again, without end
            raise tarfile.ReadError("invalid offset")
        return member


def of_tar(path):
    with tarfile.open(path, tarinfo=Member) as archive:
        for member in archive.getmembers():
            if member.isreg():
                yield member.name, lambda m=member: read_some(archive.extractfile(m))


def of_zip(path):
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            mode = archive.getinfo(name).external_attr >> 16
            if not name.endswith("/") and mode & 0o170000 in (0, 0o100000):
                yield name, lambda name=name: read_some(archive.open(name))


def read_some(file):
    with file:
        return file.read(grade_source.MOST_BYTES + 1)  # a larger file is refused by the grader


def texts(one, path):
    """{file of the lab: its bytes}.  A file may also lie outside its folder (mm/).  Of several, the
    one in that folder is taken, and the one with the shortest path."""
    kind = of_folder if os.path.isdir(path) else of_zip if path.endswith(".zip") else of_tar
    found = {}
    try:
        for name, read in kind(path):
            name = os.path.normpath(name)
            for wanted in one.files:
                rank = (not f"/{name}".endswith("/" + wanted), len(name))
                fits = os.path.basename(name) == os.path.basename(wanted)
                if fits and (wanted not in found or rank < found[wanted][0]):
                    found[wanted] = (rank, read())
    except UNREADABLE as error:
        name = UNPRINTABLE.sub("_", os.path.basename(path))
        raise BadBatch(f"{name} cannot be read: {str(error) or type(error).__name__}") from None
    if not found:
        raise BadBatch(f"it has none of the lab's files: {' '.join(one.files)}")
    return {name: text for name, (_, text) in found.items()}


# ---- results ----


def key_of(one, files, options):
    """A hash of everything on which the result depends."""
    digest = hashlib.sha256(json.dumps([one.name, options]).encode())
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    digest.update(grader_key().encode())
    return digest.hexdigest()


@lru_cache(None)
def grader_key(root=ROOT):
    """A hash of the files of the tree @root that take part in grading: all sources, and what says
    how they are compiled."""
    paths = [os.path.join(root, file) for file in os.listdir(root)]
    for room in ROOMS:
        for folder, _, files in os.walk(os.path.join(root, room)):
            paths += [os.path.join(folder, file) for file in files]
    digest = hashlib.sha256()
    for path in sorted(p for p in paths if p.endswith(ENDINGS) and os.path.isfile(p)):
        with open(path, "rb") as f:
            text = hashlib.sha256(f.read()).digest()
        digest.update(os.path.relpath(path, root).encode() + b"\0" + text)
    return digest.hexdigest()


def kept(*path):
    """The text of a file of results, or ""."""
    try:
        return rooms.read(os.path.abspath(os.path.join(*path))).strip()
    except OSError:
        return ""


def result_of(out, name):
    """The contents of a submission's grade.json, or None if it has none."""
    try:
        return json.loads(kept(out, name, "grade.json"))
    except ValueError:
        return None


def why_not(result):
    """Why a result is no grade: there is none, or the grader itself failed.  "": it is a grade."""
    if not result:
        return "not graded"
    failed = [test for test in result["tests"] if test["verdict"] == FAILED]
    said = "not graded, since the grader failed: {layer}.{name}: {why}"
    return said.format(**failed[0]) if failed else ""


def is_done(one, path, out, name, options):
    result = result_of(out, name)
    if why_not(result):
        return False
    try:
        return kept(out, name, "key") == key_of(one, texts(one, path), options)
    except BadBatch as error:
        # Was it refused before, for the same reason?  A grade may be that of an earlier hand-in.
        return str(error) in [test["why"] for test in result["tests"]]


def refused(one, out, name, why):
    """Write the result of a submission that cannot be graded: 0 points, and why."""
    test = {"layer": "build", "name": "submission", "verdict": "FAIL", "why": why, "details": []}
    result = {"lab": one.name, "points": 0, "layers": [], "tests": [test], "notes": []}
    write(os.path.join(out, name, "grade.json"), json.dumps(result, indent=1) + "\n")
    write(os.path.join(out, name, "said.txt"), f"lab {one.name}: {why}\n")


def write(path, text):
    """Replace the file @path by @text; if this fails, the old file stays whole."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8", errors="backslashreplace") as f:
        f.write(text)
    os.replace(path + ".new", path)


def grade(one, tree, options, more=()):
    words = [one.name, *filter(None, [tree]), *options, *more]
    return rooms.call([sys.executable, rooms.tool("grade.py"), *words], timeout=LIMIT)


def put(files, tree):
    """Write @files, {path: bytes}, to the folder @tree."""
    for file, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(tree, file)), exist_ok=True)
        with open(os.path.join(tree, file), "wb") as f:
            f.write(text)


def one_of(one, name, folder, out, options):
    """Grade one submission.  Its programs are removed (--clean): those of 200 would fill a disk."""
    path, place = submissions(folder).get(name), os.path.join(out, name)
    if not path:
        raise BadBatch(f"{folder} has no submission {name}")
    if is_done(one, path, out, name, options):
        return
    old = result_of(out, name)
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    try:
        files = texts(one, path)
    except BadBatch as error:
        refused(one, out, name, str(error))
        return
    tree = os.path.join(os.path.abspath(place), "in-" + name)
    try:
        put(files, tree)
        made = os.path.join(place, "made")
        try:
            said = grade(one, tree, options, ["--clean", "--out", os.path.abspath(made)]).stdout
        except subprocess.TimeoutExpired:
            said = f"no result after {LIMIT} seconds\n"
        write(os.path.join(place, "said.txt"), said.replace(tree, name))
        for file in os.listdir(made) if os.path.isdir(made) else []:
            text = rooms.read(os.path.abspath(os.path.join(made, file)))
            write(os.path.join(place, file), text.replace(tree, name))
        shutil.rmtree(made, ignore_errors=True)
        new = result_of(out, name)
        if new:
            write(os.path.join(place, "key"), key_of(one, files, options) + "\n")
        if not why_not(old) and not why_not(new) and old["points"] != new["points"]:
            write(os.path.join(place, "before"), f"{old['points']:g}\n")
    finally:
        shutil.rmtree(tree, ignore_errors=True)


# ---- all of them ----


def first_fault(result):
    """A line with the verdict and the reason of the first test that did not pass, or ""."""
    bad = [test for test in result["tests"] if test["verdict"] not in GOOD]
    return "{verdict} {layer}.{name}: {why}".format(**bad[0]) if bad else ""


def layers_of(rows):
    names = [layer["name"] for _, r in rows if not why_not(r) for layer in r["layers"]]
    return list(dict.fromkeys(names))


def time_of(text):
    """The time of ISO 8601 in @text, which may have dots for colons; in the zone of this machine,
    if @text has one, because a time with a zone cannot be compared with one without."""
    day, _, time = text.partition("T")
    time = datetime.datetime.fromisoformat(day + "T" + (time.replace(".", ":") or "00:00"))
    return time.astimezone().replace(tzinfo=None) if time.tzinfo else time


def about(names, folder=None):
    """{name of a submission: (id, time or None, days late or "")}"""
    found, due = {}, os.environ.get("DUE")
    paths = submissions(folder) if folder else {}
    for name in names:
        who, _, when = name.partition("@")
        try:
            time = time_of(when)
        except ValueError:
            at = int(os.path.getmtime(paths[name])) if name in paths else None
            time = None if at is None else datetime.datetime.fromtimestamp(at)
        found[name] = (who, time, days_late(time, time_of(due)) if due and time else "")
    return found


def days_late(time, due):
    """Days from @due to @time, begun ones too."""
    return max(0, math.ceil((time - due) / datetime.timedelta(days=1)))


def best_of(rows, known):
    """The submissions with the most points of their ids, of equal ones the earliest."""
    best = {}
    for name, result in rows:
        who, time, _ = known[name]
        if not why_not(result):
            rank = (-result["points"], str(time), name)
            best[who] = min(rank, best.get(who, rank))
    return {name for *_, name in best.values()}


def as_csv(rows, file, folder=None, out=None):
    layers, known = layers_of(rows), about([name for name, _ in rows], folder)
    best, table = best_of(rows, known), csv.writer(file)
    head = ["submission", "id", "time", "late days", "best", "before", "points", *layers]
    table.writerow([*head, "passed", "tests", "first fault", "notes"])
    for name, result in rows:
        who, time, late = known[name]
        first = [name, who, time.isoformat() if time else "", late]
        first += ["yes" if name in best else "", kept(out or "", name, "before")]
        if why_not(result):
            table.writerow([*first, "", *[""] * len(layers), "", "", why_not(result), ""])
            continue
        of = {layer["name"]: layer["points"] for layer in result["layers"]}
        passed = sum(t["verdict"] == "PASS" for t in result["tests"])
        last = [passed, len(result["tests"]), first_fault(result), "; ".join(result["notes"])]
        table.writerow([*first, result["points"], *[of.get(layer, "") for layer in layers], *last])


STYLE = """
body { font: 15px/1.45 Helvetica, Arial, sans-serif; margin: 2em auto; max-width: 75em;
	padding: 0 1em; color: #1f2328; background: #ffffff; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { border: 1px solid #888888; padding: 0.25em 0.6em; text-align: left; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
tr.low { background: #ffd6d6; } tr.full { background: #d8f0d8; }
div.bar { background: #cfe0ff; height: 1em; }
@media (prefers-color-scheme: dark) { body { color: #d5dbe1; background: #0d1117; }
	tr.low { background: #632026; } tr.full { background: #1b4023; }
	div.bar { background: #1c3a66; } }
"""


def as_html(one, rows):
    """The lines of an HTML page that needs no other file."""
    done = [(name, r) for name, r in rows if not why_not(r)]
    points = [r["points"] for _, r in done]
    tests = [test for _, r in done for test in r["tests"] if test["verdict"] not in GOOD]
    layers, lost = layers_of(rows), Counter(f"{t['layer']}.{t['name']}" for t in tests)
    title = f"Lab {one.name}: {html.escape(one.title)}"
    yield f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{STYLE}</style></head><body><h1>{title}</h1>"
    mean, middle = (f(points) if points else 0 for f in (statistics.mean, statistics.median))
    what = f", mean {mean:.1f}, median {middle:.1f}" if points else ""
    yield f"<p>{len(done)} of {len(rows)} submissions graded{what}.</p>"
    yield "<h2>Points</h2><table><tr><th>points</th><th>submissions</th><th></th></tr>"
    for low in range(0, 101, 10):
        nr = sum(low <= p < low + 10 or low == 100 <= p for p in points)
        name = f"{low} to {low + 9}" if low < 100 else "100"
        yield f'<tr><td>{name}</td><td class="n">{nr}</td>'
        width = 30 * nr / max(len(points), 1)
        yield f'<td><div class="bar" style="width: {width:.1f}em"></div></td></tr>'
    yield "</table><h2>Submissions</h2><table><tr><th>submission</th><th>points</th>"
    yield "".join(f"<th>{layer}</th>" for layer in layers) + "<th>first fault</th></tr>"
    for name, result in rows:
        if why_not(result):
            yield f'<tr class="low"><td>{html.escape(name)}</td><td colspan="{len(layers) + 2}">'
            yield f"{html.escape(why_not(result))}</td></tr>"
            continue
        of = {layer["name"]: f"{layer['points']:g}" for layer in result["layers"]}
        kind = "full" if result["points"] == 100 else "low" if result["points"] < 50 else ""
        link = f'<a href="{quote(name)}/said.txt">{html.escape(name)}</a>'
        yield f'<tr class="{kind}"><td>{link}</td><td class="n">{result["points"]:g}</td>'
        yield "".join(f'<td class="n">{of.get(layer, "")}</td>' for layer in layers)
        yield f"<td>{html.escape(first_fault(result))}</td></tr>"
    yield "</table><h2>Tests that failed most</h2><table><tr><th>test</th><th>submissions</th></tr>"
    for test, nr in sorted(lost.items(), key=lambda row: (-row[1], row[0])):
        yield f'<tr><td>{html.escape(test)}</td><td class="n">{nr}</td></tr>'
    yield "</table></body></html>"


def report(one, folder, out):
    """Write the report of all submissions; returns the exit status."""
    rows = [(name, result_of(out, name)) for name in submissions(folder)]
    with open(os.path.join(out, "grades.csv"), "w", encoding="utf-8", newline="") as f:
        as_csv(rows, f, folder, out)
    write(os.path.join(out, "report.html"), "\n".join(as_html(one, rows)) + "\n")
    points = [result["points"] for _, result in rows if not why_not(result)]
    graded, full = len(points), points.count(100)
    print(f"{graded} of {len(rows)} submissions graded, {full} with 100 points")
    changed = [name for name, _ in rows if kept(out, name, "before")]
    if changed:
        print(f"other points than before: {' '.join(changed)}")
    print(f"{out}/grades.csv, {out}/report.html")
    return 0 if graded == len(rows) else 1


def begin(one, folder, out, options):
    submissions(folder)
    os.makedirs(out, exist_ok=True)
    done = grade(one, None, options)
    if done.returncode:
        raise BadBatch(f"the reference has not all points:\n{done.stdout[-2000:]}")


def main():
    step, *words = sys.argv[1:] or [""]
    if len(words) < 3 + (step in ("one", "nth")):
        step = ""
    if step not in ("begin", "left", "one", "nth", "report"):
        sys.exit(__doc__.strip())
    one, which = labs.lab(words.pop(0)), words.pop(0) if step in ("one", "nth") else ""
    folder, out, *options = words
    if step == "begin":
        begin(one, folder, out, options)
    elif step == "left":
        for name, path in submissions(folder).items():
            if not is_done(one, path, out, name, options):
                print(name)
    elif step == "report":
        sys.exit(report(one, folder, out))
    else:
        names = list(submissions(folder))
        if step == "nth" and which not in map(str, range(1, len(names) + 1)):
            raise BadBatch(f"{which}: {folder} has submissions 1 to {len(names)}")
        one_of(one, names[int(which) - 1] if step == "nth" else which, folder, out, options)


if __name__ == "__main__":
    labs.run_tool(main, BadBatch)
