"""Helpers for tests of the decode pool: waiting, and access to its children."""

import os
import time
from collections.abc import Callable

from services.ingest.decode.events import DecodeEvent, DecodeFailed, DecodeFinished, FramesDecoded
from services.ingest.decode.pool import DecodePool
from services.ingest.decode.process import DecoderProcess
from tca_model.video.decode import DecodeLimits

SIZE = (32, 24)
TIMEOUT_S = 30.0
LIMITS = DecodeLimits()


class MakePool:
    """Opens pools for one test, and closes them after it."""

    def __init__(self) -> None:
        self._pools: list[DecodePool] = []

    def __call__(
        self,
        *,
        workers: int = 1,
        size: tuple[int, int] = SIZE,
        every_s: float = 1.0,
        limits: DecodeLimits = LIMITS,
        deadline_s: float = TIMEOUT_S,
        panels: bool = False,
    ) -> DecodePool:
        pool = DecodePool(
            workers=workers, size=size, every_s=every_s, limits=limits, deadline_s=deadline_s, panels=panels
        )
        self._pools.append(pool)
        return pool

    def close(self) -> None:
        for pool in self._pools:
            pool.close()


def drain(pool: DecodePool, jobs: int = 1, timeout_s: float = TIMEOUT_S) -> list[DecodeEvent]:
    """Poll until `jobs` jobs have ended. Returns all events."""
    events: list[DecodeEvent] = []
    give_up_s = time.monotonic() + timeout_s
    while sum(isinstance(event, DecodeFinished | DecodeFailed) for event in events) < jobs:
        assert time.monotonic() < give_up_s, f"only {len(events)} events in {timeout_s:g} s"
        events += pool.poll(1.0)
    return events


def drain_one(pool: DecodePool) -> tuple[list[FramesDecoded], DecodeFinished | DecodeFailed]:
    """Poll until the only job has ended. Returns its frames, and its end."""
    *before, end = drain(pool)
    assert isinstance(end, DecodeFinished | DecodeFailed)
    chunks = [event for event in before if isinstance(event, FramesDecoded)]
    assert len(chunks) == len(before), "nothing but frames comes before the end"
    return chunks, end


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
