"""Whether a service can do its work now, also while it is idle and makes no call that could fail.

A process without a partition is ready as a standby if all partitions have an owner. It is not ready if one is left.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from services.contracts.errors import CopydetectError
from services.runtime.group_lag import GroupLag, GroupTopic
from services.runtime.probes import Health


@dataclass(frozen=True, slots=True)
class Question:
    """What readiness depends on.

    ask        returns what is wrong, or None; may also raise CopydetectError. From another thread than the loop's.
    is_needed  whether the service cannot do its work without it; otherwise it is only degraded
    """

    name: str
    ask: Callable[[], str | None]
    is_needed: bool = True


class Readiness:
    """Asks questions, and keeps the answers in the health of the service."""

    def __init__(self, health: Health, questions: Sequence[Question]) -> None:
        self._health = health
        self._questions = tuple(questions)

    def update(self) -> None:
        """Ask all questions once."""
        for question in self._questions:
            reason = _ask(question)
            if reason is None:
                self._health.clear(question.name)
            elif question.is_needed:
                self._health.mark_unready(question.name, reason)
            else:
                self._health.mark_degraded(question.name, reason)


def _ask(question: Question) -> str | None:
    try:
        return question.ask()
    except CopydetectError as error:
        return str(error)


class AssignmentQuestion:
    """Asks whether a process that owns no partition is a standby, or one that should own some.

    `owned` returns its partitions now. `observe` notes what the group owns; what was noted longer than `fresh_s` ago
    counts as unknown.
    """

    def __init__(
        self,
        own: GroupTopic,
        owned: Callable[[], Collection[int]],
        *,
        fresh_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = own
        self._owned = owned
        self._fresh_s = fresh_s
        self._clock = clock
        self._noted: tuple[float, list[int]] | None = None  # when, and which partitions had no owner

    def observe(self, lag: GroupLag) -> None:
        if (lag.topic, lag.group) == self._own:
            self._noted = (self._clock(), lag.unowned_partitions)

    def __call__(self) -> str | None:
        noted = self._noted  # read once: another thread observes
        if self._owned():
            return None
        if noted is None or self._clock() - noted[0] > self._fresh_s:
            return f"no partition of {self._own.topic} is assigned, and whether one is left is not known"
        unowned = ", ".join(map(str, noted[1]))
        return f"no partition of {self._own.topic} is assigned, and nobody has {unowned}" if unowned else None
