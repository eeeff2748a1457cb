"""Each thing that can be wrong with the index is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from services.contracts.events import Role
from services.contracts.segments import SegmentRow
from tests.chaos.doctored import STEPS, B, C, D, Doctor, assert_named, find_problems
from tests.chaos.ideal import make_observed
from tests.chaos.observed import Observed
from tests.chaos.steps import Asset


def row(asset: Asset, segment_index: int, **changes: Any) -> Doctor:
    """Changes one row, and keeps its frames readable; without changes it is gone."""

    def doctor(observed: Observed) -> Observed:
        rows: list[SegmentRow] = []
        frames = dict(observed.frames)
        for one in observed.rows:
            if (one.asset_id, one.segment_index) == (asset.asset_id, segment_index):
                if not changes:
                    continue
                changed = replace(one, **changes)
                frames[changed.key] = frames[one.key]
                one = changed
            rows.append(one)
        return replace(observed, rows=tuple(rows), frames=frames)

    return doctor


def stale_row(asset: Asset, **changes: Any) -> Doctor:
    """Adds a row of other content."""

    def doctor(observed: Observed) -> Observed:
        one = replace(observed.rows[0], asset_id=asset.asset_id, stamp="old", **changes)
        return replace(observed, rows=(*observed.rows, one))

    return doctor


def frames_of(asset: Asset, change: Callable[[Any], Any]) -> Doctor:
    def doctor(observed: Observed) -> Observed:
        frames = {
            key: change(found) if key.segment_id == f"{asset.asset_id}:0" else found
            for key, found in observed.frames.items()
        }
        return replace(observed, frames={key: found for key, found in frames.items() if found is not None})

    return doctor


@pytest.mark.parametrize(
    ("doctor", "expected"),
    [
        (row(B, 1), r"lost: north/b: the index does not hold its segments \[1\]"),
        (row(B, 1, uri="/films/x.film"), "wrong: north/b, segment 1: file .* expected, the index holds x.film"),
        (row(B, 1, role=Role.REFERENCE), "wrong: north/b, segment 1: role upload expected"),
        (row(B, 1, frame_count=7), "wrong: north/b, segment 1: frames 8 expected, the index holds 7"),
        (row(B, 1, is_whole_file=False), "wrong: north/b, segment 1: origin True expected"),
        (row(B, 1, start_s=9.0), "wrong: north/b, segment 1: start 8.000 expected, the index holds 9.000"),
        (row(B, 1, end_s=9.0), "wrong: north/b, segment 1: end 16.000 expected"),
        (row(B, 1, uploaded_at=1.0), "wrong: north/b, segment 1: time of upload .* expected, the index holds 1.000"),
        (stale_row(C, segment_index=4, generation=9), "wrong: north/c, segment 4: it is no more, but the index holds"),
        (stale_row(C, segment_index=0, generation=9), "wrong: north/c, segment 0: file .*c-.* expected"),
        (stale_row(D), r"wrong: north/d: it was removed, but the index holds its segments \[0\]"),
        (stale_row(Asset("north", "f")), "wrong: north/f: the index holds an asset that was never uploaded"),
        (
            lambda observed: replace(observed, frame_counts={D: 3}),
            "wrong: north/d: it was removed, but the index holds 3 of its frames",
        ),
        (frames_of(B, lambda _: None), "lost: north/b, segment 0: the index does not hold all of its frames"),
        (frames_of(B, lambda frames: frames[1:]), "wrong: north/b, segment 0: the index holds frames of something"),
        (frames_of(B, np.flipud), "wrong: north/b, segment 0: the index holds frames of something else"),
    ],
)
def test_a_wrong_index_is_named(doctor: Doctor, expected: str) -> None:
    assert_named(doctor, expected)


def test_old_rows_that_newer_ones_supersede_are_fine() -> None:
    assert find_problems(stale_row(C, segment_index=0, generation=0)(make_observed(STEPS))) == []
