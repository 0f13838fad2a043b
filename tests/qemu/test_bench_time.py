# SPDX-License-Identifier: MIT
"""tools/bench/bench_hosted.py: `make bench TIME=1`. No test asserts a time."""
import json
import os
import platform
import re

import pytest

import bench
import bench_hosted
import qemu

BOOTS = "single"  # no test boots
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
