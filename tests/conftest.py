"""Fixtures that more than one folder of tests uses."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.servers.fixtures import kafka, milvus_server, promtool, redis_server, start_server

__all__ = ["kafka", "milvus_server", "promtool", "redis_server", "start_server"]


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Undo what a command in a test configured: another test reads the log."""
    configuration = structlog.get_config()
    yield
    structlog.configure(**configuration)


@pytest.fixture(scope="session")
def real_videos() -> Path:
    """The folder of real clips: COPYDETECT_TEST_DATA, or a folder beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "videos"
    folder = Path(os.environ.get("COPYDETECT_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real clips in {folder} (set COPYDETECT_TEST_DATA)")
    return folder


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Leave the collection of garbage to what is tested."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail in CI if tests were skipped: CI has everything but a GPU, so nobody would ever run the others."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return
    skipped = [report.nodeid for report in reporter.stats.get("skipped", []) if "gpu" not in report.keywords]
    if skipped:
        reporter.write_line(f"skipped in CI: {', '.join(skipped)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_configure() -> None:
    """Let programs that tests start react to Ctrl-C: a shell's background jobs inherit SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
