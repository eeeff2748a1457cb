"""A circuit breaker: a failing server is not called for a while, so that its faults cost no time."""

import time
from collections import deque
from collections.abc import Callable

FAILURES = 5
WITHIN_S = 10.0
PROBE_EVERY_S = 2.0


class Circuit:
    """Opens after FAILURES failures within WITHIN_S. While open, it allows one call every PROBE_EVERY_S as a probe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures_s: deque[float] = deque(maxlen=FAILURES)
        self._probe_s: float | None = None  # while open, the time of the next probe

    @property
    def is_open(self) -> bool:
        """Whether no call is allowed now."""
        return self._probe_s is not None and self._clock() < self._probe_s

    def allow(self) -> bool:
        """Claim a call; True if it may be made. Report its outcome with `record_success` or `record_failure`."""
        if self.is_open:
            return False
        if self._probe_s is not None:
            self._probe_s = self._clock() + PROBE_EVERY_S
        return True

    def record_success(self) -> None:
        self._failures_s.clear()
        self._probe_s = None

    def record_failure(self) -> None:
        now_s = self._clock()
        self._failures_s.append(now_s)
        if self._probe_s is not None or (len(self._failures_s) == FAILURES and now_s - self._failures_s[0] <= WITHIN_S):
            self._probe_s = now_s + PROBE_EVERY_S
