"""Earlier decisions hold while the files, and everything else that decides on a match, stay unchanged."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.backends.memory.index import MemoryIndex
from services.cli.decided import Decided
from services.cli.files import VideoFile
from services.cli.scan import Scan
from services.contracts.events import Role
from services.contracts.segments import SegmentRow
from services.runtime.settings import Settings
from tests.cli.found import alert
from tests.descriptors import described, work

A, B, C = VideoFile("/a.mp4"), VideoFile("/b.mp4"), VideoFile("/c.mp4")
ALERT = alert(A, B, 0.9)


def row(file: VideoFile, stamp: str = "one", role: Role = Role.UPLOAD) -> SegmentRow:
    return replace(described(file.asset_id, 0, work(1)).row, stamp=stamp, role=role)


def test_a_second_scan_knows_what_the_first_decided(tmp_path: Path) -> None:
    db = tmp_path / "index.db"
    first = Decided.load(db, [row(A), row(B)], ["model", 0.9])
    assert (first.asset_ids, first.alerts) == (frozenset(), ())
    first.save([A.asset_id, B.asset_id], [ALERT])
    second = Decided.load(db, [row(A), row(B), row(C)], ["model", 0.9])
    assert (second.asset_ids, second.alerts) == (frozenset({A.asset_id, B.asset_id}), (ALERT,))
    assert [path.name for path in tmp_path.iterdir()] == ["index.db.decided.json"]


def test_changed_files_and_probes_are_searched_again(tmp_path: Path) -> None:
    db = tmp_path / "index.db"
    Decided.load(db, [row(A), row(B), row(C, role=Role.PROBE)], []).save([A.asset_id, B.asset_id, C.asset_id], [ALERT])
    again = Decided.load(db, [row(A), row(B, stamp="another"), row(C, role=Role.PROBE)], [])
    assert (again.asset_ids, again.alerts) == (frozenset({A.asset_id}), ())


def test_a_file_of_another_version_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "index.db.decided.json").write_text('{"version": 0}')
    assert Decided.load(tmp_path / "index.db", [row(A)], []).asset_ids == frozenset()


@pytest.mark.parametrize(
    ("change", "keeps"),
    [
        ({}, True),
        ({"describe_panels": False}, False),
        ({"evidence_share": 0.4}, False),
        ({"decode_workers": 3}, True),
    ],
)
def test_settings_that_decide_on_a_match_void_earlier_decisions(
    change: dict[str, object], keeps: bool, tmp_path: Path
) -> None:
    index = MemoryIndex(model_version="v")
    index.store([described(A.asset_id, 0, work(1))])
    before = Scan([A], None, Settings(), db=tmp_path / "index.db")
    before._load_decided(index, "v", 0.9).save([A.asset_id], [])
    after = replace(before, settings=Settings().model_copy(update=change))
    assert (after._load_decided(index, "v", 0.9).asset_ids == {A.asset_id}) is keeps
