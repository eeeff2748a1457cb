"""How an event changes the state of an asset. A repeated event changes nothing, an event of an older upload neither.

Each function returns the new state and, where content of the asset was replaced, which: alerts of other assets that
name it as their reference may rest on that content.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from services.alerter.obsolete import find_replaced, find_stale
from services.alerter.pair import Bounds, Pair, SideName, Unit, UnitKey
from services.alerter.state import AssetState, SegmentState
from services.contracts.events import AssetEnded, AssetErased, AssetEvent, SegmentStatus
from services.contracts.evidence import (
    AssetFacts,
    PairEvidence,
    PairLinked,
    SegmentRange,
    SegmentSearched,
    SideReplaced,
)
from services.contracts.generations import is_superseded
from services.runtime import metrics

PAIRS_OF_AN_ASSET, SEGMENTS_OF_A_PAIR = "pairs of an asset", "segments of a pair"
for _bound in (PAIRS_OF_AN_ASSET, SEGMENTS_OF_A_PAIR):
    metrics.dropped_evidence.labels(_bound)  # a series that begins with its first increase shows none


class Folded(NamedTuple):
    """A state after an event, and the asset's own content that it replaced."""

    state: AssetState
    replaced: tuple[SegmentRange, ...] = ()


def fold(state: AssetState, event: AssetEvent, bounds: Bounds) -> Folded:
    """The state after an event of match-evidence about the asset."""
    match event:
        case SegmentSearched():
            return add_segment(state, event, bounds)
        case PairEvidence():
            return add_evidence(state, event, bounds)
        case AssetEnded():
            return add_end(state, event)
        case AssetErased():
            return remove(state, event)
        case PairLinked():
            return add_link(state, event)
        case SideReplaced():
            return drop_replaced(state, event)
        case _:
            raise TypeError(f"no rule for {type(event).__name__}")


def add_segment(state: AssetState, event: SegmentSearched, bounds: Bounds) -> Folded:
    """The state after a segment was searched."""
    known = state.segments.get(event.segment_index)
    if known and SegmentStatus.FAILED in (event.status, known.status) and event.status != known.status:
        # A file that cannot be decoded leaves in the index what was described, whatever came first. It counts as an
        # upload, which is to be answered.
        failed_at = max(state.failed_at, (event if event.status == SegmentStatus.FAILED else known).generation)
        state = state if failed_at == state.failed_at else replace(state, failed_at=failed_at)
        if event.status == SegmentStatus.FAILED:
            return Folded(state)
        known = None
    if state.is_stale(event.segment_index, event.generation) or (known and known.generation > event.generation):
        return Folded(state)
    if any(is_superseded(event, one) for one in state.segments.values() if one.status != SegmentStatus.FAILED):
        return Folded(state)
    replaced = find_replaced(state, event)
    pairs = _drop(state.pairs, "query", replaced)
    for finding in event.findings:
        unit = Unit.of(event.generation, finding)
        key = UnitKey("query", event.segment_index)
        if not _is_beyond(bounds, pairs, finding.other, key):
            pairs = _add_unit(pairs, finding.other, key, unit, event)
    kept = {
        index: one
        for index, one in state.segments.items()
        if not any(gone.covers(index, one.generation) for gone in replaced)
    }
    is_same = known is not None and known.content == event.content
    segment = SegmentState(
        segment_index=event.segment_index,
        content=event.content,
        since=known.since if known and is_same else event.generation,
        generation=event.generation,
        is_whole_file=event.is_whole_file,
        status=event.status,
        reason=event.reason,
        frame_count=event.frame_count,
        end_s=event.end_s,
        uploaded_at=event.uploaded_at,
        # A delayed matcher may repeat a search that failed.
        is_compared=event.is_compared or (known is not None and is_same and known.is_compared),
    )
    if known == segment and pairs is state.pairs:
        return Folded(state)
    floor = max([state.floor, *(one.before for one in replaced if (one.first, one.end) == (0, None))])
    return Folded(
        replace(
            state,
            found_as=None if replaced else state.found_as,
            floor=floor,
            segments={**kept, event.segment_index: segment},
            pairs=pairs,
        ),
        replaced,
    )


def add_evidence(state: AssetState, event: PairEvidence, bounds: Bounds) -> Folded:
    """The state after the other side of a pair was searched: only evidence about current content of this asset."""
    stale = find_stale(state, event.finding.compared)
    unit = Unit.of(event.generation, event.finding).without(stale)
    if unit is None:
        return Folded(state)
    key = UnitKey("reference", event.finding.evidence.segment_index)
    if _is_beyond(bounds, state.pairs, event.reference, key):
        return Folded(state)
    pairs = _add_unit(state.pairs, event.reference, key, unit, event)
    if pairs is state.pairs:
        return Folded(state)
    found = event.finding.other
    return Folded(replace(state, pairs=pairs, found_as=_merge_facts(state.found_as or found, found)))


