"""Servers for tests: one of each kind per test run, started when first needed, and private ones that a test may break.

A test whose server is not available here is skipped with the reason. An address in COPYDETECT_TEST_KAFKA,
COPYDETECT_TEST_REDIS or COPYDETECT_TEST_MILVUS is used instead of starting a server. Tests share these servers, so they
use unique names for topics, keys and collections.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pytest

from tests.servers.kafka_server import KafkaServer
from tests.servers.milvus_server import MilvusServer
from tests.servers.process import Backend, Server, Unavailable
from tests.servers.prometheus_server import find_promtool
from tests.servers.redis_server import RedisServer

ServerT = TypeVar("ServerT", bound=Server)


@dataclass(frozen=True)
class ExternalServer:
    """A running server that the tests neither start nor stop."""

    address: str


class StartServer(Protocol):
    """Starts a server for one test, and stops it after the test."""

    def __call__(self, server: ServerT) -> ServerT: ...


def start_or_skip(server: ServerT) -> ServerT:
    """Start the server and return it; skip the test if it is not available here."""
    try:
        server.start()
    except Unavailable as reason:
        pytest.skip(str(reason))
    return server


def share_server(kind: type[Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Yield the external server if its address is set, else one that runs until the generator is closed."""
    address = os.environ.get(f"COPYDETECT_TEST_{kind.name.upper()}")
    if address:
        yield ExternalServer(address)
        return
    server = kind(tmp_path_factory.mktemp(kind.name))
    try:
        yield start_or_skip(server)
    finally:
        server.kill()  # nobody needs what it would save during a clean stop
        # pytest keeps the folders of three runs, and Milvus fills 200 MB.
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The run's Kafka; its address is host:port."""
    yield from share_server(KafkaServer, tmp_path_factory)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The run's Redis; its address is redis://host:port."""
    yield from share_server(RedisServer, tmp_path_factory)


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The run's Milvus; its address is http://host:port."""
    yield from share_server(MilvusServer, tmp_path_factory)


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Starts servers for this test alone, which it may pause, kill and restart: start_server(RedisServer(folder))."""
    started: list[Server] = []

    def start(server: ServerT) -> ServerT:
        started.append(server)
        return start_or_skip(server)

    yield start
    for server in reversed(started):
        server.kill()
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def promtool() -> str:
    """The path of promtool, which checks Prometheus rules."""
    try:
        return find_promtool()
    except Unavailable as reason:
        pytest.skip(str(reason))
