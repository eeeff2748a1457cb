"""What only a real Milvus server shows: writes of other clients, outages, settings of collections."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from services.backends.milvus import client as milvus_client
from services.backends.milvus.index import PROBE_TTL_S, MilvusIndex
from services.contracts.errors import DependencyDown, TransientError
from services.contracts.events import Role
from services.contracts.segments import DescribedSegment
from tests.contracts.index_cases import DIMENSION, make_segment, request_for
from tests.servers.fixtures import StartServer
from tests.servers.milvus_server import MilvusServer
from tests.servers.process import Backend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

REPOSITORY = Path(__file__).parents[3]
TRIALS = 20


@pytest.fixture(scope="module")
def version() -> str:
    return f"v1_{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def index(milvus_server: Backend, version: str) -> Iterator[MilvusIndex]:
    opened = MilvusIndex(milvus_server.address, model_version=version, dimension=DIMENSION)
    yield opened
    opened.close()
    client = MilvusClient(milvus_server.address, dedicated=True)
    for collection in client.list_collections():
        if collection.endswith(version):
            client.drop_collection(collection)
    client.close()


@pytest.fixture
def raw(milvus_server: Backend) -> Iterator[MilvusClient]:
    client = MilvusClient(milvus_server.address, dedicated=True)
    yield client
    client.close()


def finds(index: MilvusIndex, segment: DescribedSegment, after: int | None) -> bool:
    nearest = index.search_segments(
        request_for(segment.vector[np.newaxis], tenant=segment.row.tenant, limit=1, after=after)
    )
    return bool(nearest[0]) and nearest[0][0].key == segment.row.key


# Stores one segment per line that it reads, and replies with the timestamp of the write.
WRITER = """
import sys
from services.backends.milvus.index import MilvusIndex
from tests.contracts.index_cases import DIMENSION, make_segment
index = MilvusIndex(sys.argv[1], model_version=sys.argv[2], dimension=DIMENSION)
sys.stdout.write("ready\\n")
sys.stdout.flush()
for line in sys.stdin:
    seed = int(line)
    sys.stdout.write(f"{index.store([make_segment(f'w{seed}', seed=seed, tenant='processes')])}\\n")
    sys.stdout.flush()
index.close()
"""


@pytest.fixture
def write_elsewhere(milvus_server: Backend, index: MilvusIndex) -> Iterator[Callable[[int], int]]:
    """Has another process store the segment of a seed, and returns the write's timestamp."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, milvus_server.address, index.model_version],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        stdin, stdout = writer.stdin, writer.stdout

        def write(seed: int) -> int:
            stdin.write(f"{seed}\n")
            stdin.flush()
            return int(stdout.readline())

        yield write
        stdin.close()


def test_a_reader_never_misses_what_another_process_wrote(
    index: MilvusIndex, raw: MilvusClient, write_elsewhere: Callable[[int], int]
) -> None:
    """The control shows that the test is not vacuous: with Milvus's default consistency such writes are missed."""
    missed = 0
    for seed in range(TRIALS):
        segment = make_segment(f"w{seed}", seed=seed, tenant="processes")
        written_at = write_elsewhere(seed)
        found = raw.search(
            f"segments2_{index.model_version}",
            [segment.vector],
            filter='tenant == "processes"',
            limit=1,
            consistency_level="Bounded",
        )
        missed += not (found[0] and found[0][0].id == f"processes|w{seed}:0|{segment.row.content}")
        assert finds(index, segment, after=written_at if seed % 2 else None), seed
    assert missed > 0


def test_the_timestamp_of_a_write_is_the_servers(index: MilvusIndex) -> None:
    """The upper bits are milliseconds of the server's clock, which is this machine's clock."""
    stamps = [index.store([make_segment("stamped", seed=seed, stamp=str(seed))]) for seed in range(3)]
    known = [stamp for stamp in stamps if stamp is not None]
    assert len(known) == 3
    assert known == sorted(set(known))
    assert known[-1] / 2**18 / 1000 == pytest.approx(time.time(), abs=10)


