"""Retries calls that fail temporarily, with backoff, for as long as it takes.

An outage of a backend neither loses nor dead-letters anything: the service waits in the call. Meanwhile its consumer is
paused and polled, so that it stays in its group, and its probes report what it waits for.
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

LONGEST_WAIT_S = 5.0  # work continues within this time after an outage
STEP_S = 0.2  # while waiting, how often the consumer is polled and signals are noticed

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Stopped(CopydetectError):
    """The service was stopped while it waited for a backend; the call was not completed."""


class Caller(Protocol):
    """Makes a call of a stage: a Retrier or `call_once`."""

    def __call__(self, stage: str, call: Callable[..., T], /, *args: Any) -> T: ...


def call_once(stage: str, call: Callable[..., T], /, *args: Any) -> T:  # noqa: ARG001 - of the protocol
    """Call once, and return the result or raise the error: for a single process without remote backends."""
    return call(*args)


class Retrier:
    """Repeats calls that raise TransientError until they succeed. Raises Stopped if `is_over()` while it waits."""

    def __init__(self, health: Health, *, keep_alive: Callable[[], None], is_over: Callable[[], bool]) -> None:
        self._health = health
        self._keep_alive = keep_alive
        self._is_over = is_over

    def __call__(self, stage: str, call: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """The result of the call, which must be idempotent."""
        retrying = Retrying(
            retry=retry_if_exception_type(TransientError),
            wait=wait_random_exponential(multiplier=STEP_S, max=LONGEST_WAIT_S),
            sleep=self._wait,
            before_sleep=lambda state: self._report(stage, state),
        )
        metrics.retries.labels(stage)  # creates the series, so that a rate sees the first retry
        with metrics.time_stage(stage):
            result = retrying(call, *args, **kwargs)
        self._health.clear(stage)
        self._health.tick()  # a long step is alive as long as its calls succeed
        return result

    def _report(self, stage: str, state: RetryCallState) -> None:
        assert state.outcome is not None
        reason = str(state.outcome.exception())
        metrics.retries.labels(stage).inc()
        self._health.mark_unready(stage, reason)
        log.warning("waiting", stage=stage, attempt=state.attempt_number, reason=reason)

    def _wait(self, seconds: float) -> None:
        until_s = time.monotonic() + max(seconds, random.uniform(STEP_S / 2, STEP_S))
        while (left_s := until_s - time.monotonic()) > 0:
            if self._is_over():
                raise Stopped("stopped while waiting for a backend")
            self._keep_alive()
            self._health.tick()
            time.sleep(min(STEP_S, left_s))
