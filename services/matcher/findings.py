"""From comparisons to findings: only evidence of current content, strong enough to count, with facts of both assets."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.contracts.evidence import AssetFacts, ComparedSegment, Finding
from services.contracts.generations import select_current
from services.contracts.ports import DescriptorIndex
from services.contracts.segments import DescribedSegment, SegmentKey, SegmentRow
from services.matcher.rerank import Comparison, compare
from services.matcher.search import Found
from services.runtime.rule import AlertRule
from tca_model.matching.calibration import Calibration
from tca_model.matching.evidence import SegmentEvidence, join, score_interval
from tca_model.matching.intervals import measure_worth


@dataclass(frozen=True, slots=True)
class FindingsOfAsset:
    """What the searches for segments of one asset found: facts of that asset, and findings by searched segment."""

    facts: AssetFacts | None  # None if the index holds nothing of it
    findings: Mapping[SegmentKey, Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class FindingBuilder:
    """Turns the comparisons of an asset's segments into findings."""

    index: DescriptorIndex
    rule: AlertRule
    calibration: Calibration

    def __call__(self, tenant: str, asset_id: str, searched: Iterable[Found]) -> FindingsOfAsset:
        """The findings that may lift a pair over the alert threshold.

        The rows of the assets are read now, after the search: what was replaced before that is left out. What is
        replaced later, the alerter finds out by the generations.
        """
        floor = self.rule.evidence_floor(tenant, self.calibration)
        strong = {
            found.query.row.key: (
                found.query,
                [one for one in found.comparisons if is_worth_keeping(one.evidence, floor)],
            )
            for found in searched
        }
        others = {comparison.asset_id for _, comparisons in strong.values() for comparison in comparisons}
        if not others:
            return FindingsOfAsset(None, {})
        rows = self._read_current(tenant, {asset_id, *others})
        findings = {
            key: [
                finding
                for comparison in comparisons
                if (finding := _to_finding(query, comparison, rows[comparison.asset_id], floor))
            ]
            for key, (query, comparisons) in strong.items()
        }
        return FindingsOfAsset(_to_facts(rows[asset_id]), findings)

    def _read_current(self, tenant: str, asset_ids: Collection[str]) -> Mapping[str, Sequence[SegmentRow]]:
        """The rows of the current content of each asset."""
        stored: defaultdict[str, list[SegmentRow]] = defaultdict(list)
        for row in self.index.read_rows(tenant, asset_ids):
            stored[row.asset_id].append(row)
        return defaultdict(list, {one: select_current(rows) for one, rows in stored.items()})


def is_worth_keeping(evidence: SegmentEvidence, floor: float) -> bool:
    """Whether the evidence reaches this joined score, on its own or once it continues in the next segment.

    A piece of a copy that is too short on its own counts, since it may continue; so does one without contrast, in a
    scene that hardly moves, since others may have it.
    """
    strongest_piece = max((max(score_interval(one), measure_worth(one)) for one in evidence.matches), default=0.0)
    return max(join([evidence]).joined_score, strongest_piece) >= floor


def _to_finding(
    query: DescribedSegment, comparison: Comparison, rows: Sequence[SegmentRow], floor: float
) -> Finding | None:
    """The finding of a comparison, made again without segments that were replaced; None if nothing is left of it."""
    current = {row.key: row for row in rows}
    segments: Sequence[DescribedSegment] = [one for one in comparison.segments if one.row.key in current]
    if not segments:
        return None
    if len(segments) < len(comparison.segments):
        [comparison] = compare(query, segments)
        if not is_worth_keeping(comparison.evidence, floor):
            return None
    facts = _to_facts(rows)
    assert facts is not None
    return Finding(
        other=facts,
        evidence=comparison.evidence,
        # The generations are those of the rows: what comes from the cache may have been announced again since.
        compared=tuple(_to_compared(current[one.row.key]) for one in segments),
        segment_cosine=comparison.segment_cosine,
    )


def _to_compared(row: SegmentRow) -> ComparedSegment:
    return ComparedSegment(
        segment_index=row.segment_index, generation=row.generation, start_s=row.start_s, end_s=row.end_s
    )


def _to_facts(rows: Sequence[SegmentRow]) -> AssetFacts | None:
    if not rows:
        return None
    return AssetFacts(
        asset_id=rows[0].asset_id,
        role=max(rows, key=lambda row: row.generation).role,
        uploaded_at=datetime.fromtimestamp(min(row.uploaded_at for row in rows), UTC),
        duration_s=max(row.end_s for row in rows),
        frame_count=sum(row.frame_count for row in rows),
    )
