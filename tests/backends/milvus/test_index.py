"""What is specific to Milvus: ids in filters, databases that do not open, servers that do not answer."""

import gc
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymilvus import DataType

from services.backends.milvus import rows as milvus_rows
from services.backends.milvus.index import MilvusIndex
from services.contracts.errors import DependencyDown, StorageFailed, UsageError
from services.contracts.events import Role
from services.contracts.segments import SegmentKey
from tests.backends.milvus.cases import open_index
from tests.contracts.index_cases import DIMENSION, make_segment, request_for
from tests.vectors import unit_rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def index(path: Path) -> Iterator[MilvusIndex]:
    opened = open_index(path)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", ['" or tenant != "', 'a"', "a|b", "a b", "", "ä", "a" * 151])
def test_an_id_that_could_change_a_filter_is_refused(index: MilvusIndex, name: str) -> None:
    vectors = unit_rows(0, 1)
    for call in (
        lambda: index.read_rows(name),
        lambda: index.read_rows("default", [name]),
        lambda: index.search_frames(request_for(vectors, tenant=name)),
        lambda: index.search_segments(request_for(vectors, exclude_asset=name)),
        lambda: index.search_frames(request_for(vectors, exclude_also=frozenset({name}))),
        lambda: index.delete("default", name, before=1),
        lambda: index.erase("default", name, before=1),
        lambda: index.read([SegmentKey("default", "a:0", name)]),
        lambda: index.store([make_segment(name)]),
        lambda: index.store([make_segment("a", tenant=name)]),
    ):
        with pytest.raises(ValueError, match="not an id"):
            call()


@pytest.mark.parametrize("version", ["", "a-b", "v1;drop", "ä"])
def test_a_model_version_must_fit_into_a_collection_name(path: Path, version: str) -> None:
    with pytest.raises(ValueError, match="collection names"):
        open_index(path, model_version=version)


def test_model_versions_never_meet(path: Path) -> None:
    assert MilvusIndex.list_model_versions(str(path)) == set()
    assert not path.exists()
    old = open_index(path, model_version="old")
    old.store([make_segment("a")])
    old.close()

    new = open_index(path, model_version="new")
    assert new.read_rows("default") == []
    new.close()
    assert MilvusIndex.list_model_versions(str(path)) == {"old", "new"}


def test_erase_spans_all_model_versions(path: Path) -> None:
    segments = [
        *(make_segment("a", role=role, seed=1) for role in Role),
        make_segment("a", stamp="later", generation=9, seed=1),
        make_segment("b", seed=1),
    ]
    old = open_index(path, model_version="old")
    old.store(segments)
    old.close()
    new = open_index(path, model_version="new")
    new.store(segments)
    new.erase("default", "a", before=9)
    new.close()
    for version in ("new", "old"):
        index = open_index(path, model_version=version)
        assert [row.stamp for row in index.read_rows("default", ["a"])] == ["later"], version
        assert len(index.read_rows("default", ["b"])) == 1, version
        found = index.search_frames(request_for(unit_rows(1, 1), limit=99))[0]
        assert {one.key for one in found} == {one.row.key for one in segments[-2:]}, version
        index.close()


def test_erase_leaves_out_collections_that_another_process_is_just_creating(index: MilvusIndex) -> None:
    client = index._milvus._client
    schema = client.create_schema(auto_id=False)
    schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=10)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    client.create_collection("segments2_unfinished", schema=schema)  # its index comes next
    index.store([make_segment("a")])
    index.erase("default", "a", before=2)
    assert index.read_rows("default") == []


def test_an_index_of_an_earlier_layout_is_never_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(milvus_rows, "SEGMENTS_PREFIX", "segments_")
        earlier.setattr(milvus_rows, "FRAMES_PREFIX", "frames_")
        index = open_index(path)
        index.store([make_segment("a")])
        index.close()
    assert MilvusIndex.list_model_versions(str(path)) == set()
    index = open_index(path)
    assert index.read_rows("default") == []
    index.close()


def test_a_closed_index_leaves_no_thread_and_opens_again(path: Path) -> None:
    before = set(threading.enumerate())
    segment = make_segment("a")
    for number in range(2):
        index = open_index(path)
        index.store([segment])
        assert index.read_rows("default") == [segment.row], number
        index.close()
    del index
    gc.collect()
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before


def test_pymilvus_logs_into_the_programs_log() -> None:
    assert logging.getLogger("pymilvus").propagate
    assert not logging.getLogger("pymilvus").handlers


def test_a_database_in_use_says_so(index: MilvusIndex, path: Path) -> None:
    assert index.model_version == "v1"
    with pytest.raises(UsageError, match="in use"):
        open_index(path)


def test_a_file_is_not_a_database(path: Path) -> None:
    path.write_bytes(b"SQLite format 3")
    with pytest.raises(UsageError, match="is a file"):
        open_index(path)
    with pytest.raises(UsageError, match="is a file"):
        MilvusIndex.list_model_versions(str(path))


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").touch()
    with pytest.raises(UsageError, match="folder with other files"):
        open_index(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["holiday.mp4"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        open_index(tmp_path / "missing" / "index.db")


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(UsageError, match="/proc"):  # not even root may
        open_index(Path("/proc/index.db"))


@pytest.mark.parametrize("pattern", ["collections/segments2_v1/schema.json", "**/*.parquet", "**/manifest.json*"])
def test_a_damaged_database_says_so(path: Path, pattern: str, caplog: pytest.LogCaptureFixture) -> None:
    index = open_index(path)
    index.store([make_segment("a")])
    index.close()
    damaged = list(path.glob(pattern))
    assert damaged
    for file in damaged:
        file.write_bytes(b"\x00damage")
    with pytest.raises(StorageFailed, match="damaged"):
        open_index(path)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_missing_server_is_down() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(DependencyDown, match="does not answer"):
            MilvusIndex(uri, model_version="v1", dimension=DIMENSION, timeout_s=1)


def test_a_server_that_does_not_answer_is_down() -> None:
    with socket.socket() as unresponsive:
        unresponsive.bind(("127.0.0.1", 0))
        unresponsive.listen()
        uri = f"http://127.0.0.1:{unresponsive.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(DependencyDown, match="does not answer"):
            MilvusIndex(uri, model_version="v1", dimension=DIMENSION, timeout_s=1)
        assert time.monotonic() - started < 10
