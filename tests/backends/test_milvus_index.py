"""What is special about Milvus: files that do not open, crashes, servers that do not answer, ids in filters."""

import gc
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from services.backends.milvus_index import MilvusIndex
from services.contracts.errors import DependencyDown, UsageError
from services.contracts.events import Role
from services.contracts.ports import DescribedSegment, SegmentRow
from tca_model.types import FloatArray, VideoDescriptor

DIMENSION = 16
REPOSITORY = Path(__file__).parents[2]


def open_index(path: Path, *, model_version: str = "v1") -> MilvusIndex:
    return MilvusIndex(str(path), model_version=model_version, dimension=DIMENSION)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def index(path: Path) -> Iterator[MilvusIndex]:
    opened = open_index(path)
    yield opened
    opened.close()


def described(asset_id: str, *, frames: int = 3, seed: int = 0, stamp: str = "first", **ids: str) -> DescribedSegment:
    row = SegmentRow(
        tenant=ids.get("tenant", "default"),
        asset_id=asset_id,
        segment_index=0,
        role=Role.UPLOAD,
        start_s=0,
        end_s=32,
        frame_count=frames,
        stamp=stamp,
        uri="file:///a.mp4",
        uploaded_at=0,
    )
    vectors = unit(seed, frames + 1)
    return DescribedSegment(row, VideoDescriptor(np.arange(frames, dtype=np.float64), vectors[1:]), vectors[0])


def unit(seed: int, count: int) -> FloatArray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Crash(Exception):
    """The process ends here."""


def crash_at(monkeypatch: pytest.MonkeyPatch, method: str, collection: str) -> None:
    whole: Callable[..., object] = getattr(MilvusClient, method)

    def call(self: MilvusClient, name: str, *args: object, **kwargs: object) -> object:
        if name == collection:
            raise Crash
        return whole(self, name, *args, **kwargs)

    monkeypatch.setattr(MilvusClient, method, call)