def add_end(state: AssetState, event: AssetEnded) -> Folded:
    """The state after an upload ended: the latest upload counts, and of its ends a complete one, then the longest."""
    before = state.ended
    if event.generation < state.floor or (before is not None and _rank(event) <= _rank(before)):
        return Folded(state)
    if event.status == "failed":
        return Folded(replace(state, ended=event))
    if event.decoded_share is None and before and before.duration_s == event.duration_s:
        event = event.model_copy(update={"decoded_share": before.decoded_share})  # stored, so not decoded again
    cut = SegmentRange(first=event.segment_count, before=event.generation)
    gone = {index for index, one in state.segments.items() if cut.covers(index, one.generation)}
    return Folded(
        replace(
            state,
            ended=event,
            cut_at=event,
            found_as=None if gone else state.found_as,
            segments={index: one for index, one in state.segments.items() if index not in gone},
            pairs=_drop(state.pairs, "query", (cut,)),
        ),
        (cut,) if gone else (),
    )


def remove(state: AssetState, event: AssetErased) -> Folded:
    """The state after the asset was removed: of its pairs only the alerts are left, to be withdrawn."""
    if event.generation < state.floor or event == state.removed:
        return Folded(state)
    everything = SegmentRange(before=event.generation)
    kept = {index: one for index, one in state.segments.items() if one.generation > event.generation}
    ended = state.ended if state.ended and state.ended.generation > event.generation else None
    return Folded(
        replace(
            state,
            found_as=None,
            floor=event.generation,
            cut_at=None,
            ended=ended,
            removed=event,
            is_removal_acknowledged=False,
            verdict=None,
            segments=kept,
            pairs=_drop(state.pairs, "query", (everything,)),
        ),
        (everything,),
    )


def add_link(state: AssetState, event: PairLinked) -> Folded:
    """The state after another asset's alert named this one as its reference, or was withdrawn."""
    links = {other: alert_id for other, alert_id in state.links.items() if other != event.query_id}
    if event.is_live:
        links[event.query_id] = event.alert_id
    return Folded(state if links == state.links else replace(state, links=links))


def drop_replaced(state: AssetState, event: SideReplaced) -> Folded:
    """The state after content of a reference was replaced: evidence about it no longer counts."""
    pair = state.pairs.get(event.reference_id)
    left = pair.without("reference", event.replaced) if pair else None
    if pair is None or left is None or left is pair:
        return Folded(state)
    return Folded(replace(state, pairs={**state.pairs, event.reference_id: left}))


def _drop(pairs: Mapping[str, Pair], side: SideName, ranges: Sequence[SegmentRange]) -> Mapping[str, Pair]:
    """The pairs without evidence about these segments; those without evidence and alert are dropped."""
    if not ranges:
        return pairs
    left = {other: pair.without(side, ranges) for other, pair in pairs.items()}
    if all(left[other] is pair for other, pair in pairs.items()):
        return pairs
    return {other: pair for other, pair in left.items() if pair.units or pair.alert}


def _is_beyond(bounds: Bounds, pairs: Mapping[str, Pair], other: AssetFacts, key: UnitKey) -> bool:
    """Whether one more piece of evidence would be too much; counts it if so."""
    pair = pairs.get(other.asset_id)
    if pair is None and len(pairs) >= bounds.pairs:
        metrics.dropped_evidence.labels(PAIRS_OF_AN_ASSET).inc()
        return True
    if pair is not None and key not in pair.units and len(pair.units) >= bounds.units:
        metrics.dropped_evidence.labels(SEGMENTS_OF_A_PAIR).inc()
        return True
    return False


def _add_unit(
    pairs: Mapping[str, Pair], other: AssetFacts, key: UnitKey, unit: Unit, event: SegmentSearched | PairEvidence
) -> Mapping[str, Pair]:
    """The pairs with this evidence about another asset; the same if it is known."""
    pair = pairs.get(other.asset_id) or Pair(other, event.model_version, event.calibration)
    grown = pair.with_unit(key, unit)
    if grown is pair:
        return pairs
    grown = replace(
        grown,
        other=_merge_facts(pair.other, other),
        model_version=event.model_version,
        calibration=event.calibration,
    )
    return {**pairs, other.asset_id: grown}


def _merge_facts(known: AssetFacts, new: AssetFacts) -> AssetFacts:
    """The facts of an asset that grows; of other content the new ones."""
    if (known.role, known.uploaded_at) != (new.role, new.uploaded_at):
        return new
    duration_s, frame_count = max(known.duration_s, new.duration_s), max(known.frame_count, new.frame_count)
    return new.model_copy(update={"duration_s": duration_s, "frame_count": frame_count})


def _rank(ended: AssetEnded) -> tuple[int, bool, int, float]:
    return ended.generation, ended.status == "complete", ended.segment_count, ended.duration_s or 0.0
