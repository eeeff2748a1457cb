"""Processes that end are started again, and those that nobody told to end are counted."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos import fleet as fleet_module
from tests.chaos.fail_points import OVER, REACHED
from tests.chaos.fleet import INSTANCES, Fleet

pytestmark = pytest.mark.integration

PATIENCE_S = 20.0
LIVES_ON = "import time\nwhile True: time.sleep(1)"
ENDS = "raise SystemExit(3)"


@pytest.fixture
def program() -> list[str]:
    """The program that stands for a service; a test may change it."""
    return [LIVES_ON]


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: list[str]) -> Iterator[Fleet]:
    monkeypatch.setattr(fleet_module, "make_command", lambda _: [sys.executable, "-S", "-E", "-c", program[0]])
    monkeypatch.setattr(fleet_module, "RESTART_AFTER_S", 0.0)
    started = Fleet(tmp_path, {})
    started.start()
    yield started
    started.close()


def supervise_until(fleet: Fleet, is_met: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_met():
        fleet.supervise()
        assert time.monotonic() < until
        time.sleep(0.01)


def test_two_processes_of_each_service_run(fleet: Fleet) -> None:
    assert set(fleet.instances) == set(INSTANCES)
    assert len(INSTANCES) == 6
    assert all(instance.is_running for instance in fleet.instances.values())


@pytest.mark.parametrize("end", [Fleet.kill, Fleet.terminate])
def test_a_process_that_was_told_to_end_is_started_again(fleet: Fleet, end: Callable[[Fleet, str], None]) -> None:
    one = fleet.instances["matcher-2"]
    before = one._process
    end(fleet, "matcher-2")
    supervise_until(fleet, lambda: one.is_running and one._process is not before)
    assert not fleet.ended


def test_a_process_that_ends_by_itself_is_counted(fleet: Fleet, program: list[str]) -> None:
    program[0] = ENDS
    fleet.kill("alerter-1")  # what is started instead of it ends by itself
    supervise_until(fleet, lambda: fleet.ended["alerter with 3"] > 1)
    assert set(fleet.ended) == {"alerter with 3"}


def test_the_end_at_a_fail_point_is_planned(fleet: Fleet, program: list[str]) -> None:
    kill_itself = f"import os, sys; sys.stderr.write('{REACHED}: store:after:1:kill\\n'); sys.stderr.flush(); "
    program[0] = f"{kill_itself} os.kill(os.getpid(), {signal.SIGKILL.value})"
    fleet.restart_with("ingest-1", "store:after:1:kill")
    program[0] = LIVES_ON
    one = fleet.instances["ingest-1"]
    supervise_until(fleet, lambda: one.is_running and not one.has_fail_point)
    assert not fleet.ended
    assert fleet.count_fail_points() == {"ingest store:after:1:kill": 1}


def test_a_paused_process_goes_on_when_all_is_repaired(fleet: Fleet) -> None:
    one = fleet.instances["matcher-1"]
    assert one._process is not None
    state = Path(f"/proc/{one._process.pid}/stat")
    fleet.pause("matcher-1")
    supervise_until(fleet, lambda: " T " in state.read_text())
    fleet.repair()
    supervise_until(fleet, lambda: " T " not in state.read_text())


def test_a_process_hangs_from_its_fail_point_until_that_is_over(fleet: Fleet) -> None:
    seen = [fleet.is_hanging]
    for line in (REACHED, OVER):
        with fleet.instances["matcher-1"].log.open("a") as log:
            log.write(f"{line}: send:before:1:hang\n")
        seen.append(fleet.is_hanging)
    assert seen == [False, True, False]


def test_a_process_that_does_not_stop_is_killed_and_named(
    fleet: Fleet, program: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program[0] = (
        f"import signal; signal.signal({signal.SIGTERM.value}, signal.SIG_IGN); print('deaf', flush=True)\n{LIVES_ON}"
    )
    fleet.restart_with("ingest-2", "")
    one = fleet.instances["ingest-2"]
    supervise_until(fleet, lambda: "deaf" in one.log.read_text())
    monkeypatch.setattr(fleet_module, "LONGEST_STOP_S", 0.0)
    fleet.terminate("ingest-2")
    deaf = one.pid
    supervise_until(fleet, lambda: fleet.stuck == ["ingest-2"])
    supervise_until(fleet, lambda: one.is_running and one.pid != deaf)
    assert fleet.stuck == ["ingest-2"], "once"
