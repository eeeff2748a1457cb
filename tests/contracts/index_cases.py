"""Segments to put into an index, and short ways to search it."""

from dataclasses import replace
from typing import Any

import numpy as np

from services.contracts.events import Role
from services.contracts.ports import DescriptorIndex
from services.contracts.segments import DescribedSegment, SearchRequest, SegmentRow
from tca_model.types import FloatArray, VideoDescriptor
from tests.vectors import unit_rows

DIMENSION = 16


def make_segment(
    asset_id: str,
    index: int = 0,
    *,
    frames: int = 3,
    seed: int = 0,
    tenant: str = "default",
    role: Role = Role.UPLOAD,
    stamp: str = "first",
    generation: int = 1,
    is_whole_file: bool = True,
) -> DescribedSegment:
    """A segment whose frames are `unit_rows(seed, frames)` and whose vector has seed + 1000."""
    row = SegmentRow(
        tenant=tenant,
        asset_id=asset_id,
        segment_index=index,
        role=role,
        start_s=32.0 * index,
        end_s=32.0 * index + 32,
        frame_count=frames,
        stamp=stamp,
        uri=f'file:///videos/"{asset_id}" ä.mp4',
        uploaded_at=1_753_000_000.25,
        generation=generation,
        is_whole_file=is_whole_file,
    )
    times_s = 32.0 * index + np.arange(frames) / 3
    vector = unit_rows(seed + 1000)[0] if frames else np.zeros(DIMENSION, np.float32)
    return DescribedSegment(row, VideoDescriptor(times_s, unit_rows(seed, frames)), vector)


def request_for(vectors: FloatArray, **changes: Any) -> SearchRequest:
    """A search for these vectors (N, D) by an asset that is not stored."""
    request = SearchRequest(tenant="default", vectors=vectors, exclude_asset="searching", limit=5)
    return replace(request, **changes)


def find_frames(index: DescriptorIndex, vectors: FloatArray, **changes: Any) -> list[str]:
    """Ids of the segments that the first vector finds by frame; `changes` to the request."""
    nearest = index.search_frames(request_for(vectors, **changes))
    return [candidate.key.segment_id for candidate in nearest[0]]


def find_segments(index: DescriptorIndex, vector: FloatArray, **changes: Any) -> list[str]:
    """Ids of the segments that the vector (D,) finds by segment; `changes` to the request."""
    nearest = index.search_segments(request_for(vector[np.newaxis], **changes))
    return [candidate.key.segment_id for candidate in nearest[0]]
