"""Reads dead letters, and makes them messages again: the reverse of `envelope.to_dead_letter`.

A letter's own headers come last, so of several with one name only the last is the letter's: the original may have had
headers of these names too, and keeps them. A replayed message has two more headers, which its next dead letter holds
like the original's: how often it was replayed (`dlq_replays`), and from which letter (`dlq_replay_of`). By these a
letter that fails again and again is known, and a letter whose replay has failed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias

from services.contracts.ports import Message, Raw, Record
from services.contracts.topics import DEAD_LETTER_SUFFIX

REPLAYS = "dlq_replays"
REPLAY_OF = "dlq_replay_of"
_OWN = ("dlq_topic", "dlq_partition", "dlq_offset", "dlq_stage", "dlq_reason", "dlq_cut_from_bytes", "dlq_batch")
_OF_A_REPLAY = (REPLAYS, REPLAY_OF)
_SEARCHED_BYTES = 2**20  # in a larger value no asset is looked for
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]


class Place(NamedTuple):
    """Where a record is in its topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record of a dead-letter topic.

    `original` is what came, with its own headers only; `headers` are all as they are in the topic. `origin` is empty if
    it is no letter of a service. `replay_of` is the letter from which this one's record was replayed.
    """

    topic: str
    place: Place
    written_at: datetime | None
    stage: str
    reason: str
    origin: str
    origin_place: str
    tenant: str
    asset_id: str
    replays: int
    replay_of: str
    cut_from_bytes: str
    is_batch: bool
    headers: Headers
    original: Raw

    @property
    def asset(self) -> str:
        """tenant/asset_id, or the key as text if the letter names no asset."""
        return f"{self.tenant}/{self.asset_id}" if self.asset_id else _text(self.original.key)


def read_dead_letter(record: Record) -> DeadLetter:
    """The letter in a record of a dead-letter topic. Whatever is in it, there is no error."""
    message = record.message
    raw = message.raw or Raw(
        message.key.encode(), message.value, tuple((name, text.encode()) for name, text in message.headers.items())
    )
    own, rest = _take_last(raw.headers, _OWN)
    counted, headers = _take_last(rest, _OF_A_REPLAY)
    if not counted.get(REPLAYS, "").isdecimal():  # another program's
        counted, headers = {}, rest
    tenant, asset_id = _find_asset(raw)
    return DeadLetter(
        topic=message.topic,
        place=Place(record.partition, record.offset),
        written_at=_to_time(record.timestamp_ms),
        stage=own.get("dlq_stage", ""),
        reason=record.fault or own.get("dlq_reason", ""),
        origin=own.get("dlq_topic", ""),
        origin_place=f"{own.get('dlq_partition', '?')}/{own.get('dlq_offset', '?')}",
        tenant=tenant,
        asset_id=asset_id,
        replays=_to_count(counted),
        replay_of=counted.get(REPLAY_OF, ""),
        cut_from_bytes=own.get("dlq_cut_from_bytes", ""),
        is_batch="dlq_batch" in own or record.fault is not None,
        headers=raw.headers,
        original=Raw(raw.key, raw.value, headers),
    )


def find_obstacle(letter: DeadLetter) -> str | None:
    """Why the letter can never be replayed, in a few words that begin with a verb; None if it can."""
    if letter.is_batch:
        return "holds a batch of records that cannot be read"
    if not letter.origin:
        return "is no dead letter: it does not say where it came from"
    if letter.origin + DEAD_LETTER_SUFFIX != letter.topic:
        return "names the topic of other dead letters"
    if letter.cut_from_bytes:
        return "was cut: its value was too large for a dead letter"
    return None


def to_replay(letter: DeadLetter) -> Message:
    """The original for the topic it came from, byte for byte, with the headers of a replay."""
    key, value, _ = letter.original
    headers = {REPLAYS: str(letter.replays + 1), REPLAY_OF: str(letter.place)}
    return Message(letter.origin, _text(key), value or b"", headers, raw=letter.original)


def _take_last(headers: Headers, names: Sequence[str]) -> tuple[dict[str, str], Headers]:
    """The last header of each name as text, and the other headers in their order."""
    places = {name: position for position, (name, _) in enumerate(headers) if name in names}
    own = {name: _text(headers[position][1]) for name, position in places.items()}
    return own, tuple(header for position, header in enumerate(headers) if position not in places.values())


def _find_asset(raw: Raw) -> tuple[str, str]:
    """Tenant and asset that the value names, else the key; empty texts if neither does."""
    try:
        event = json.loads(raw.value or b"") if len(raw.value or b"") <= _SEARCHED_BYTES else None
    except (ValueError, RecursionError):
        event = None
    if isinstance(event, dict) and isinstance(event.get("asset_id"), str):
        tenant = event.get("tenant", "default")
        return tenant if isinstance(tenant, str) else "?", event["asset_id"]
    tenant, slash, asset_id = _text(raw.key).partition("/")
    return (tenant, asset_id) if slash else ("", "")


def _to_count(counted: Mapping[str, str]) -> int:
    return int(counted.get(REPLAYS, "0")[:9])  # more is no number of this program


def _to_time(timestamp_ms: int | None) -> datetime | None:
    if timestamp_ms is None or timestamp_ms < 0:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=timestamp_ms)
    except OverflowError:
        return None


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
