"""A segment is decoded as it was encoded, and no other bytes are accepted."""

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from services.backends.redis.codec import HEADER, MAGIC, VERSION, decode, encode
from services.contracts.events import Role
from services.contracts.segments import DescribedSegment
from tests.descriptors import described, work


def make_sample(frames: int = 5) -> DescribedSegment:
    segment = described("a.b-c_1", 3, work(1, 0, frames), start_s=96.1, role=Role.REFERENCE)
    row = replace(
        segment.row,
        uri='/films/"ä" \\ 1.mp4',
        uploaded_at=1_780_000_000.123456,
        segment_count=4,
        generation=2**62 + 1,
        is_whole_file=False,
    )
    return DescribedSegment(row, segment.descriptor, segment.vector)


@pytest.mark.parametrize("frames", [0, 1, 32])
def test_everything_is_decoded_frames_with_half_precision(frames: int) -> None:
    put = make_sample(frames)
    got = decode(encode(put))
    assert got.row == put.row
    assert isinstance(got.row.role, Role)
    np.testing.assert_array_equal(got.descriptor.timestamps_s, put.descriptor.timestamps_s)
    np.testing.assert_array_equal(got.vector, put.vector)
    np.testing.assert_array_equal(got.descriptor.frames, put.descriptor.frames.astype(np.float16).astype(np.float32))
    for array in (got.descriptor.timestamps_s, got.descriptor.frames, got.vector):
        assert array.flags.writeable
        assert array.flags.aligned


def test_the_layout_is_little_endian_and_half_the_size() -> None:
    put = make_sample(32)
    value = encode(put)
    magic, version, row_bytes, count, dimension, checksum = struct.unpack("<4sIIIII", value[: HEADER.size])
    assert (magic, version, count, dimension) == (MAGIC, VERSION, 32, 512)
    assert checksum == zlib.crc32(value[HEADER.size :])
    assert len(value) == HEADER.size + row_bytes + 32 * 8 + 32 * 512 * 2 + 512 * 4
    assert struct.unpack_from("<d", value, HEADER.size + row_bytes)[0] == put.descriptor.timestamps_s[0]


def test_a_changed_byte_anywhere_is_noticed() -> None:
    value = encode(make_sample(2))
    for place in range(len(value)):
        changed = bytearray(value)
        changed[place] ^= 0x10
        with pytest.raises(ValueError):  # noqa: PT011 - any of them
            decode(bytes(changed))


def test_a_truncated_or_too_long_value_is_refused() -> None:
    value = encode(make_sample(2))
    for wrong in (b"", b"x", value[: HEADER.size], value[:-1], value + b"\0", value[1:]):
        with pytest.raises(ValueError):  # noqa: PT011 - any of them
            decode(wrong)


def seal(version: int, row: bytes, frames: np.ndarray) -> bytes:
    """A value with a correct checksum, whatever its content."""
    count, dimension = frames.shape
    body = (
        row + np.zeros(count, "<f8").tobytes() + frames.astype("<f2").tobytes() + np.zeros(dimension, "<f4").tobytes()
    )
    return HEADER.pack(MAGIC, version, len(row), count, dimension, zlib.crc32(body)) + body


def test_wrong_content_with_a_correct_checksum_is_refused() -> None:
    value = encode(make_sample(1))
    row_bytes = HEADER.unpack_from(value)[2]
    row = value[HEADER.size : HEADER.size + row_bytes]
    unit = np.eye(1, 512, dtype=np.float32)
    assert decode(seal(VERSION, row, unit)).row == make_sample(1).row
    for wrong in (
        seal(VERSION + 1, row, unit),
        seal(VERSION, b"not json", unit),
        seal(VERSION, b"{}", unit),
        seal(VERSION, row.replace(b"reference", b"refrigerator"), unit),
        seal(VERSION, row, unit * 7),
        seal(VERSION, row, unit * np.nan),
        seal(VERSION, row, np.vstack([unit, unit])),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - any of them
            decode(wrong)
