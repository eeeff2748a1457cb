"""A pool of decoders under test: how to wait for it, and to look inside."""

import os
import time
from collections.abc import Callable

from services.ingest.decode.child import DecoderProcess
from services.ingest.decode.pool import DecodeEvent, DecodePool, FramesDecoded

SIZE = (32, 24)
PATIENCE_S = 30.0


def drain(pool: DecodePool, jobs: int = 1) -> list[DecodeEvent]:
    """All events until `jobs` jobs have ended."""
    events: list[DecodeEvent] = []
    give_up_s = time.monotonic() + PATIENCE_S
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
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.01)
