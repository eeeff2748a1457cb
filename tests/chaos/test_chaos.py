"""The whole system under faults: three brokers, Redis, Milvus, and two processes of each service."""

from pathlib import Path

import pytest

from tests.chaos.report import Report
from tests.chaos.run import make_folder, run
from tests.chaos.scenarios import Scenario, make_control_scenario, make_scenario
from tests.servers.process import Unavailable

SEED = 20261128
MINUTES = 2

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def test_nothing_is_lost_doubled_or_wrong_under_faults() -> None:
    report = run_or_skip(make_scenario(SEED, MINUTES))
    assert report.is_clean, "\n".join(report.lines())
    assert len(report.observed.alerts) > 20
    assert sum(report.faults.values()) > 30


def test_a_run_without_a_guarantee_is_red() -> None:
    """One of the controls, so that a checker which cannot fail is noticed; `make chaos-controls` plays them all."""
    report = run_or_skip(make_control_scenario("announce-before-store"))
    assert not report.is_clean


def run_or_skip(scenario: Scenario) -> Report:
    with make_folder() as folder:
        try:
            return run(scenario, Path(folder))
        except Unavailable as reason:
            pytest.skip(str(reason))
