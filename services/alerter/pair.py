"""The evidence of a pair of assets, in the state of its query side: one unit for each segment that was searched."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from services.contracts.events import DuplicateAlert
from services.contracts.evidence import AssetFacts, ComparedSegment, Finding, SegmentRange, SentCalibration
from tca_model.matching.evidence import JoinedEvidence, SegmentEvidence, join

# A pair keeps evidence of so many searched segments, the first ones: 18 hours of segments of 32 s. What comes beyond
# that is not added to the alert, which says no less that the pair is a copy.
MAX_UNITS = 2048

SideName = Literal["query", "reference"]


class UnitKey(NamedTuple):
    """The segment that was searched, and the side of the pair that it belongs to."""

    side: SideName
    segment_index: int


@dataclass(frozen=True, slots=True)
class Unit:
    """What one searched segment shows of the pair. In `evidence` it is the query, whichever side it belongs to."""

    generation: int
    evidence: SegmentEvidence
    compared: tuple[ComparedSegment, ...]
    segment_cosine: float

    @classmethod
    def of(cls, generation: int, finding: Finding) -> "Unit":
        return cls(generation, finding.evidence, finding.compared, finding.segment_cosine)

    @property
    def newest_generation(self) -> int:
        return max([self.generation, *(one.generation for one in self.compared)])

    def is_newer_than(self, other: "Unit") -> bool:
        """Whether it knows more than another unit of the same segment; a delayed matcher may send an older one last."""
        return self._rank > other._rank

    @property
    def _rank(self) -> tuple[int, int, int]:
        return self.generation, self.newest_generation, len(self.compared)

    def without(self, ranges: Sequence[SegmentRange]) -> "Unit | None":
        """The unit without these segments of the other side; None if nothing is left, itself if nothing changes."""
        gone = [one for one in self.compared if _is_covered(one.segment_index, one.generation, ranges)]
        if not gone:
            return self
        kept = tuple(one for one in self.compared if one not in gone)
        indices = {one.segment_index for one in kept}
        references = tuple(one for one in self.evidence.references if one.segment_index in indices)
        if not references:
            return None
        matches = list(self.evidence.matches)
        for one in gone:
            matches = [piece for match in matches for piece in match.cut_reference(one.start_s, one.end_s)]
        return replace(
            self, evidence=replace(self.evidence, references=references, matches=tuple(matches)), compared=kept
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """The evidence about a reference, and the alert last published about it."""

    other: AssetFacts
    model_version: str
    calibration: SentCalibration
    units: Mapping[UnitKey, Unit] = field(default_factory=dict)
    alert: DuplicateAlert | None = None

    @property
    def is_live(self) -> bool:
        """Whether an alert about it holds."""
        return self.alert is not None and self.alert.is_live

    @property
    def segment_cosine(self) -> float:
        return max(one.segment_cosine for one in self.units.values())

    @property
    def newest_generation(self) -> int:
        """Of the latest upload that its evidence rests on."""
        return max(one.newest_generation for one in self.units.values())

    def join(self, *, query_frames: int) -> JoinedEvidence:
        """Join all evidence; `query_frames` are all frames of the query that are known."""
        by_side: dict[SideName, list[SegmentEvidence]] = {"query": [], "reference": []}
        for key, unit in self.units.items():
            by_side[key.side].append(unit.evidence)
        return join(
            by_side["query"],
            by_side["reference"],
            query_frames=query_frames,
            reference_frames=self.other.frame_count,
        )

    def list_reference_segments(self) -> tuple[ComparedSegment, ...]:
        """The segments of the reference, with their generations, that the evidence rests on."""
        found: dict[tuple[int, int], ComparedSegment] = {}
        for key, unit in self.units.items():
            compared: Iterable[ComparedSegment] = unit.compared
            if key.side == "reference":
                compared = [
                    ComparedSegment(segment_index=key.segment_index, generation=unit.generation, start_s=0, end_s=0)
                ]
            found |= {(one.segment_index, one.generation): one for one in compared}
        return tuple(found[place] for place in sorted(found))

    def with_unit(self, key: UnitKey, unit: Unit) -> "Pair":
        """The pair with a unit, unless it knows that one or a newer one of the segment."""
        known = self.units.get(key)
        if known == unit or (known is not None and known.is_newer_than(unit)):
            return self
        return replace(self, units={**self.units, key: unit})

    def without(self, side: SideName, ranges: Sequence[SegmentRange]) -> "Pair":
        """The pair without evidence about these segments of one side; itself if there was none."""
        units: dict[UnitKey, Unit] = {}
        for key, unit in self.units.items():
            if key.side != side:
                left = unit.without(ranges)
            else:
                left = None if _is_covered(key.segment_index, unit.generation, ranges) else unit
            if left is not None:
                units[key] = left
        is_same = len(units) == len(self.units) and all(units[key] is one for key, one in self.units.items())
        return self if is_same else replace(self, units=units)


def _is_covered(segment_index: int, generation: int, ranges: Iterable[SegmentRange]) -> bool:
    return any(one.covers(segment_index, generation) for one in ranges)
