"""Logs of our own loggers and of libraries are JSON, one line per record."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, structlog
from services.runtime.log import configure
configure("ingest", "INFO")
structlog.get_logger("ours").info("done", asset="default/a", offset=7)
structlog.get_logger("ours").debug("not shown")
logging.getLogger("theirs").warning("a %s", "library")
logging.getLogger("kafka.conn").info("chatter")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("ours").exception("broke")
"""


@pytest.mark.integration
def test_every_line_is_one_json_object() -> None:
    finished = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert finished.stdout == ""
    ours, theirs, broke = map(json.loads, finished.stderr.splitlines())
    assert ours["event"] == "done"
    assert (ours["service"], ours["level"], ours["asset"], ours["offset"]) == ("ingest", "info", "default/a", 7)
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("a library", "warning", "theirs")
    assert "ZeroDivisionError" in broke["exception"]


COMMAND = """
import structlog
from services.runtime.log import configure_for_commands
configure_for_commands()
structlog.get_logger("ours").info("done")
structlog.get_logger("ours").warning("waiting", reason="no answer")
"""


@pytest.mark.integration
def test_commands_log_only_warnings_and_only_to_standard_error() -> None:
    finished = subprocess.run([sys.executable, "-c", COMMAND], capture_output=True, text=True, check=True, timeout=60)
    assert finished.stdout == ""
    assert "done" not in finished.stderr
    assert "no answer" in finished.stderr
