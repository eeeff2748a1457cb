"""Dead letters as they lie in their topics, and which of them a command is about."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.contracts.dead_letters import DeadLetter, read_dead_letter
from services.contracts.ports import Message, Record
from services.runtime.settings import load_settings


class LetterBus(Protocol):
    """What the commands need of a KafkaBus."""

    def read(self, topics: Sequence[str], *, starts: Mapping[int, int] | None = None) -> Iterator[Record]: ...

    def publish(self, messages: Sequence[Message]) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a letter must be; None: anything."""

    stage: str | None = None
    reason: str | None = None
    asset: str | None = None
    tenant: str | None = None
    since: datetime | None = None

    @property
    def are_set(self) -> bool:
        return self != Filters()

    def match(self, letter: DeadLetter) -> bool:
        """Whether the letter is all of it. One without a time is not known to be recent."""
        return (
            self.stage in (None, letter.stage)
            and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and self.asset in (None, letter.asset_id, letter.asset)
            and self.tenant in (None, letter.tenant)
            and (self.since is None or (letter.written_at is not None and letter.written_at >= self.since))
        )


def open_bus() -> LetterBus:
    """The bus of the settings."""
    return KafkaBus(KafkaConnection.from_settings(load_settings()))


def read_letters(
    bus: LetterBus, topics: Sequence[str], starts: Mapping[int, int] | None = None
) -> Generator[DeadLetter, None, None]:
    """All letters in these topics up to now, one topic after the other, so that their order stays the same."""
    for topic in topics:
        yield from map(read_dead_letter, bus.read([topic], starts=starts))
