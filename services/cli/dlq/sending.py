"""Publishes the chosen dead letters, one after the other."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from services.cli.dlq.letters import LetterBus, read_letters
from services.cli.dlq.plan import Chosen, Refused
from services.contracts.dead_letters import DeadLetter, Place, to_replay
from services.contracts.errors import MessageTooLarge


class Pace:
    """Waits so that there are at most so many turns per second; None: any number."""

    def __init__(self, per_s: float | None) -> None:
        self._period_s = 1 / per_s if per_s else 0.0
        self._next_s = 0.0  # of time.monotonic

    def wait(self) -> None:
        """Return when it is the next turn."""
        now_s = time.monotonic()
        if self._next_s > now_s:
            time.sleep(self._next_s - now_s)
        self._next_s = max(now_s, self._next_s) + self._period_s


@dataclass(slots=True)
class Sending:
    """How far it got. `in_flight` is being published: after an error nobody knows whether it was."""

    bus: LetterBus
    pace: Pace
    on_step: Callable[[], None]
    sent: int = 0
    failed: list[Refused] = field(default_factory=list)
    in_flight: str = ""

    def send(self, chosen: Sequence[Chosen]) -> None:
        """Publish each of these letters once, and none that came later. What fails for one letter alone is noted.

        One by one, so that the number is right whatever ends it. They are read again: together they may be too large to
        be kept since they were chosen.
        """
        for topic in sorted({one.topic for one in chosen}):
            left = {one.place for one in chosen if one.topic == topic}
            starts: dict[int, int] = {}
            for place in left:
                starts[place.partition] = min(place.offset, starts.get(place.partition, place.offset))
            with closing(read_letters(self.bus, [topic], starts)) as letters:
                self._send_some(letters, left)
            self.failed += [Refused(f"{topic} {place}", "is no longer there") for place in sorted(left)]

    def _send_some(self, letters: Iterable[DeadLetter], left: set[Place]) -> None:
        for letter in letters:
            if letter.place not in left:
                continue
            left.remove(letter.place)
            self.pace.wait()
            self._send_one(letter)
            self.on_step()
            if not left:
                break

    def _send_one(self, letter: DeadLetter) -> None:
        self.in_flight = f"{letter.topic} {letter.place}"
        try:
            self.bus.publish([to_replay(letter)])
        except MessageTooLarge as error:
            self.failed.append(Refused(self.in_flight, f"is too large for {letter.origin} ({error})"))
        else:
            self.sent += 1
        self.in_flight = ""
