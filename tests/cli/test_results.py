"""What a scan reports: one row a pair, problems, and the output file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from services.backends.memory.index import MemoryIndex
from services.cli.files import VideoFile
from services.cli.results import (
    PairRow,
    Problem,
    Results,
    clock,
    intervals_text,
    open_output,
    print_results,
)
from services.contracts.errors import UsageError
from services.contracts.events import AssetVerdict
from tests.cli.found import INTERVAL, NOW, alert
from tests.descriptors import described, work

A, B, C = VideoFile("/clips/a.mp4"), VideoFile("/clips/b.mp4"), VideoFile("/clips/c.mp4")
EMPTY = MemoryIndex(model_version="v")


def verdict(file: VideoFile, kind: str, reason: str | None = None) -> AssetVerdict:
    return AssetVerdict.model_validate(
        {
            "asset_id": file.asset_id,
            "verdict": kind,
            "reason": reason,
            "alert_ids": (),
            "segments_described": 0,
            "segments_undecidable": 0,
            "segments_failed": 0,
            "decided_at": NOW,
        }
    )


def pairs(results: Results) -> list[tuple[str, str, float]]:
    return [(pair.query, pair.reference, pair.alert.score) for pair in results.pairs(EMPTY, "default")]


def test_the_last_revision_counts_and_pairs_come_best_first() -> None:
    results = Results([A, B, C], None)
    for one in (alert(B, A, 0.6), alert(C, A, 0.8), alert(B, A, 0.9, revision=2)):
        results.add(one)
    assert pairs(results) == [(B.path, A.path, 0.9), (C.path, A.path, 0.8)]


def test_two_alerts_of_one_pair_are_one_row_of_the_higher_score() -> None:
    results = Results([A, B], None)
    results.add(alert(B, A, 0.7, finder="b"))
    results.add(alert(B, A, 0.8, finder="a"))
    assert pairs(results) == [(B.path, A.path, 0.8)]


def test_with_references_only_their_pairs_are_rows() -> None:
    results = Results([B, C], [A])
    for one in (alert(B, A, 0.9), alert(C, B, 0.9)):
        results.add(one)
    assert pairs(results) == [(B.path, A.path, 0.9)]


def test_files_that_failed_or_show_nothing_are_told_apart() -> None:
    results = Results([A, B, C], None)
    results.add(verdict(A, "failed", "the file is empty"))
    results.add(verdict(B, "undecidable"))
    results.add(verdict(C, "unique"))
    assert [(one.path, one.failed) for one in results.problems] == [(A.path, True), (B.path, False)]
    assert results.problems[0].reason == "the file is empty"


def test_the_output_has_one_object_a_line_with_paths_as_given(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with open_output(path, "--output") as write:
        write(
            row.to_json() + "\n"
            for row in (PairRow("q.mp4", "é.mp4", 0.5, (INTERVAL,)), PairRow("q.mp4", "b.mp4", 0.4, ()))
        )
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {"query": "q.mp4", "reference": "é.mp4", "score": 0.5, "intervals": [INTERVAL.model_dump()]}
    assert set(first["intervals"][0]) == {
        "query_start_s",
        "query_end_s",
        "reference_start_s",
        "reference_end_s",
        "score",
    }
    assert second["intervals"] == []


def test_an_output_survives_a_run_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("earlier results\n")
    with pytest.raises(RuntimeError, match="boom"), open_output(path, "--output"):
        raise RuntimeError("boom")
    assert path.read_text() == "earlier results\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="cannot write --output"),
        open_output(tmp_path / "none" / "out.jsonl", "--output"),
    ):
        pytest.fail("the work must not begin")
    with pytest.raises(UsageError, match=r"cannot write --report .*Is a directory"), open_output(tmp_path, "--report"):
        pytest.fail("the work must not begin")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (9.6, "0:10"), (61, "1:01"), (3725, "1:02:05")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_intervals_for_people() -> None:
    assert intervals_text([INTERVAL, INTERVAL]) == "0:00-0:10 = 1:05-1:15\n0:00-0:10 = 1:05-1:15"


def test_pairs_of_which_neither_was_asked_about_are_no_rows() -> None:
    results = Results([A], None)
    results.add(alert(C, B, 0.9))
    assert results.pairs(EMPTY, "default") == []


def test_a_file_of_an_earlier_run_is_named_while_it_is_there(tmp_path: Path) -> None:
    there, gone = VideoFile(str(tmp_path / "there.mp4")), VideoFile(str(tmp_path / "gone.mp4"))
    Path(there.path).touch()
    index = MemoryIndex(model_version="v")
    for file in (there, gone):
        segment = described(file.asset_id, 0, work(1))
        index.store([replace(segment, row=replace(segment.row, uri=file.uri))])
    results = Results([A], None)
    results.add(alert(A, there, 0.9))
    results.add(alert(A, gone, 0.8))
    assert [(pair.query, pair.reference) for pair in results.pairs(index, "default")] == [(A.path, there.path)]


def test_an_output_goes_where_a_link_points_and_keeps_its_mode(tmp_path: Path) -> None:
    real, link = tmp_path / "real.jsonl", tmp_path / "link.jsonl"
    real.write_text("old\n")
    real.chmod(0o640)
    link.symlink_to(real)
    with open_output(link, "--output") as write:
        write(["one", "two\n"])
    assert link.is_symlink()
    assert real.read_text() == "onetwo\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [link, real]


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with open_output(Path("-"), "--output") as write:
        write(["one", "two\n"])
    assert capsys.readouterr().out == "onetwo\n"


def test_brackets_in_names_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_results([PairRow("[red]a[/b].mp4", "b.mp4", 0.5, ())], [Problem("[c].mp4", "empty")])
    shown = capsys.readouterr().out
    assert "[red]a[/b].mp4" in shown
    assert "[c].mp4" in shown
