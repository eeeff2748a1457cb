"""Which content of an asset an event makes obsolete."""

from collections.abc import Iterable

from services.alerter.state import AssetState
from services.contracts.events import SegmentStatus
from services.contracts.evidence import ComparedSegment, SegmentRange, SegmentSearched
from services.contracts.generations import is_superseded


def find_replaced(state: AssetState, event: SegmentSearched) -> tuple[SegmentRange, ...]:
    """Which content of the asset a described segment replaces."""
    if event.status == SegmentStatus.FAILED:
        return ()
    superseded = [one for one in state.segments.values() if is_superseded(one, event)]
    if not superseded:
        return ()
    if event.is_whole_file:
        return (SegmentRange(before=event.generation),)
    replaced = []
    if whole_files := [one.generation for one in superseded if one.is_whole_file]:
        # And what these had replaced, but not other segment files of this upload, which may come later.
        replaced.append(SegmentRange(before=max(whole_files) + 1))
    if any(one.segment_index == event.segment_index for one in superseded):
        index = event.segment_index
        replaced.append(SegmentRange(first=index, end=index + 1, before=event.generation))
    return tuple(replaced)


def find_stale(state: AssetState, compared: Iterable[ComparedSegment]) -> tuple[SegmentRange, ...]:
    """Those of these segments of the asset that are known to be replaced or removed."""
    return tuple(
        SegmentRange(first=one.segment_index, end=one.segment_index + 1, before=one.generation + 1)
        for one in compared
        if state.is_stale(one.segment_index, one.generation)
    )
