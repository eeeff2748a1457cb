"""A circuit breaker: a server that fails is left alone for a while, so that its faults cost nobody any time."""

import time
from collections import deque
from collections.abc import Callable

FAILURES = 5
WITHIN_S = 10.0
PROBE_EVERY_S = 2.0


class Circuit:
    """Open after FAILURES failures within WITHIN_S; then one call every PROBE_EVERY_S finds out whether to close it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed_s: deque[float] = deque(maxlen=FAILURES)
        self._probe_s: float | None = None  # when to try next, while open

    @property
    def rests(self) -> bool:
        """Whether no call is to be made now."""
        return self._probe_s is not None and self._clock() < self._probe_s

    def admits(self) -> bool:
        """Whether to make a call now; then say what became of it."""
        if self.rests:
            return False
        if self._probe_s is not None:
            self._probe_s = self._clock() + PROBE_EVERY_S
        return True

    def succeeded(self) -> None:
        self._failed_s.clear()
        self._probe_s = None

    def failed(self) -> None:
        now_s = self._clock()
        self._failed_s.append(now_s)
        if self._probe_s is not None or (len(self._failed_s) == FAILURES and now_s - self._failed_s[0] <= WITHIN_S):
            self._probe_s = now_s + PROBE_EVERY_S
