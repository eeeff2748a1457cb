"""Background work goes on after errors, tells them once, and ends with its context."""

import threading

from structlog.testing import capture_logs

from services.contracts.errors import DependencyDown
from services.runtime.background import repeat

PATIENCE_S = 20.0


class Work:
    """Fails as it is told to, one call after the other, and then succeeds."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.calls = 0
        self.has_succeeded = threading.Event()

    def __call__(self) -> None:
        self.calls += 1
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        if not self.failures:
            self.has_succeeded.set()


def run(work: Work, every_s: float = 0.001) -> list[tuple[str, object]]:
    """The logged events with their reasons, after the work has succeeded."""
    with capture_logs() as logs, repeat(every_s, work, "test"):
        assert work.has_succeeded.wait(PATIENCE_S)
    return [(one["event"], one.get("reason")) for one in logs]


def test_it_begins_at_once() -> None:
    work = Work()
    assert run(work, every_s=600) == []
    assert work.calls == 1


def test_each_reason_is_logged_once_and_again_after_a_success() -> None:
    down, other = DependencyDown("down"), DependencyDown("other")
    failed = "background work failed"
    assert run(Work(down, down, other, None, down)) == [(failed, "down"), (failed, "other"), (failed, "down")]


def test_a_defect_is_logged_and_ends_nothing() -> None:
    assert run(Work(ZeroDivisionError())) == [("a defect of this program", None)]


def test_nothing_is_called_after_the_end() -> None:
    work = Work()
    run(work)
    assert "test" not in [thread.name for thread in threading.enumerate()]
