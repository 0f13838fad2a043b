# SPDX-License-Identifier: MIT
"""bench-peers.py, without the packages: its calls of apt, its archive, figures and table."""
import importlib
import json
import os
import re
import subprocess

import pytest

import bench_report
import qemu

peers = importlib.import_module("bench-peers")
APT = """#!/bin/sh
case "$1 $2" in
"depends linux-image-amd64") echo "  Depends: linux-image-6.1.0-9-amd64" ;;
"depends linux-headers-6.1.0-9-amd64")
	echo "  Depends: linux-headers-6.1.0-9-common"
	echo "  Depends: linux-kbuild-6.1" ;;
*) echo "no package $2" >&2 && exit 100 ;;
esac
"""


def test_packages_of_the_distribution(tmp_path, monkeypatch):
    (tmp_path / "apt-cache").write_text(APT)
    (tmp_path / "apt-cache").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    release, names = peers.packages()
    assert release == "6.1.0-9-amd64"
    assert names == [
        "linux-image-6.1.0-9-amd64",
        "linux-headers-6.1.0-9-amd64",
        "linux-headers-6.1.0-9-common",
        "linux-kbuild-6.1",
    ]


def test_another_system_is_told_what_is_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["bench-peers.py", "--build", str(tmp_path)])
    assert peers.main() == 1
    assert "bench-peers: apt-cache: not found" in capsys.readouterr().out


def test_figures_are_those_of_a_module_that_finished():
    console = "x\npages: peer: order0_pair 702 1\npages: peer: fill_order0 6499 10\n"
    with pytest.raises(peers.Failed, match="did not finish"):
        peers.figures(console)
    console += "peer: end\npeer: over\n"
    assert peers.figures(console) == {"order0_pair": 702, "fill_order0": 649.9}


def test_the_module_measures_rows_of_the_table():
    names = []
    for name in ("pages.c", "init.c"):
        with open(os.path.join(peers.FOLDER, name), encoding="utf-8") as f:
            names += re.findall(r'(?:say|pair)\("(\w+)"', f.read())
    known = [row for group in bench_report.ROWS for row in bench_report.of_group(group)]
    assert len(names) == len(set(names)) > 10 and not set(names) - set(known)


def test_the_archive_begins_with_a_program(tmp_path):
    path = tmp_path / "a.cpio"
    (tmp_path / "init").write_text("x")
    script = os.path.join(qemu.ROOT, "tools/run/mkcpio.sh")
    subprocess.run(["sh", script, str(path), f"init={tmp_path / 'init'}"], check=True)
    peers.executable(str(path))
    assert path.read_bytes()[:22] == b"070701" + b"00000000" + b"000081ED"


def test_table_has_the_recorded_figure_beside_the_new_one(capsys):
    rows = {"columns": ["Debian"], "rows": {"order0_pair": {"Debian": {"value": 702, "how": "x"}}}}
    peers.table({"order0_pair": 711, "fill_order0": 649.9}, rows, {"order0_pair": 39})
    head, pair, fill = capsys.readouterr().out.splitlines()
    assert head.split() == ["Quarry", "Debian", "now"]
    assert pair.split() == ["order0_pair", "39", "702", "711"]
    assert fill.split() == ["fill_order0", "649.90"]


def test_record_changes_only_the_column_of_debian(tmp_path, monkeypatch):
    path = tmp_path / "peers.json"
    monkeypatch.setattr(bench_report, "PEERS", str(path))
    rows = {"columns": ["Debian"], "rows": {"a": {"LLFree": {"value": 1, "how": "y"}}}}
    peers.record({"a": 7.0}, rows, "counted")
    assert json.loads(path.read_text())["rows"]["a"] == {
        "LLFree": {"value": 1, "how": "y"},
        "Debian": {"value": 7, "how": "counted"},
    }


def test_the_console_of_an_earlier_run_is_not_read(tmp_path, monkeypatch):
    peers.rooms.write(f"{tmp_path}/peers/console.log", "pages: peer: order0_pair 702 1\n")
    monkeypatch.setattr(peers, "archive", lambda build, release, folder: "")
    monkeypatch.setattr(peers.subprocess, "run", lambda command, **more: None)
    assert peers.boot(str(tmp_path), "6.1", str(tmp_path)) == ""
