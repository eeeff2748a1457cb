"""Servers for every test: one of a kind a test run, started when the first test asks, and private ones to break.

A test whose server cannot be had here is skipped with the reason. An address in COPYDETECT_TEST_KAFKA,
COPYDETECT_TEST_REDIS or COPYDETECT_TEST_MILVUS is used instead of starting one. Tests share what they find there, so
they use names of their own for topics, keys and collections.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pytest

from tests.servers import prometheus_server as prometheus_module
from tests.servers.kafka_server import KafkaServer
from tests.servers.milvus_server import MilvusServer
from tests.servers.process import Backend, Server, Unavailable
from tests.servers.redis_server import RedisServer

ServerT = TypeVar("ServerT", bound=Server)


@dataclass(frozen=True)
class Given:
    """A server that somebody else runs."""

    address: str


class StartServer(Protocol):
    """Starts a server of the test's own, in a folder of its own unless it has one, and stops it after the test."""

    def __call__(self, server: ServerT) -> ServerT: ...


def start_or_skip(server: ServerT) -> ServerT:
    try:
        server.start()
    except Unavailable as reason:
        pytest.skip(str(reason))
    return server


def shared(kind: type[Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    given = os.environ.get(f"COPYDETECT_TEST_{kind.name.upper()}")
    if given:
        yield Given(given)
        return
    server = kind(tmp_path_factory.mktemp(kind.name))
    try:
        yield start_or_skip(server)
    finally:
        server.kill()  # what it would save while it stops, nobody reads
        shutil.rmtree(
            server.folder, ignore_errors=True
        )  # pytest keeps the folders of three runs, and Milvus fills 200 MB


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The run's Kafka; its address is host:port."""
    yield from shared(KafkaServer, tmp_path_factory)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The run's Redis; its address is redis://host:port."""
    yield from shared(RedisServer, tmp_path_factory)


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The run's Milvus; its address is http://host:port."""
    yield from shared(MilvusServer, tmp_path_factory)


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Starts servers of this test alone, to be paused, killed and started again: start_server(RedisServer(folder))."""
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
    """Where Prometheus's checker of rules is."""
    try:
        return prometheus_module.promtool()
    except Unavailable as reason:
        pytest.skip(str(reason))
