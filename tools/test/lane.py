# SPDX-License-Identifier: MIT
"""A plugin of pytest for test.py, which runs tests/qemu in lanes beside each other.

    QUARRY_LIST=FILE    writes the tests there, one JSON object a line: id, group, alone, full
    QUARRY_LANE=FILE    runs only the tests of the ids in FILE, one a line
    QUARRY_ENDS=FILE    appends one JSON object for each test that has ended: id, outcome, seconds

Tests of one group share a fixture that is made once for a file: they run in one lane.  A test
marked `alone` needs the machine for itself.  A test marked `full` runs only with FULL=1: another
test judges the same thing in another combination, or it takes too long for each run.
"""
import json
import os
import resource
import time

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: nothing else may run beside it")
    config.addinivalue_line("markers", "full: runs only with FULL=1")


def group_of(item):
    """A name for tests that share fixtures: their file and the fixtures; "" if they share none."""
    shared = sorted(
        name
        for name, found in item._fixtureinfo.name2fixturedefs.items()
        if found[-1].scope in ("module", "package") and found[-1].baseid
    )
    return "+".join([item.nodeid.split("::")[0], *shared]) if shared else ""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if os.environ.get("QUARRY_LANE"):
        with open(os.environ["QUARRY_LANE"], encoding="utf-8") as f:
            mine = set(f.read().split("\n"))
        others = [item for item in items if item.nodeid not in mine]
        items[:] = [item for item in items if item.nodeid in mine]
        config.hook.pytest_deselected(items=others)
    if os.environ.get("QUARRY_LIST"):
        with open(os.environ["QUARRY_LIST"], "w", encoding="utf-8") as f:
            for item in items:
                line = {"id": item.nodeid, "group": group_of(item)}
                for name in ("alone", "full"):
                    line[name] = item.get_closest_marker(name) is not None
                f.write(json.dumps(line) + "\n")


class Ends:
    """Notes how each test has ended."""

    def __init__(self):
        self.reports, self.start = {}, {}

    @staticmethod
    def seconds():
        usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in usages), time.monotonic()

    def pytest_runtest_logstart(self, nodeid):
        self.reports[nodeid], self.start[nodeid] = [], self.seconds()

    def pytest_runtest_logreport(self, report):
        self.reports.setdefault(report.nodeid, []).append(report)

    def pytest_runtest_logfinish(self, nodeid):
        reports = self.reports.pop(nodeid, [])
        cpu, wall = (b - a for a, b in zip(self.start[nodeid], self.seconds()))
        line = {"id": nodeid, "cpu": round(cpu, 2), "wall": round(wall, 2), "why": ""}
        line["outcome"] = outcome(reports)
        if line["outcome"] == "skipped":
            line["why"] = next(why_skipped(r) for r in reports if r.skipped)
        with open(os.environ["QUARRY_ENDS"], "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")


def outcome(reports):
    """passed, failed or skipped; a test whose call has no report has failed."""
    if any(report.failed for report in reports):
        return "failed"
    if any(report.skipped for report in reports):
        return "skipped"
    return "passed" if any(report.when == "call" for report in reports) else "failed"


def why_skipped(report):
    if getattr(report, "wasxfail", None) is not None:
        return f"expected to fail: {report.wasxfail}"
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)


if os.environ.get("QUARRY_ENDS"):
    _ends = Ends()
    pytest_runtest_logstart = _ends.pytest_runtest_logstart
    pytest_runtest_logreport = _ends.pytest_runtest_logreport
    pytest_runtest_logfinish = _ends.pytest_runtest_logfinish
