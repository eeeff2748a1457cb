"""What is known of an asset so far. States are immutable: every event leads to a new one (services.alerter.fold).

So a caller can publish the effects of an event and keep the new state only after the commit; and what changed between
two states, which is all that is stored, is found by identity (services.alerter.state_codec).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.alerter.pair import Pair
from services.contracts.events import AssetEnded, AssetErased, AssetVerdict, SegmentStatus
from services.contracts.evidence import AssetFacts


@dataclass(frozen=True, slots=True)
class SegmentState:
    """What the latest event about a segment says. `since`: the generation that brought this content."""

    segment_index: int
    content: str | None
    since: int
    generation: int
    is_whole_file: bool
    status: SegmentStatus
    reason: str | None
    frame_count: int
    end_s: float
    uploaded_at: datetime  # of the asset's first segment
    is_compared: bool = True  # False: described, but compared with nothing


@dataclass(frozen=True, slots=True)
class AssetState:
    """All that is known of an asset: its segments, the pairs in which it is the query, and those that link to it.

    `floor`: uploads of older generations are replaced or removed as a whole.
    `cut_at`: segments with an index of `segment_count` or more are gone if they are older than that end.
    `answered`: the latest generation that a verdict answered, -1 before the first.
    `failed_at`: that of the latest segment file that could not be decoded, and left what was described before.
    `links`: the alerts that name it as their reference, by the asset that is their query.
    """

    tenant: str
    asset_id: str
    found_as: AssetFacts | None = None  # what searches by others found of it, perhaps before its own events came
    floor: int = 0
    cut_at: AssetEnded | None = None
    ended: AssetEnded | None = None
    removed: AssetErased | None = None
    is_removal_acknowledged: bool = False
    answered: int = -1
    failed_at: int = -1
    verdict: AssetVerdict | None = None
    verdict_revision: int = 0  # of the last verdict, also after a removal
    touched_at: float = 0.0  # when its last event was processed, seconds since the epoch
    segments: Mapping[int, SegmentState] = field(default_factory=dict)
    pairs: Mapping[str, Pair] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.tenant}/{self.asset_id}"

    @property
    def newest_generation(self) -> int:
        """Of the latest upload that is known, its end included; -1 before one is known."""
        of_end = self.ended.generation if self.ended else -1
        return max([of_end, self.failed_at, *(one.generation for one in self.segments.values())])

    @property
    def min_duration_s(self) -> float:
        """Lower bound on the asset's duration in seconds."""
        stated_s = (self.ended.duration_s if self.ended else None) or 0.0
        found_s = self.found_as.duration_s if self.found_as else 0.0
        return max([stated_s, found_s, *(one.end_s for one in self.segments.values())])

    @property
    def min_frame_count(self) -> int:
        found = self.found_as.frame_count if self.found_as else 0
        return max(found, sum(one.frame_count for one in self.segments.values()))

    @property
    def uploaded_at(self) -> datetime | None:
        """When its first segment was uploaded; None before one is known."""
        found = [self.found_as.uploaded_at] if self.found_as else []
        return min([*found, *(one.uploaded_at for one in self.segments.values())], default=None)

    @property
    def is_complete(self) -> bool:
        """Whether its end and all its segments have come, in any order.

        While a whole file is being replaced, its new end is still to come.
        """
        ended = self.ended
        if ended is None or len(self.segments) < ended.segment_count:
            return False
        return all(one.generation <= ended.generation for one in self.segments.values() if one.is_whole_file)

    @property
    def is_open(self) -> bool:
        """Whether something of an upload is known, and more must come before it can be decided on."""
        return bool(self.segments or self.ended) and not self.is_complete

    @property
    def is_alerted(self) -> bool:
        """Whether alerts name it, or did so."""
        return bool(self.links) or any(pair.alert for pair in self.pairs.values())

    def count(self, status: SegmentStatus) -> int:
        return sum(one.status == status for one in self.segments.values())

    def is_stale(self, segment_index: int, generation: int) -> bool:
        """Whether a segment of this generation is known to be replaced or removed."""
        if generation < self.floor:
            return True
        if self.cut_at and segment_index >= self.cut_at.segment_count and generation < self.cut_at.generation:
            return True
        known = self.segments.get(segment_index)
        return known is not None and known.status != SegmentStatus.FAILED and generation < known.since
