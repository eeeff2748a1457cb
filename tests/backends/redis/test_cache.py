"""Whatever the server does, the cache answers soon, and raises nothing."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import redis
import structlog

from services.backends.redis import cache as redis_cache
from services.backends.redis import circuit
from services.backends.redis.cache import PROGRESS_TTL_S, RedisCache
from services.backends.redis.codec import encode
from services.contracts.errors import UsageError
from services.contracts.events import Role
from services.contracts.segments import DescribedSegment, SegmentKey, make_content
from tests.backends.redis.cases import MakeCache
from tests.descriptors import described, work
from tests.metric_values import metric_value
from tests.servers.redis_server import RedisServer

pytestmark = pytest.mark.integration

SLOW_S = 0.5  # a timeout, longer than the service's, so that a busy machine does not take as long by itself
SOON_S = 1.9 * SLOW_S  # one timeout, and not two
AT_ONCE_S = 0.02
CACHED = f"fd:v1:default:a0:0:{make_content('stamp', Role.UPLOAD)}"  # the first of `segments`


def segments(count: int, *, number: int = 1, frames: int = 32) -> list[DescribedSegment]:
    return [described(f"a{index}", 0, work(number, 0, frames)) for index in range(count)]


def keys_of(described_segments: Sequence[DescribedSegment]) -> list[SegmentKey]:
    return [segment.row.key for segment in described_segments]


def request_counts() -> dict[str, float]:
    results = ("hit", "miss", "error", "skipped")
    return {result: metric_value("copydetect_cache_requests_total", result=result) for result in results}


def count_requests(call: Callable[[], object]) -> dict[str, float]:
    """The number of requests that the call makes, by result."""
    before = request_counts()
    call()
    return {result: after - before[result] for result, after in request_counts().items() if after != before[result]}


def is_up() -> bool:
    return metric_value("copydetect_dependency_up", dependency="redis") == 1


def measure_s(call: Callable[[], object]) -> float:
    started_s = time.monotonic()
    call()
    return time.monotonic() - started_s


def open_circuit(cache: RedisCache) -> None:
    for _ in range(circuit.FAILURES):
        assert cache.get_many(keys_of(segments(1))) == {}


def test_keys_name_model_tenant_segment_and_content_and_expire_at_different_times(
    cache: RedisCache, admin: redis.Redis
) -> None:
    cache.put_many(segments(40))
    keys = sorted(admin.keys())
    assert keys[0] == CACHED.encode()
    ttls_s = [admin.pttl(key) / 1000 for key in keys]
    assert all(890 < ttl_s <= 1100 for ttl_s in ttls_s)
    assert max(ttls_s) - min(ttls_s) > 50


def test_models_never_meet(make_cache: MakeCache) -> None:
    make_cache(model_version="v1").put_many(segments(1))
    assert make_cache(model_version="v2").get_many(keys_of(segments(1))) == {}


def test_requests_are_counted(cache: RedisCache) -> None:
    stored = segments(3)
    cache.put_many(stored[:2])
    assert count_requests(lambda: cache.get_many(keys_of(stored))) == {"hit": 2, "miss": 1}
    assert is_up()


OTHER = encode(described("a0", 0, work(1), stamp="other"))


@pytest.mark.parametrize(
    "value",
    [b"", b"nonsense", encode(segments(1)[0])[:-1], encode(described("other", 0, work(1))), OTHER],
    ids=["empty", "nonsense", "short", "another-segment's", "other-content's"],
)
def test_a_wrong_value_is_a_miss(cache: RedisCache, admin: redis.Redis, value: bytes) -> None:
    stored = segments(2)
    cache.put_many(stored)
    admin.set(CACHED, value)
    found: list[dict[SegmentKey, DescribedSegment]] = []
    assert count_requests(lambda: found.append(cache.get_many(keys_of(stored)))) == {"hit": 1, "error": 1}
    assert list(found[0]) == [stored[1].row.key]
    cache.put_many(stored[:1])
    assert len(cache.get_many(keys_of(stored))) == 2


def test_a_key_of_another_type_is_a_miss(cache: RedisCache, admin: redis.Redis) -> None:
    admin.rpush(CACHED, "x")
    assert cache.get_many(keys_of(segments(1))) == {}


def test_many_segments_are_read_in_bounded_chunks(cache: RedisCache, admin: redis.Redis) -> None:
    stored = segments(400)  # 14 MB
    cache.put_many(stored)
    admin.config_resetstat()
    found = cache.get_many(keys_of(stored))
    assert found.keys() == set(keys_of(stored))
    stats = admin.info("commandstats")
    assert stats["cmdstat_mget"]["calls"] >= 7
    np.testing.assert_allclose(found[stored[399].row.key].descriptor.frames, stored[399].descriptor.frames, atol=1e-3)


def test_an_evicted_value_is_a_miss(cache: RedisCache, admin: redis.Redis) -> None:
    admin.config_set("maxmemory", "5mb")
    admin.config_set("maxmemory-policy", "allkeys-lfu")
    stored = segments(400)
    cache.put_many(stored)
    found = cache.get_many(keys_of(stored))
    assert 0 < len(found) < 200
    assert admin.info("stats")["evicted_keys"] > 200
    assert is_up()


def test_a_server_that_refuses_writes_raises_nothing(cache: RedisCache, admin: redis.Redis) -> None:
    admin.config_set("maxmemory", "1mb")
    admin.config_set("maxmemory-policy", "noeviction")
    cache.put_many(segments(100))
    assert not is_up()
    admin.config_set("maxmemory", "0")
    cache.put_many(segments(100))
    assert is_up()


def test_a_frozen_server_costs_one_timeout_and_then_nothing(
    make_cache: MakeCache, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_cache, "TIMEOUT_S", SLOW_S)
    cache = make_cache()
    stored = segments(100)
    cache.put_many(stored)
    server.pause()
    keys = keys_of(stored)
    assert measure_s(lambda: cache.get_many(keys)) < SOON_S
    assert measure_s(lambda: cache.put_many(stored)) < SOON_S
    assert measure_s(lambda: cache.discard(keys[:1])) < SOON_S
    open_circuit(cache)
    assert not is_up()
    for call in (lambda: cache.get_many(keys), lambda: cache.put_many(stored), lambda: cache.discard(keys[:1])):
        assert measure_s(call) < AT_ONCE_S
    assert count_requests(lambda: cache.get_many(keys)) == {"skipped": 100}


def test_a_server_that_comes_back_is_used_again(cache: RedisCache, server: RedisServer) -> None:
    stored = segments(3)
    cache.put_many(stored)
    server.kill()
    assert count_requests(lambda: cache.get_many(keys_of(stored))) == {"error": 3}
    open_circuit(cache)
    server.start()
    assert cache.get_many(keys_of(stored)) == {}, "no probe was due yet"
    time.sleep(circuit.PROBE_EVERY_S)
    cache.put_many(stored)
    assert cache.get_many(keys_of(stored)).keys() == set(keys_of(stored))
    assert is_up()


def test_a_removal_that_the_server_does_not_hear_of_is_a_warning(cache: RedisCache, server: RedisServer) -> None:
    stored = segments(3)
    cache.put_many(stored)
    with structlog.testing.capture_logs() as logs:
        cache.discard(keys_of(stored[:1]))
    assert logs == []
    assert list(cache.get_many(keys_of(stored))) == keys_of(stored[1:])
    server.pause()
    with structlog.testing.capture_logs() as logs:
        cache.discard(keys_of(stored[1:2]))
    assert [entry["log_level"] for entry in logs if "removed asset" in entry["event"]] == ["warning"]


def test_progress_expires_and_a_frozen_server_costs_little(
    cache: RedisCache, server: RedisServer, admin: redis.Redis
) -> None:
    [key] = keys_of(segments(1))
    cache.put_progress(key, b"here")
    assert admin.keys() == [f"{CACHED}:progress".encode()]
    assert 0 < admin.ttl(admin.keys()[0]) <= PROGRESS_TTL_S
    server.pause()
    assert measure_s(lambda: cache.get_progress(key)) < SOON_S
    assert cache.get_progress(key) is None
    assert measure_s(lambda: cache.put_progress(key, b"there")) < SOON_S
    assert measure_s(lambda: cache.discard_progress(key)) < SOON_S


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis://nobody.invalid:6379/0"])
def test_a_missing_server_raises_nothing(make_cache: MakeCache, url: str) -> None:
    cache = make_cache(url)
    cache.put_many(segments(1))
    cache.discard(keys_of(segments(1)))
    assert count_requests(lambda: cache.get_many(keys_of(segments(1)))) == {"error": 1}


def test_a_wrong_password_raises_nothing_and_a_right_one_is_used(make_cache: MakeCache, admin: redis.Redis) -> None:
    commands = ["+get", "+mget", "+set", "+del", "+ping"]
    admin.acl_setuser("app", enabled=True, passwords=["+s3cret"], keys=["fd:*"], commands=commands)
    stored = segments(2)
    right = make_cache(username="app", password="s3cret")
    right.put_many(stored)
    right.discard(keys_of(stored[:1]))
    assert len(right.get_many(keys_of(stored))) == 1
    assert make_cache(username="app", password="wrong").get_many(keys_of(stored)) == {}


def test_an_invalid_url_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="COPYDETECT_REDIS_URL"):
        RedisCache("redis://host:port/0", model_version="v1", ttl_s=1)
