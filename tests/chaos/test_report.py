"""The report counts what happened, and ends with every problem in words."""

from dataclasses import replace

from tests.chaos.doctored import STEPS
from tests.chaos.ideal import make_observed
from tests.chaos.problems import doubled, lost
from tests.chaos.report import Report

CLEAN = Report(
    problems=(),
    observed=make_observed(STEPS),
    faults={"kill kafka": 2, "cut redis": 1},
    fail_points={"ingest store:after:1:kill": 1},
    ended={},
    took_s=61.4,
)


def test_a_clean_run_says_so() -> None:
    assert CLEAN.is_clean
    assert list(CLEAN.lines()) == [
        "faults      3: 1 cut redis, 2 kill kafka",
        "fail points 1 reached: 1 ingest store:after:1:kill",
        "uploads     6 records of 5 assets, 1 dead",
        "alerts      1 live, 1 revisions",
        "verdicts    4 revisions, 1 removals acknowledged",
        "index       9 segments",
        "processes   0 ended by themselves: none",
        "took        61 s",
        "result      0 lost, 0 doubled, 0 wrong",
    ]


def test_problems_are_counted_and_listed() -> None:
    report = replace(CLEAN, problems=(lost("one"), doubled("two"), lost("three")), ended={"ingest with 1": 2})
    assert not report.is_clean
    lines = list(report.lines())
    assert lines[-4:] == ["result      2 lost, 1 doubled, 0 wrong", "lost: one", "doubled: two", "lost: three"]
    assert "processes   2 ended by themselves: 2 ingest with 1" in lines
