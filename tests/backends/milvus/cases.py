"""What tests of the Milvus index share: how it is opened, and segments to store in it."""

from pathlib import Path

import numpy as np

from services.backends.milvus.index import MilvusIndex
from services.contracts.events import Role
from services.contracts.ports import DescribedSegment, SegmentRow
from tca_model.types import FloatArray, VideoDescriptor

DIMENSION = 16


def open_index(path: Path, *, model_version: str = "v1") -> MilvusIndex:
    return MilvusIndex(str(path), model_version=model_version, dimension=DIMENSION)


def described(
    asset_id: str,
    *,
    frames: int = 3,
    seed: int = 0,
    stamp: str = "first",
    role: Role = Role.UPLOAD,
    tenant: str = "default",
) -> DescribedSegment:
    row = SegmentRow(
        tenant=tenant,
        asset_id=asset_id,
        segment_index=0,
        role=role,
        start_s=0,
        end_s=32,
        frame_count=frames,
        stamp=stamp,
        uri="file:///a.mp4",
        uploaded_at=0,
    )
    vectors = unit(seed, frames + 1)
    return DescribedSegment(row, VideoDescriptor(np.arange(frames, dtype=np.float64), vectors[1:]), vectors[0])


def unit(seed: int, count: int) -> FloatArray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
