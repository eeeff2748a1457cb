"""What every DescriptorCache does, whatever the backend."""

import uuid
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import pytest

from services.backends.memory.cache import PROGRESS_BYTES, MemoryCache
from services.backends.redis.cache import RedisCache
from services.contracts.events import Role
from services.contracts.segments import DescribedSegment, SegmentKey, SegmentRow, make_content
from tca_model.types import VideoDescriptor

KEY = SegmentKey("default", "a:0", make_content("stamp", Role.UPLOAD))
DIMENSION = 32


Cache: TypeAlias = MemoryCache | RedisCache


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    if request.param == "memory":
        yield MemoryCache(max_bytes=1_000_000)
        return
    server = request.getfixturevalue("redis_server")
    redis_cache = RedisCache(server.address, model_version=uuid.uuid4().hex, ttl_s=60)
    yield redis_cache
    redis_cache.close()


def make_segment(
    seed: int, *, asset_id: str = "a", tenant: str = "default", frames: int = 4, stamp: str = "stamp"
) -> DescribedSegment:
    vectors = np.random.default_rng(seed).standard_normal((frames + 1, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    row = SegmentRow(tenant, asset_id, 0, Role.UPLOAD, 0, 32, frames, stamp, "/a.mp4", 1.5, generation=3)
    return DescribedSegment(row, VideoDescriptor(np.arange(frames) / 3, vectors[1:]), vectors[0])


def frames_of(cache: Cache) -> np.ndarray:
    return cache.get_many([KEY])[KEY].descriptor.frames


def test_a_cached_segment_is_returned_with_half_precision(cache: Cache) -> None:
    put = make_segment(1)
    cache.put_many([put])
    found = cache.get_many([KEY, KEY._replace(segment_id="never:0")])

    assert list(found) == [KEY]
    assert found[KEY].row == put.row
    np.testing.assert_allclose(found[KEY].vector, put.vector, atol=1e-3)
    np.testing.assert_array_equal(found[KEY].descriptor.timestamps_s, put.descriptor.timestamps_s)
    np.testing.assert_allclose(found[KEY].descriptor.frames, put.descriptor.frames, atol=1e-3)
    assert found[KEY].descriptor.frames.dtype == np.float32


def test_a_later_put_replaces_an_earlier_one(cache: Cache) -> None:
    cache.put_many([make_segment(1, frames=9)])
    cache.put_many([make_segment(2, frames=3)])
    np.testing.assert_allclose(frames_of(cache), make_segment(2, frames=3).descriptor.frames, atol=1e-3)


def test_tenants_never_see_each_other(cache: Cache) -> None:
    cache.put_many([make_segment(1, tenant="theirs")])
    assert cache.get_many([KEY._replace(tenant="ours")]) == {}


def test_other_content_of_a_segment_has_another_key(cache: Cache) -> None:
    new, old = make_segment(2, stamp="new"), make_segment(1, stamp="old")
    cache.put_many([new])
    cache.put_many([old])  # late, by a process that had read it before it was replaced
    found = cache.get_many([new.row.key, old.row.key])
    for one in (new, old):
        np.testing.assert_allclose(found[one.row.key].descriptor.frames, one.descriptor.frames, atol=1e-3)
        assert found[one.row.key].row == one.row


def test_discarded_segments_are_gone(cache: Cache) -> None:
    other = KEY._replace(segment_id="b:0")
    cache.put_many([make_segment(1), make_segment(2, asset_id="b")])
    cache.discard([KEY, KEY._replace(segment_id="never:0")])
    assert list(cache.get_many([KEY, other])) == [other]


def test_a_caller_cannot_change_cached_values(cache: Cache) -> None:
    put = make_segment(1)
    cache.put_many([put])
    frames_of(cache)[:] = 0
    np.testing.assert_allclose(frames_of(cache), put.descriptor.frames, atol=1e-3)


def test_a_segment_without_frames_can_be_cached(cache: Cache) -> None:
    cache.put_many([make_segment(1, frames=0)])
    assert len(frames_of(cache)) == 0


def test_empty_requests_return_nothing(cache: Cache) -> None:
    cache.put_many([])
    cache.discard([])
    assert cache.get_many([]) == {}


def test_a_discarded_segment_can_be_put_again(cache: Cache) -> None:
    cache.put_many([make_segment(1)])
    cache.discard([KEY])
    cache.put_many([make_segment(2)])
    np.testing.assert_allclose(frames_of(cache), make_segment(2).descriptor.frames, atol=1e-3)


def test_the_progress_of_a_file_is_kept_beside_its_first_segment(cache: Cache) -> None:
    assert cache.get_progress(KEY) is None
    cache.put_many([make_segment(1)])
    cache.put_progress(KEY, b"\x00first")
    cache.put_progress(KEY, b"\x00second")
    assert cache.get_progress(KEY) == b"\x00second"
    assert len(frames_of(cache)) == 4
    for other in (KEY._replace(tenant="other"), KEY._replace(content="other"), KEY._replace(segment_id="b:0")):
        assert cache.get_progress(other) is None
    for _ in range(2):
        cache.discard_progress(KEY)
        assert cache.get_progress(KEY) is None
    assert len(frames_of(cache)) == 4


def test_memory_keeps_a_limited_amount_of_progress() -> None:
    cache = MemoryCache(max_bytes=1000)
    keys = [KEY._replace(segment_id=f"{name}:0") for name in "abc"]
    for key in keys:
        cache.put_progress(key, bytes(PROGRESS_BYTES // 2))
    assert [cache.get_progress(key) is not None for key in keys] == [False, True, True]
    cache.put_progress(keys[0], bytes(PROGRESS_BYTES + 1))
    assert cache.get_progress(keys[0]) is None


def test_memory_drops_the_least_recently_used_segment() -> None:
    one_bytes = 4 * (DIMENSION * 2 + 8) + DIMENSION * 4
    cache = MemoryCache(max_bytes=3 * one_bytes)
    segments = [make_segment(1, asset_id=f"a{number}") for number in range(4)]
    keys = [one.row.key for one in segments]
    cache.put_many(segments[:3])
    cache.get_many([keys[0]])
    cache.put_many([segments[3]])
    assert list(cache.get_many(keys)) == [keys[0], keys[2], keys[3]]


def test_memory_refuses_a_segment_larger_than_itself() -> None:
    cache = MemoryCache(max_bytes=250)
    cache.put_many([make_segment(1, frames=1)])
    assert len(frames_of(cache)) == 1
    cache.put_many([make_segment(2, frames=9)])
    assert cache.get_many([KEY]) == {}
