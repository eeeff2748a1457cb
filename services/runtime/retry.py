"""Calls that fail for now are made again, with backoff, for as long as it takes.

A backend that is down neither loses nor dead-letters anything: the service waits in the call, and while it waits its
consumer is paused and polled, so that its group keeps it, and its probes say what it waits for.
"""

import random
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from services.contracts.errors import CopydetectError, TransientError
from services.runtime import metrics
from services.runtime.probes import Health

LONGEST_WAIT_S = 5.0  # after an outage work goes on within this time
STEP_S = 0.2  # how often a consumer is polled, and a signal noticed, meanwhile

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Stopped(CopydetectError):
    """The service was told to stop while it waited for a backend; what it was at is not done."""


class Caller(Protocol):
    """Makes a call of a stage: Retrier, or `call_once`."""

    def __call__(self, stage: str, call: Callable[..., T], /, *args: Any) -> T: ...


def call_once(stage: str, call: Callable[..., T], /, *args: Any) -> T:  # noqa: ARG001 - there is nobody to tell
    """What the call returns, or its error: for one process, where nothing is down for a while."""
    return call(*args)


class Retrier:
    """Makes calls until they succeed. Raises Stopped when `is_over` says so while it waits."""

    def __init__(self, health: Health, *, keep_alive: Callable[[], None], is_over: Callable[[], bool]) -> None:
        self._health = health
        self._keep_alive = keep_alive
        self._is_over = is_over

    def __call__(self, stage: str, call: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """What the call returns, once it does; the call must be idempotent."""
        retrying = Retrying(
            retry=retry_if_exception_type(TransientError),
            wait=wait_random_exponential(multiplier=STEP_S, max=LONGEST_WAIT_S),
            sleep=self._wait,
            before_sleep=lambda state: self._tell(stage, state),
        )
        metrics.retries.labels(stage)  # there from the start, so that a rate sees the first one
        with metrics.stage(stage):
            result = retrying(call, *args, **kwargs)
        self._health.clear(stage)
        self._health.tick()  # a step of many calls is alive as long as they succeed
        return result

    def _tell(self, stage: str, state: RetryCallState) -> None:
        assert state.outcome is not None
        reason = str(state.outcome.exception())
        metrics.retries.labels(stage).inc()
        self._health.mark_unready(stage, reason)
        log.warning("waiting", stage=stage, attempt=state.attempt_number, reason=reason)

    def _wait(self, seconds: float) -> None:
        until_s = time.monotonic() + max(seconds, random.uniform(STEP_S / 2, STEP_S))
        while (left_s := until_s - time.monotonic()) > 0:
            if self._is_over():
                raise Stopped("told to stop while waiting for a backend")
            self._keep_alive()
            self._health.tick()
            time.sleep(min(STEP_S, left_s))
