"""Helpers for tests of the decode pool: waiting, and access to its children."""

import os
import time
from collections.abc import Callable

from services.ingest.decode.child import DecoderProcess
from services.ingest.decode.pool import DecodeEvent, DecodePool, FramesDecoded

SIZE = (32, 24)
TIMEOUT_S = 30.0


def drain(pool: DecodePool, jobs: int = 1) -> list[DecodeEvent]:
    """Poll until `jobs` jobs have ended. Returns all events."""
    events: list[DecodeEvent] = []
    give_up_s = time.monotonic() + TIMEOUT_S
    while sum(not isinstance(event, FramesDecoded) for event in events) < jobs:
        assert time.monotonic() < give_up_s, f"only {events}"
        events += pool.poll(1.0)
    return events


def child_of(pool: DecodePool) -> DecoderProcess:
    [child] = pool._busy + pool._idle
    return child


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.01)
