"""Crashes of the Milvus index: an interrupted write is never read as a mix, and acknowledged writes survive."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from services.backends.milvus.index import MilvusIndex
from tests.backends.milvus.cases import open_index
from tests.contracts.index_cases import make_segment, request_for
from tests.vectors import unit_rows

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def index(path: Path) -> Iterator[MilvusIndex]:
    opened = open_index(path)
    yield opened
    opened.close()


class Crash(Exception):
    """The process ends here."""


def crash_at(monkeypatch: pytest.MonkeyPatch, method: str, collection: str) -> None:
    """Make this method of the client raise Crash for this collection."""
    whole: Callable[..., object] = getattr(MilvusClient, method)

    def call(self: MilvusClient, name: str, *args: object, **kwargs: object) -> object:
        if name == collection:
            raise Crash
        return whole(self, name, *args, **kwargs)

    monkeypatch.setattr(MilvusClient, method, call)


def test_frames_without_a_segment_row_are_not_read(index: MilvusIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = make_segment("a")
    with monkeypatch.context() as patch:
        crash_at(patch, "upsert", "segments2_v1")
        with pytest.raises(Crash):
            index.store([segment])

    assert index.read_rows("default") == []
    assert index.read([segment.row.key]) == {}
    index.store([segment])
    assert len(index.read([segment.row.key])[segment.row.key].descriptor) == 3


def test_there_is_no_row_while_frames_are_missing(index: MilvusIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        crash_at(patch, "upsert", "frames2_v1")
        with pytest.raises(Crash):
            index.store([make_segment("a")])
    assert index.read_rows("default") == []


@pytest.mark.parametrize(("before", "after"), [(5, 3), (3, 5), (3, 3)])
def test_a_replacement_that_crashed_leaves_the_old_content_whole(
    index: MilvusIndex, monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    old = make_segment("a", seed=1, frames=before, stamp="old")
    new = make_segment("a", seed=2, frames=after, stamp="new", generation=2)
    index.store([old])
    with monkeypatch.context() as patch:
        crash_at(patch, "upsert", "segments2_v1")
        with pytest.raises(Crash):
            index.store([new])
    read = index.read([old.row.key, new.row.key])
    assert read.keys() == {old.row.key}
    np.testing.assert_array_equal(read[old.row.key].descriptor.frames, old.descriptor.frames)
    assert index.read_rows("default") == [old.row]

    index.store([new])
    index.delete("default", "a", before=2)
    assert index.read([old.row.key, new.row.key]).keys() == {new.row.key}
    assert len(index.search_frames(request_for(unit_rows(1, 1), limit=99))[0]) == after


def test_a_segment_with_a_lost_frame_is_not_read(index: MilvusIndex) -> None:
    whole, torn = make_segment("whole", seed=1), make_segment("torn", seed=2)
    index.store([whole, torn])
    index._milvus.delete("frames2_v1", f'pk == "default|torn:0|{torn.row.content}|1"')
    assert set(index.read([whole.row.key, torn.row.key])) == {whole.row.key}


def test_a_deletion_that_crashed_leaves_no_row_without_frames(
    index: MilvusIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.store([make_segment("a")])
    with monkeypatch.context() as patch:
        crash_at(patch, "delete", "frames2_v1")
        with pytest.raises(Crash):
            index.delete("default", "a", before=2)
    assert index.read_rows("default") == []


@pytest.mark.parametrize("remove", ["delete", "erase"])
def test_frames_without_a_segment_row_are_deleted_too(index: MilvusIndex, remove: str) -> None:
    index.store([make_segment("a")])
    index._milvus.delete("segments2_v1", 'asset_id == "a"')
    assert index.search_frames(request_for(unit_rows(1, 1), limit=9)) != [[]]
    getattr(index, remove)("default", "a", before=2)
    assert index.search_frames(request_for(unit_rows(1, 1), limit=9)) == [[]]


WRITER = """
import sys
from pathlib import Path
from tests.backends.milvus.cases import open_index
from tests.contracts.index_cases import make_segment
index = open_index(Path(sys.argv[1]))
for number in range(10_000):
    index.store([make_segment(f"a{number}", frames=60, seed=number)])
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.integration
def test_acknowledged_writes_survive_a_kill(path: Path) -> None:
    """Killed once before the first flush, with everything in the log, and once after some, with files and log."""
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
        expected = [make_segment(f"a{number}", frames=60, seed=number) for number in range(acknowledged)]
        assert {one.row.asset_id for one in expected} <= {row.asset_id for row in index.read_rows("default")}
        read = index.read([one.row.key for one in expected])
        for one in expected:
            np.testing.assert_array_equal(read[one.row.key].descriptor.frames, one.descriptor.frames)
        last = expected[-1]
        nearest = index.search_frames(request_for(last.descriptor.frames, limit=1))
        assert {found[0].asset_id for found in nearest} == {last.row.asset_id}
        index.close()
