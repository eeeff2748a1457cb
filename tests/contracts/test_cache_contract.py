"""What every DescriptorCache does, whatever stands behind it."""

import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from services.backends.memory.cache import MemoryCache
from services.backends.redis.cache import RedisCache
from services.contracts.events import Role
from services.contracts.ports import DescribedSegment, DescriptorCache, SegmentKey, SegmentRow
from tca_model.types import VideoDescriptor

KEY = SegmentKey("default", "a:0")
DIMENSION = 32


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def cache(request: pytest.FixtureRequest) -> Iterator[DescriptorCache]:
    if request.param == "memory":
        yield MemoryCache(max_bytes=1_000_000)
        return
    server = request.getfixturevalue("redis_server")
    redis_cache = RedisCache(server.address, model_version=uuid.uuid4().hex, ttl_s=60)
    yield redis_cache
    redis_cache.close()


def segment(seed: int, *, asset_id: str = "a", tenant: str = "default", frames: int = 4) -> DescribedSegment:
    vectors = np.random.default_rng(seed).standard_normal((frames + 1, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    row = SegmentRow(tenant, asset_id, 0, Role.UPLOAD, 0, 32, frames, "stamp", "/a.mp4", 1.5)
    return DescribedSegment(row, VideoDescriptor(np.arange(frames) / 3, vectors[1:]), vectors[0])


def frames_of(cache: DescriptorCache) -> np.ndarray:
    return cache.get_many([KEY])[KEY].descriptor.frames


def test_gives_back_what_was_put_to_half_precision(cache: DescriptorCache) -> None:
    put = segment(1)
    cache.put_many([put])
    found = cache.get_many([KEY, SegmentKey("default", "never:0")])

    assert list(found) == [KEY]
    assert found[KEY].row == put.row
    np.testing.assert_allclose(found[KEY].vector, put.vector, atol=1e-3)
    np.testing.assert_array_equal(found[KEY].descriptor.timestamps_s, put.descriptor.timestamps_s)
    np.testing.assert_allclose(found[KEY].descriptor.frames, put.descriptor.frames, atol=1e-3)
    assert found[KEY].descriptor.frames.dtype == np.float32


def test_what_is_put_last_counts(cache: DescriptorCache) -> None:
    cache.put_many([segment(1, frames=9)])
    cache.put_many([segment(2, frames=3)])
    np.testing.assert_allclose(frames_of(cache), segment(2, frames=3).descriptor.frames, atol=1e-3)


def test_tenants_never_see_each_other(cache: DescriptorCache) -> None:
    cache.put_many([segment(1, tenant="theirs")])
    assert cache.get_many([SegmentKey("ours", "a:0")]) == {}


def test_what_is_discarded_is_gone(cache: DescriptorCache) -> None:
    other = SegmentKey("default", "b:0")
    cache.put_many([segment(1), segment(2, asset_id="b")])
    cache.discard([KEY, SegmentKey("default", "never:0")])
    assert list(cache.get_many([KEY, other])) == [other]


def test_nobody_can_change_what_is_cached(cache: DescriptorCache) -> None:
    put = segment(1)
    cache.put_many([put])
    frames_of(cache)[:] = 0
    np.testing.assert_allclose(frames_of(cache), put.descriptor.frames, atol=1e-3)


def test_a_segment_without_frames_can_be_cached(cache: DescriptorCache) -> None:
    cache.put_many([segment(1, frames=0)])
    assert len(frames_of(cache)) == 0


def test_nothing_asked_is_nothing_found(cache: DescriptorCache) -> None:
    cache.put_many([])
    cache.discard([])
    assert cache.get_many([]) == {}


def test_what_was_discarded_can_be_put_again(cache: DescriptorCache) -> None:
    cache.put_many([segment(1)])
    cache.discard([KEY])
    cache.put_many([segment(2)])
    np.testing.assert_allclose(frames_of(cache), segment(2).descriptor.frames, atol=1e-3)


def test_memory_forgets_what_was_not_used_for_longest() -> None:
    one_bytes = 4 * (DIMENSION * 2 + 8) + DIMENSION * 4
    cache = MemoryCache(max_bytes=3 * one_bytes)
    segments = [segment(1, asset_id=f"a{number}") for number in range(4)]
    keys = [one.row.key for one in segments]
    cache.put_many(segments[:3])
    cache.get_many([keys[0]])
    cache.put_many([segments[3]])
    assert list(cache.get_many(keys)) == [keys[0], keys[2], keys[3]]


def test_memory_does_not_take_what_is_larger_than_itself() -> None:
    cache = MemoryCache(max_bytes=250)
    cache.put_many([segment(1, frames=1)])
    assert len(frames_of(cache)) == 1
    cache.put_many([segment(2, frames=9)])
    assert cache.get_many([KEY]) == {}
