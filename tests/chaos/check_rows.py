"""Checks of the index: it holds the last content of each asset, whole, and nothing of what was removed."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Final

import numpy as np

from services.contracts.events import Role
from services.contracts.generations import select_current
from services.contracts.segments import SegmentRow
from tests.chaos.films import make_descriptor
from tests.chaos.observed import Observed, asset_of
from tests.chaos.problems import Problem, lost, wrong
from tests.chaos.steps import Asset
from tests.chaos.truth import FinalAsset, Segment, Truth

_ROUNDING: Final = 1e-3  # of times in seconds, and of vectors


def check_rows(truth: Truth, observed: Observed, claimed: Mapping[Asset, datetime]) -> Iterator[Problem]:
    """`claimed`: when each asset was uploaded, as its uploader says."""
    of_asset: dict[Asset, list[SegmentRow]] = {}
    for row in observed.rows:
        of_asset.setdefault(asset_of(row), []).append(row)
    for asset, final in truth.assets.items():
        rows = of_asset.pop(asset, [])
        if final.outcome == "removed":
            yield from _check_removed(asset, rows, observed.frame_counts.get(asset, 0))
            continue
        current = {row.segment_index: row for row in select_current(rows)}
        missing = [one.segment_index for one in final.segments if one.segment_index not in current]
        if missing:
            yield lost(f"{asset.key}: the index does not hold its segments {missing}")
        for segment in final.segments:
            stored = current.pop(segment.segment_index, None)
            name = f"{asset.key}, segment {segment.segment_index}"
            if stored is not None:
                yield from _check_row(name, final, segment, stored, claimed[asset])
                yield from _check_frames(name, segment, stored, observed)
        for row in current.values():
            yield wrong(f"{asset.key}, segment {row.segment_index}: it is no more, but the index holds it ({row.uri})")
    for asset in of_asset:
        yield wrong(f"{asset.key}: the index holds an asset that was never uploaded")


def _check_removed(asset: Asset, rows: list[SegmentRow], frame_count: int) -> Iterator[Problem]:
    if rows:
        indices = sorted({row.segment_index for row in rows})
        yield wrong(f"{asset.key}: it was removed, but the index holds its segments {indices}")
    if frame_count:
        yield wrong(f"{asset.key}: it was removed, but the index holds {frame_count} of its frames")


def _check_row(name: str, final: FinalAsset, segment: Segment, row: SegmentRow, claimed: datetime) -> Iterator[Problem]:
    found: tuple[tuple[str, object, object], ...] = (
        ("file", PurePath(row.uri).name, segment.file_name),
        ("role", Role(row.role), final.role),
        ("frames", row.frame_count, segment.film.length_s),
        ("origin", row.is_whole_file, segment.is_whole_file),
    )
    for what, stored, expected in found:
        if stored != expected:
            yield wrong(f"{name}: {what} {expected} expected, the index holds {stored}")
    times = (
        ("start", row.start_s, segment.start_s),
        ("end", row.end_s, segment.end_s),
        ("time of upload", row.uploaded_at, claimed.timestamp()),
    )
    for what, stored_s, expected_s in times:
        if abs(stored_s - expected_s) > _ROUNDING:
            yield wrong(f"{name}: {what} {expected_s:.3f} expected, the index holds {stored_s:.3f}")


def _check_frames(name: str, segment: Segment, row: SegmentRow, observed: Observed) -> Iterator[Problem]:
    frames = observed.frames.get(row.key)
    if frames is None:
        yield lost(f"{name}: the index does not hold all of its frames")
        return
    film = segment.film
    expected = [make_descriptor(work, second, film.noise, frames.shape[1]) for work, second in film.frames()]
    if len(frames) != len(expected) or np.abs(frames - np.array(expected)).max(initial=0) > _ROUNDING:
        yield wrong(f"{name}: the index holds frames of something else")
