"""Segments to put into an index, and short ways to ask it."""

import numpy as np

from services.contracts.events import Role
from services.contracts.ports import DescribedSegment, DescriptorIndex, SegmentRow
from tca_model.types import FloatArray, VideoDescriptor
from tests.vectors import unit_rows

DIMENSION = 16  # of `unit_rows`


def described(
    asset_id: str,
    index: int = 0,
    *,
    frames: int = 3,
    seed: int = 0,
    tenant: str = "default",
    role: Role = Role.UPLOAD,
    stamp: str = "first",
) -> DescribedSegment:
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
    )
    times_s = 32.0 * index + np.arange(frames) / 3
    vector = unit_rows(seed + 1000)[0] if frames else np.zeros(DIMENSION, np.float32)
    return DescribedSegment(row, VideoDescriptor(times_s, unit_rows(seed, frames)), vector)


def found_frames(index: DescriptorIndex, vectors: FloatArray, *, tenant: str = "default", limit: int = 5) -> list[str]:
    nearest = index.search_frames(tenant, vectors, exclude_asset="asking", limit=limit)
    return [candidate.segment_id for candidate in nearest[0]]


def found_segments(index: DescriptorIndex, vector: FloatArray, *, tenant: str = "default", limit: int = 5) -> list[str]:
    nearest = index.search_segments(tenant, vector[np.newaxis], exclude_asset="asking", limit=limit)
    return [candidate.segment_id for candidate in nearest[0]]
