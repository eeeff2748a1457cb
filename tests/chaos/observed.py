"""What a run left behind: everything on the topics, what the index holds, and what the groups have committed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

from services.contracts.events import AssetRemovedAck, AssetVerdict, DuplicateAlert
from services.contracts.segments import SegmentKey, SegmentRow
from tca_model.types import FloatArray
from tests.chaos.steps import Asset

AnnouncedKind: TypeAlias = Literal["SegmentEncoded", "AssetEnded", "AssetErased"]


class Place(NamedTuple):
    """A record of a topic with one known name."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Input:
    """A record on video-segments: the step of the plan that it publishes, and what the broker made of it."""

    step: int
    place: Place
    generation: int
    published_at: datetime


class Announced(NamedTuple):
    """An event on encoded-segments."""

    kind: AnnouncedKind
    asset: Asset
    generation: int


class DeadLetter(NamedTuple):
    topic: str  # of the record, not of the letter
    place: Place
    reason: str


class Unread(NamedTuple):
    """Records that a group has not committed."""

    group: str
    topic: str
    partition: int
    records: int


class OpenTransaction(NamedTuple):
    """A partition whose committed records end before its records do."""

    topic: str
    partition: int
    committed_end: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observed:
    """Events of equal keys are in the order of their topic."""

    inputs: tuple[Input, ...]
    announced: frozenset[Announced]
    alerts: tuple[DuplicateAlert, ...]
    verdicts: tuple[AssetVerdict | AssetRemovedAck, ...]
    dead_letters: tuple[DeadLetter, ...]
    rows: tuple[SegmentRow, ...]
    frames: Mapping[SegmentKey, FloatArray]  # of the rows that can be read whole
    frame_counts: Mapping[Asset, int]  # all frame rows of the assets that were removed, whatever they belong to
    unread: tuple[Unread, ...]
    open_transactions: tuple[OpenTransaction, ...]


def asset_of(event: AssetVerdict | AssetRemovedAck | SegmentRow) -> Asset:
    return Asset(event.tenant, event.asset_id)
