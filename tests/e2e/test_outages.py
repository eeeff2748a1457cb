"""An outage of a backend costs time but no alert: nothing is dead-lettered, and work resumes by itself."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.contracts import topics
from tests.e2e.cluster import Cluster, Service, wait_for
from tests.e2e.conftest import COPIES, ORIGINALS
from tests.servers.fixtures import start_or_skip
from tests.servers.milvus_server import MilvusServer
from tests.servers.process import Backend
from tests.servers.redis_server import RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

OUTAGE_S = 20
NAMES = [f"original-{n}" for n in range(ORIGINALS)] + ["copy-crop", "copy-flip", "copy-recompress", "copy-letterbox"]
EXPECTED = {frozenset((name, f"original-{COPIES[name][0]}")) for name in NAMES if name in COPIES}


@pytest.fixture(scope="module")
def fragile(
    tmp_path_factory: pytest.TempPathFactory, module_kafka: Backend, clips: Path
) -> Iterator[tuple[Cluster, Service, Service, RedisServer, MilvusServer]]:
    """The services over a Redis and a Milvus that tests can stop."""
    redis = start_or_skip(RedisServer(tmp_path_factory.mktemp("redis")))
    milvus = start_or_skip(MilvusServer(tmp_path_factory.mktemp("milvus")))
    cluster = Cluster(module_kafka, redis, milvus, clips, tenant=f"t{uuid4().hex}")
    ingest, matcher, _ = cluster.start_all()
    yield cluster, ingest, matcher, redis, milvus
    cluster.close()
    milvus.stop()
    redis.stop()


Fragile = tuple[Cluster, Service, Service, RedisServer, MilvusServer]


def with_tenant(fragile: Fragile, tenant: str) -> Cluster:
    """The same services, seen by another tenant."""
    cluster = fragile[0]
    return Cluster(cluster.kafka, cluster.redis, cluster.milvus, cluster.folder, tenant=f"{cluster.tenant}-{tenant}")


def has_no_dead_letters(cluster: Cluster) -> bool:
    return not any(
        cluster.messages(topic + topics.DEAD_LETTER_SUFFIX)
        for topic in (topics.VIDEO_SEGMENTS, topics.ENCODED_SEGMENTS, topics.MATCH_EVIDENCE)
    )


def flush(redis: RedisServer) -> None:
    with socket.create_connection(("127.0.0.1", redis.port), timeout=5) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(64) == b"+OK\r\n"


def test_alerts_are_the_same_without_redis(fragile: Fragile, clips: Path) -> None:
    _, _, matcher, redis, _ = fragile
    cluster = with_tenant(fragile, "redis")
    originals, copies = NAMES[:ORIGINALS], NAMES[ORIGINALS:]
    cluster.publish([cluster.upload(name, clips / f"{name}.mp4") for name in originals])
    cluster.wait_for_verdicts(originals)
    flush(redis)
    cluster.publish([cluster.upload(name, clips / f"{name}.mp4") for name in copies[:2]])
    wait_for(lambda: cluster.verdicts().keys() & set(copies), "matching has begun")
    redis.stop()
    cluster.publish([cluster.upload(name, clips / f"{name}.mp4") for name in copies[2:]])
    cluster.wait_for_verdicts(NAMES)
    assert cluster.pairs() >= EXPECTED
    assert has_no_dead_letters(cluster)
    assert matcher.get("/readyz")[0] == 200, "readiness does not depend on Redis"
    exposed = matcher.get("/metrics")[1]
    assert 'copydetect_dependency_up{dependency="redis"} 0.0' in exposed
    redis.start()


def test_everything_waits_while_milvus_is_down(fragile: Fragile, clips: Path) -> None:
    _, ingest, matcher, _, milvus = fragile
    cluster = with_tenant(fragile, "milvus")
    first, rest = NAMES[:2], NAMES[2:]
    cluster.publish([cluster.upload(name, clips / f"{name}.mp4") for name in first])
    cluster.wait_for_verdicts(first)
    milvus.stop()
    stopped = time.monotonic()
    cluster.publish([cluster.upload(name, clips / f"{name}.mp4") for name in rest])
    wait_for(lambda: not ingest.is_ready(), "ingest is not ready")
    assert "Milvus" in ingest.get("/readyz")[1]
    assert ingest.get("/livez")[0] == matcher.get("/livez")[0] == 200, "a restart would not help"
    wait_for(lambda: "copydetect_consumption_paused 1.0" in ingest.get("/metrics")[1], "consumption is paused")
    time.sleep(max(0.0, OUTAGE_S - (time.monotonic() - stopped)))
    assert cluster.verdicts().keys() == set(first)
    milvus.start()
    cluster.wait_for_verdicts(NAMES)
    assert cluster.pairs() >= EXPECTED
    assert has_no_dead_letters(cluster)
    wait_for(ingest.is_ready, "ingest is ready again")
    wait_for(lambda: cluster.lag("ingest", topics.VIDEO_SEGMENTS) == 0, "everything is committed")
