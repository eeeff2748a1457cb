"""A Redis for each test, and caches of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from services.backends.redis.cache import RedisCache
from tests.backends.redis.cases import MakeCache
from tests.servers.fixtures import StartServer
from tests.servers.redis_server import RedisServer


@pytest.fixture
def server(start_server: StartServer, tmp_path: Path) -> RedisServer:
    return start_server(RedisServer(tmp_path / "redis"))


@pytest.fixture
def admin(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.address, retry=None) as client:
        yield client


@pytest.fixture
def make_cache(server: RedisServer) -> Iterator[MakeCache]:
    make = MakeCache(server.address)
    yield make
    make.close()


@pytest.fixture
def cache(make_cache: MakeCache) -> RedisCache:
    return make_cache()
