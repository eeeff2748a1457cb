"""What a scan reports: one row per pair, and problems."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from services.backends.memory.index import MemoryIndex
from services.cli.files import VideoFile
from services.cli.results import Results, clock, intervals_text, score_name
from services.contracts.events import AssetVerdict
from tca_model.matching.calibration import Calibration, Curve
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


def test_the_last_revision_counts_and_the_best_pair_is_first() -> None:
    results = Results([A, B, C], None)
    for one in (alert(B, A, 0.6), alert(C, A, 0.8), alert(B, A, 0.9, revision=2)):
        results.add(one)
    assert pairs(results) == [(B.path, A.path, 0.9), (C.path, A.path, 0.8)]


def test_two_alerts_on_one_pair_are_one_row_with_the_higher_score() -> None:
    results = Results([A, B], None)
    results.add(alert(B, A, 0.7, finder="b"))
    results.add(alert(B, A, 0.8, finder="a"))
    assert pairs(results) == [(B.path, A.path, 0.8)]


def test_with_references_only_pairs_with_them_are_rows() -> None:
    results = Results([B, C], [A])
    for one in (alert(B, A, 0.9), alert(C, B, 0.9)):
        results.add(one)
    assert pairs(results) == [(B.path, A.path, 0.9)]


def test_files_that_failed_are_distinguished_from_files_that_show_nothing() -> None:
    results = Results([A, B, C], None)
    results.add(verdict(A, "failed", "the file is empty"))
    results.add(verdict(B, "undecidable"))
    results.add(verdict(C, "unique"))
    assert [(one.path, one.failed) for one in results.problems] == [(A.path, True), (B.path, False)]
    assert results.problems[0].reason == "the file is empty"


def test_only_the_last_verdict_on_a_file_counts() -> None:
    results = Results([A], None)
    for kind in ("failed", "failed", "undecidable"):
        results.add(verdict(A, kind))
    assert [(one.path, one.failed) for one in results.problems] == [(A.path, False)]
    results.add(verdict(A, "unique"))
    assert results.problems == []


def test_a_withdrawn_alert_is_no_row() -> None:
    results = Results([A, B], None)
    results.add(alert(B, A, 0.9))
    results.add(alert(B, A, 0.0, revision=2).model_copy(update={"status": "withdrawn"}))
    assert pairs(results) == []


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (9.6, "0:10"), (61, "1:01"), (3725, "1:02:05")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_intervals_as_text() -> None:
    assert intervals_text([INTERVAL, INTERVAL]) == "0:00-0:10 = 1:05-1:15\n0:00-0:10 = 1:05-1:15"


def test_a_pair_without_any_query_is_not_a_row() -> None:
    results = Results([A], None)
    results.add(alert(C, B, 0.9))
    assert results.pairs(EMPTY, "default") == []


def test_a_file_of_an_earlier_run_is_named_while_it_exists(tmp_path: Path) -> None:
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


def test_a_row_has_both_scores_of_the_alert() -> None:
    results = Results([A, B], None)
    results.add(alert(B, A, 0.9).model_copy(update={"joined_score": 0.4}))
    (pair,) = results.pairs(EMPTY, "default")
    assert json.loads(pair.row.to_json()) == {
        "query": B.path,
        "reference": A.path,
        "score": 0.9,
        "joined_score": 0.4,
        "intervals": [INTERVAL.model_dump()],
    }


def test_the_score_of_an_alert_is_a_probability_if_the_bundle_is_calibrated() -> None:
    curve = Curve(slope=2, intercept=0)
    assert score_name(Calibration(alert_threshold=0.9, curve=curve, basis="a test")) == "probability"
    assert score_name(Calibration(alert_threshold=0.9, basis="a test")) == "joined score"
