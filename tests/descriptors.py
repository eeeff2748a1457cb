"""Described segments made by hand: a work is a row of frame descriptors, one a second, unlike those of other works."""

from functools import cache
from typing import TypedDict, Unpack

import numpy as np

from services.contracts.events import Role
from services.contracts.segments import DescribedSegment, SegmentRow
from tca_model.types import FloatArray, VideoDescriptor
from tests.vectors import unit

DIMENSION = 512  # unrelated unit vectors of so many dimensions have a similarity of 0.00 +- 0.04
SEGMENT_S = 32
UPLOADED_AT = 1_780_000_000.0
LONGEST_S = 256


class RowFields(TypedDict, total=False):
    """Fields that all segments of an asset share."""

    tenant: str
    role: Role
    uploaded_at: float
    stamp: str
    generation: int
    is_whole_file: bool


@cache
def _work(number: int) -> FloatArray:
    return unit(np.random.default_rng(number).standard_normal((LONGEST_S, DIMENSION), dtype=np.float32))


def work(number: int, start_s: int = 0, end_s: int = SEGMENT_S) -> FloatArray:
    """The frame descriptors (T, D) of a stretch of a work."""
    assert end_s <= LONGEST_S
    return _work(number)[start_s:end_s].copy()


def described(
    asset_id: str,
    index: int,
    frames: FloatArray,
    *,
    start_s: float | None = None,
    tenant: str = "default",
    role: Role = Role.UPLOAD,
    uploaded_at: float = UPLOADED_AT,
    stamp: str = "stamp",
    generation: int = 1,
    is_whole_file: bool = True,
) -> DescribedSegment:
    """A segment of these frames, one a second from `start_s` on (by default where segment `index` starts)."""
    count = len(frames)
    start_s = float(SEGMENT_S * index) if start_s is None else start_s
    row = SegmentRow(
        tenant,
        asset_id,
        index,
        role,
        start_s,
        start_s + max(count, 1),
        count,
        stamp,
        f"/{asset_id}.mp4",
        uploaded_at,
        generation=generation,
        is_whole_file=is_whole_file,
    )
    vector = unit(frames.mean(axis=0)) if count else np.zeros(DIMENSION, np.float32)
    return DescribedSegment(row, VideoDescriptor(start_s + np.arange(count, dtype=np.float64), frames), vector)


def cut(asset_id: str, frames: FloatArray, **fields: Unpack[RowFields]) -> list[DescribedSegment]:
    """An asset of these frames, in segments of 32 s."""
    parts = [frames[start : start + SEGMENT_S] for start in range(0, len(frames), SEGMENT_S)]
    return [described(asset_id, index, part, **fields) for index, part in enumerate(parts)]