def test_probes_expire(index: MilvusIndex, raw: MilvusClient) -> None:
    for kind in ("segments2", "frames2"):
        probes = raw.describe_collection(f"probe_{kind}_{index.model_version}")
        assert probes["properties"]["collection.ttl.seconds"] == str(PROBE_TTL_S)
        found = raw.describe_collection(f"{kind}_{index.model_version}")
        assert "collection.ttl.seconds" not in found["properties"]


def test_all_rows_are_read_when_there_are_more_than_one_query_returns(
    index: MilvusIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = [make_segment(f"a{number:02}", frames=1, seed=number, tenant="many") for number in range(25)]
    stored += [make_segment("p", role=Role.PROBE, tenant="many")]
    index.store(stored)
    monkeypatch.setattr(milvus_client, "MAX_RESULT_ROWS", 10)
    assert index.read_rows("many") == [one.row for one in stored]


def test_a_released_collection_is_loaded_again(index: MilvusIndex, raw: MilvusClient) -> None:
    segment = make_segment("released", seed=7, tenant="released")
    index.store([segment])
    raw.release_collection(f"segments2_{index.model_version}")
    with pytest.raises(TransientError, match="is loading its collections"):
        finds(index, segment, after=None)
    assert until_it_works(lambda: finds(index, segment, after=None))


def test_erase_loads_the_released_collections_of_other_model_versions(
    milvus_server: Backend, index: MilvusIndex, raw: MilvusClient
) -> None:
    other = MilvusIndex(milvus_server.address, model_version=f"other_{index.model_version}", dimension=DIMENSION)
    segment = make_segment("erased", seed=1, tenant="erased")
    other.store([segment])
    raw.release_collection(f"segments2_{other.model_version}")
    index.erase("erased", "erased", before=2)
    assert until_it_works(lambda: other.read_rows("erased") == [])
    assert other.search_frames(request_for(segment.descriptor.frames, tenant="erased")) == [[]] * 3
    other.close()


def test_a_deletion_takes_more_rows_than_one_query_returns(index: MilvusIndex) -> None:
    large = make_segment("large", frames=milvus_client.MAX_RESULT_ROWS + 10, tenant="large")
    index.store([large])
    index.delete("large", "large", before=2)
    found = index.search_frames(request_for(large.descriptor.frames[:50], tenant="large"))
    assert not any(found)


def until_it_works(call: Callable[[], bool], *, within_s: float = 90) -> bool:
    """What the call returns once it raises no TransientError."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return call()
        except TransientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_an_index_survives_a_server_that_hangs_or_dies(start_server: StartServer, tmp_path: Path) -> None:
    seconds = 2
    server = start_server(MilvusServer(tmp_path / "milvus"))
    index = MilvusIndex(server.address, model_version="v1", dimension=DIMENSION, timeout_s=30)
    index._milvus._deadline["timeout"] = seconds  # creating the collections takes longer
    kept, later = make_segment("kept", seed=1), make_segment("later", seed=2)
    index.store([kept])

    def assert_down(at_least_s: float, at_most_s: float) -> None:
        calls: list[Callable[[], object]] = [lambda: finds(index, kept, after=None), lambda: index.store([later])]
        for call in calls:
            started = time.monotonic()
            with pytest.raises(DependencyDown):
                call()
            assert at_least_s <= time.monotonic() - started < at_most_s

    def works() -> bool:
        written_at = index.store([later])
        read = index.read([kept.row.key, later.row.key])
        return finds(index, kept, None) and finds(index, later, written_at) and len(read) == 2

    server.pause()
    assert_down(seconds - 0.5, seconds + 2)
    server.resume()
    assert until_it_works(works), server.log_text()[-2000:]

    server.kill()
    assert_down(0, seconds + 2)
    server.start()
    assert until_it_works(works), server.log_text()[-2000:]
    index.close()