def test_frames_without_a_segment_row_are_not_read(index: MilvusIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = described("a")
    with monkeypatch.context() as patch:
        crash_at(patch, "upsert", "segments_v1")
        with pytest.raises(Crash):
            index.store([segment])

    assert index.assets("default") == []
    assert index.read([segment.row.key]) == {}
    index.store([segment])
    assert len(index.read([segment.row.key])[segment.row.key].descriptor) == 3


@pytest.mark.parametrize(("method", "collection"), [("upsert", "segments_v1"), ("delete", "frames_v1")])
@pytest.mark.parametrize(("before", "after"), [(5, 3), (3, 5), (3, 3)])
def test_a_replacement_that_crashed_is_never_read_as_a_mix(
    index: MilvusIndex,
    monkeypatch: pytest.MonkeyPatch,
    before: int,
    after: int,
    method: str,
    collection: str,
) -> None:
    old = described("a", seed=1, frames=before, stamp="old")
    new = described("a", seed=2, frames=after, stamp="new")
    index.store([old])
    with monkeypatch.context() as patch:
        crash_at(patch, method, collection)
        if method == "upsert" or before > after:
            with pytest.raises(Crash):
                index.store([new])
            assert index.read([new.row.key]) == {}
            assert index.assets("default") == [old.row]

    index.store([new])
    np.testing.assert_array_equal(index.read([new.row.key])[new.row.key].descriptor.frames, new.descriptor.frames)
    found = index.search_frames("default", unit(1, 1), exclude_asset="asking", limit=99)[0]
    assert len(found) == after


def test_a_segment_with_a_lost_frame_is_not_read(index: MilvusIndex) -> None:
    whole, torn = described("whole", seed=1), described("torn", seed=2)
    index.store([whole, torn])
    index._milvus.delete("frames_v1", ["default|torn:0|1"])
    assert set(index.read([whole.row.key, torn.row.key])) == {whole.row.key}


def test_delete_finds_frames_that_lost_their_segment(index: MilvusIndex) -> None:
    index.store([described("a")])
    index._milvus.delete("segments_v1", ["default|a:0"])
    index.delete("default", "a")
    assert index.search_frames("default", unit(1, 1), exclude_asset="asking", limit=9) == [[]]


@pytest.mark.parametrize("name", ['" or tenant != "', 'a"', "a|b", "a b", "", "ä", "a" * 151])
def test_an_id_that_could_change_a_filter_is_refused(index: MilvusIndex, name: str) -> None:
    vectors = unit(0, 1)
    for call in (
        lambda: index.assets(name),
        lambda: index.assets("default", [name]),
        lambda: index.search_frames(name, vectors, exclude_asset="a", limit=1),
        lambda: index.search_segments("default", vectors, exclude_asset=name, limit=1),
        lambda: index.delete("default", name),
        lambda: index.store([described(name)]),
        lambda: index.store([described("a", tenant=name)]),
    ):
        with pytest.raises(ValueError, match="not an id"):
            call()


@pytest.mark.parametrize("version", ["", "a-b", "v1;drop", "ä"])
def test_a_model_version_must_fit_into_a_collection_name(path: Path, version: str) -> None:
    with pytest.raises(ValueError, match="collection names"):
        open_index(path, model_version=version)


def test_model_versions_never_meet(path: Path) -> None:
    assert MilvusIndex.model_versions(str(path)) == set()
    assert not path.exists()
    old = open_index(path, model_version="old")
    old.store([described("a")])
    old.close()

    new = open_index(path, model_version="new")
    assert new.assets("default") == []
    new.close()
    assert MilvusIndex.model_versions(str(path)) == {"old", "new"}


def test_a_closed_index_leaves_no_thread_and_opens_again(path: Path) -> None:
    before = set(threading.enumerate())
    segment = described("a")
    for number in range(2):
        index = open_index(path)
        index.store([segment])
        assert index.assets("default") == [segment.row], number
        index.close()
    del index
    gc.collect()
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before


def test_pymilvus_logs_where_the_program_logs() -> None:
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
        MilvusIndex.model_versions(str(path))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").touch()
    with pytest.raises(UsageError, match="folder of something else"):
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
    index.store([described("a")])
    index.close()
    damaged = list(path.glob(pattern))
    assert damaged
    for file in damaged:
        file.write_bytes(b"\x00damage")
    with pytest.raises(UsageError, match="damaged"):
        open_index(path)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_server_that_is_not_there_is_down() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(DependencyDown, match="does not answer"):
            MilvusIndex(uri, model_version="v1", dimension=DIMENSION, timeout_s=1)


def test_a_server_that_does_not_answer_is_down() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(DependencyDown, match="does not answer"):
            MilvusIndex(uri, model_version="v1", dimension=DIMENSION, timeout_s=1)
        assert time.monotonic() - started < 10


WRITER = """
import sys
sys.path.insert(0, "tests/backends")
from pathlib import Path
from test_milvus_index import described, open_index
index = open_index(Path(sys.argv[1]))
for number in range(10_000):
    index.store([described(f"a{number}", frames=60, seed=number)])
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.integration
def test_what_was_acknowledged_survives_a_kill(path: Path) -> None:
    """Killed before the first flush, in the log alone, and again after some, in files and log."""
    acknowledged = 0
    for kill_after in (5, 60):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                acknowledged = int(line) + 1
                if acknowledged >= kill_after:
                    writer.send_signal(signal.SIGKILL)
                    break
            for line in writer.stdout:
                if line.endswith("\n"):
                    acknowledged = int(line) + 1

        index = open_index(path)
        expected = [described(f"a{number}", frames=60, seed=number) for number in range(acknowledged)]
        assert {one.row.asset_id for one in expected} <= {row.asset_id for row in index.assets("default")}
        read = index.read([one.row.key for one in expected])
        for one in expected:
            np.testing.assert_array_equal(read[one.row.key].descriptor.frames, one.descriptor.frames)
        last = expected[-1]
        nearest = index.search_frames("default", last.descriptor.frames, exclude_asset="asking", limit=1)
        assert {found[0].asset_id for found in nearest} == {last.row.asset_id}
        index.close()
