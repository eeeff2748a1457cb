"""What is specific to Milvus: ids in filters, databases that do not open, servers that do not answer."""

import gc
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.backends.milvus import rows as milvus_rows
from services.backends.milvus.index import MilvusIndex
from services.contracts.errors import DependencyDown, StorageFailed, UsageError
from services.contracts.events import Role
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
        lambda: index.delete("default", name),
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


def test_references_stored_before_their_frames_were_marked_are_read_and_found(
    index: MilvusIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = make_segment("old", role=Role.REFERENCE)
    with monkeypatch.context() as earlier:
        earlier.setattr(milvus_rows, "REFERENCE_STAMP", "")
        index.store([segment])
    frames = segment.descriptor.frames

    assert len(index.read([segment.row.key])[segment.row.key].descriptor) == 3
    assert index.search_frames(request_for(frames))[0][0].asset_id == "old"
    assert index.search_frames(request_for(frames, references_only=True)) == [[], [], []]
    [[found]] = index.search_segments(request_for(segment.vector[np.newaxis], limit=1, references_only=True))
    assert found.asset_id == "old"


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


@pytest.mark.parametrize("pattern", ["collections/segments_v1/schema.json", "**/*.parquet", "**/manifest.json*"])
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
