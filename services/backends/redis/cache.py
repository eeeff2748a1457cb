"""The descriptor cache in Redis. A slow, missing or wrong server costs no more than a cache miss.

A fault of the server is a miss, never an error. Calls time out soon, and after a few failures the server is not called
for a while (`Circuit`). Keys contain the content, so nothing has to be deleted in time: what was replaced is never
asked for again, and expires.
"""

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import redis
import structlog

from services.backends.redis.circuit import Circuit
from services.backends.redis.codec import decode, encode
from services.contracts.errors import UsageError
from services.contracts.segments import DescribedSegment, SegmentKey
from services.runtime import metrics

TIMEOUT_S = 0.2  # reading a hundred segments takes 15 ms
CHUNK_BYTES = 2 * 2**20  # during one command the server serves no other client
TYPICAL_BYTES = 64 * 2**10  # 32 frames of 1024 dimensions
PROGRESS_TTL_S = 24 * 3600  # an interrupted file goes on when the next worker is up; a day leaves time for a repair
TTL_JITTER = 0.1  # keys that were written together must not expire together

log = structlog.get_logger(__name__)


class _Unavailable(Exception):
    """The call failed or was not made; `result` is its label in the metric."""

    def __init__(self, result: str) -> None:
        super().__init__(result)
        self.result = result


class RedisCache:
    """A DescriptorCache for one model version, which is part of every key. For one thread."""

    def __init__(
        self,
        url: str,
        *,
        model_version: str,
        ttl_s: float,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        """Connects on first use. Raises UsageError for an invalid URL."""
        try:
            self._client = redis.Redis.from_url(
                url,
                username=username,
                password=password,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                retry=None,  # the default is ten times, 40 s in total
                protocol=2,  # version 3 is not needed, and its handshake requires more rights
            )
        except ValueError as error:
            raise UsageError(f"COPYDETECT_REDIS_URL: {error}") from error
        self._prefix = f"fd:{model_version}:"
        self._ttl_s = ttl_s
        self._circuit = Circuit()
        self._typical_bytes = float(TYPICAL_BYTES)
        self._is_up: bool | None = None

    def get_many(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        found: dict[SegmentKey, DescribedSegment] = {}
        left = dict.fromkeys(keys)
        try:
            while left:
                chunk = list(islice(left, max(1, int(CHUNK_BYTES / self._typical_bytes))))
                values = self._call(self._client.mget, [self._name(key) for key in chunk])
                for key, value in zip(chunk, values, strict=True):
                    del left[key]
                    if (segment := _parse(key, value)) is not None:
                        found[key] = segment
                self._estimate_size([len(value) for value in values if value is not None])
        except _Unavailable as reason:
            metrics.cache_requests.labels(reason.result).inc(len(left))
        return found

    def put_many(self, segments: Iterable[DescribedSegment]) -> None:
        if self._circuit.is_open:
            return
        with suppress(_Unavailable):  # segments that are not cached are read from the index again
            for chunk in self._chunks(segments):
                self._call(self._set, chunk)

    def discard(self, keys: Collection[SegmentKey]) -> None:
        if not keys:
            return
        try:
            self._call(self._client.delete, *map(self._name, keys))
        except _Unavailable as reason:
            log.warning("segments of a removed asset stay in the cache until they expire", result=reason.result)

    def get_progress(self, key: SegmentKey) -> bytes | None:
        with suppress(_Unavailable):
            value: bytes | None = self._call(self._client.get, self._progress_name(key))
            return value
        return None

    def put_progress(self, key: SegmentKey, progress: bytes) -> None:
        with suppress(_Unavailable):
            self._call(self._client.set, self._progress_name(key), progress, ex=PROGRESS_TTL_S)

    def discard_progress(self, key: SegmentKey) -> None:
        with suppress(_Unavailable):
            self._call(self._client.delete, self._progress_name(key))

    def problems(self) -> list[str]:
        """What is wrong with the server, one sentence per problem. For any thread; also sets its metric."""
        try:
            memory = self._client.info("memory")
        except redis.exceptions.NoPermissionError:  # a user that may do what a cache needs, and no more
            memory = {"maxmemory": 0}
        except redis.RedisError as error:
            self._report(is_up=False, reason=str(error))
            return [f"does not answer: {error}"]
        self._report(is_up=True)
        if memory["maxmemory"] and memory["maxmemory_policy"] == "noeviction":
            return ["refuses writes when its memory is full: set maxmemory-policy to allkeys-lfu"]
        return []

    def close(self) -> None:
        self._client.close()

    def _name(self, key: SegmentKey) -> str:
        return f"{self._prefix}{key.tenant}:{key.segment_id}:{key.content}"

    def _progress_name(self, key: SegmentKey) -> str:
        return f"{self._name(key)}:progress"

    def _call(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Make the call, and return its result. Raises only _Unavailable."""
        if not self._circuit.allow():
            raise _Unavailable("skipped")
        try:
            result = call(*args, **options)
        except redis.RedisError as error:
            self._circuit.record_failure()
            self._report(is_up=False, reason=str(error))
            raise _Unavailable("error") from error
        self._circuit.record_success()
        self._report(is_up=True)
        return result

    def _chunks(self, segments: Iterable[DescribedSegment]) -> Iterator[dict[str, bytes]]:
        chunk: dict[str, bytes] = {}
        for segment in segments:
            value = encode(segment)
            if chunk and sum(map(len, chunk.values())) + len(value) > CHUNK_BYTES:
                yield chunk
                chunk = {}
            chunk[self._name(segment.row.key)] = value
        if chunk:
            yield chunk

    def _set(self, values: Mapping[str, bytes]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for name, value in values.items():
            ttl_s = self._ttl_s * random.uniform(1 - TTL_JITTER, 1 + TTL_JITTER)
            pipeline.set(name, value, px=max(1, int(1000 * ttl_s)))
        pipeline.execute()

    def _estimate_size(self, sizes_bytes: Collection[int]) -> None:
        """Adapt the estimated size of a value, for the next chunk."""
        if sizes_bytes:
            self._typical_bytes = (self._typical_bytes + max(sizes_bytes)) / 2

    def _report(self, *, is_up: bool, reason: str | None = None) -> None:
        metrics.dependency_up.labels("redis").set(is_up)
        if is_up and self._is_up is False:
            log.info("Redis answers again")
        elif not is_up and self._is_up is not False:
            log.warning("Redis does not answer; continuing without the cache", reason=reason)
        self._is_up = is_up


def _parse(key: SegmentKey, value: bytes | None) -> DescribedSegment | None:
    """The segment in a value; None for a missing or wrong value. Counts the outcome."""
    if value is None:
        metrics.cache_requests.labels("miss").inc()
        return None
    try:
        segment = decode(value)
        if segment.row.key != key:
            raise ValueError(f"it belongs to {segment.row.key}")
    except ValueError as error:
        metrics.cache_requests.labels("error").inc()
        log.warning("a cached value cannot be read", key=key, reason=str(error))
        return None
    metrics.cache_requests.labels("hit").inc()
    return segment
