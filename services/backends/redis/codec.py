"""A described segment as bytes, for a cache: little-endian, with a checksum, frames in half precision.

header   magic, version of this layout, bytes of the row, T, D, CRC-32 of everything after the header
row      JSON
times    T float64
frames   T x D float16: half the memory, and the chamfer similarity moves by 5e-6
vector   D float32
"""

import struct
import zlib

import numpy as np
from pydantic import TypeAdapter

from services.contracts.segments import DescribedSegment, SegmentRow
from tca_model.types import VideoDescriptor

HEADER = struct.Struct("<4sIIIII")
MAGIC = b"FDsc"
VERSION = 2  # increase it with every change of the layout or of SegmentRow

_ROW = TypeAdapter(SegmentRow)


def encode(segment: DescribedSegment) -> bytes:
    """The segment as bytes."""
    row = _ROW.dump_json(segment.row)
    descriptor = segment.descriptor
    body = b"".join(
        (
            row,
            descriptor.timestamps_s.astype("<f8").tobytes(),
            descriptor.frames.astype("<f2").tobytes(),
            segment.vector.astype("<f4").tobytes(),
        )
    )
    return HEADER.pack(MAGIC, VERSION, len(row), *descriptor.frames.shape, zlib.crc32(body)) + body


def decode(value: bytes) -> DescribedSegment:
    """The encoded segment. Raises ValueError for bytes of another layout, truncated or changed."""
    if len(value) < HEADER.size:
        raise ValueError(f"{len(value)} bytes are not a descriptor")
    magic, version, row_bytes, count, dimension, checksum = HEADER.unpack_from(value)
    if (magic, version) != (MAGIC, VERSION):
        raise ValueError(f"layout {magic!r} {version}, not {MAGIC!r} {VERSION}")
    times_at = HEADER.size + row_bytes
    frames_at = times_at + 8 * count
    vector_at = frames_at + 2 * count * dimension
    if len(value) != vector_at + 4 * dimension or zlib.crc32(memoryview(value)[HEADER.size :]) != checksum:
        raise ValueError("the descriptor is damaged")
    times_s = np.frombuffer(value, "<f8", count, times_at).astype(np.float64)
    frames = np.frombuffer(value, "<f2", count * dimension, frames_at).astype(np.float32).reshape(count, dimension)
    vector = np.frombuffer(value, "<f4", dimension, vector_at).astype(np.float32)
    row = _ROW.validate_json(value[HEADER.size : times_at])
    return DescribedSegment(row, VideoDescriptor(times_s, frames), vector)
