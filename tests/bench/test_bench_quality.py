"""What the quality bench makes of a scan, and how it shows several bundles."""

from pathlib import Path

import pytest
from rich.console import Console

from bench import quality, vpdq
from services.cli.results import PairRow
from services.contracts.errors import UsageError
from services.contracts.events import CopiedInterval
from services.runtime.settings import load_settings
from tca_model.evaluation.benchmark import Benchmark, Clip, Copy, arrange
from tca_model.evaluation.quality import EditQuality, ScoredPair, judge
from tca_model.types import Match

ORIGINAL, STRANGER = Clip(Path("/original.mp4"), "a"), Clip(Path("/stranger.mp4"), "b")


@pytest.fixture
def copied(tmp_path: Path) -> Copy:
    """A copy of seconds 5 to 15."""
    copy = Copy(tmp_path / "copy.mp4", "trim", ORIGINAL, STRANGER, seed=0)
    copy.truth_path.write_text('{"duration_s": 10, "intervals_s": [[0, 10, 5, 15]]}')
    return copy


def row(query: Path, reference: Clip, score: float, *interval: float) -> PairRow:
    names = ("query_start_s", "query_end_s", "reference_start_s", "reference_end_s")
    intervals = (CopiedInterval(**dict(zip(names, interval, strict=True)), score=0.9),) if interval else ()
    return PairRow(str(query), str(reference.path), score, intervals)


def test_a_scan_is_read_pair_by_pair(copied: Copy) -> None:
    benchmark = Benchmark((copied,), (Clip(Path("/other.mp4"), "c"),), (ORIGINAL, STRANGER))
    rows = [
        row(copied.path, ORIGINAL, 0.8, 0, 10, 5, 10),  # half of the reference's side
        row(copied.path, STRANGER, 0.1, 0, 3, 0, 3),
        row(Path("/other.mp4"), ORIGINAL, 0.2),
    ]
    found = {(one.query, one.reference): one for one in rows}

    scored = [quality.score_pair(pair, found) for pair in benchmark.pairs()]
    assert [(pair.is_copy, pair.score, pair.edit) for pair in scored] == [
        (True, 0.8, "trim"),
        (False, 0.2, ""),
        (False, 0.1, "trim"),
        (False, None, ""),
    ]
    assert [pair.iou for pair in scored] == [0.5, 0, 0, 0]
    assert scored[2].found == [Match(0, 3, 0, 3, 0.9)]
    assert not scored[2].true


def test_false_alerts_are_named(monkeypatch: pytest.MonkeyPatch, copied: Copy) -> None:
    benchmark = Benchmark((copied,), (Clip(Path("/other.mp4"), "c"),), (ORIGINAL, STRANGER))
    rows = [
        row(copied.path, ORIGINAL, 0.99),
        row(copied.path, STRANGER, 0.95),
        row(Path("/other.mp4"), ORIGINAL, 0.2),
        row(Path("/other.mp4"), STRANGER, 0.91),
    ]

    class Scan:
        def __init__(self, *_: object, **__: object) -> None: ...

        def run(self) -> tuple[list[PairRow], list[object]]:
            return rows, []

    monkeypatch.setattr(quality, "Scan", Scan)
    result = quality.judge_bundle(benchmark, load_settings().model_copy(update={"alert_threshold": 0.9}))
    assert set(result.false_alerts) == {("copy", "stranger"), ("other", "stranger")}
    assert result.quality.false_alerts == 2


def judged(name: str, crop: float, flip: float) -> quality.Judged:
    true, half = [Match(0, 10, 0, 10, 1)], [Match(0, 5, 0, 10, 1)]
    copies = [ScoredPair(True, crop, "crop", half, true), ScoredPair(True, flip, "flip", half, true)]
    pairs = [*copies, ScoredPair(False, 0.3)]
    return quality.Judged(name, "v", judge(pairs, 0.5))


def shown(*columns: quality.Judged) -> dict[str, list[str]]:
    console = Console(width=200, record=True, quiet=False)
    with console.capture() as captured:
        console.print(quality.table(columns))
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in captured.get().splitlines()]
    return {cells[0]: cells[1:] for cells in lines if cells}


def test_bundles_stand_side_by_side() -> None:
    table = shown(judged("ours", 0.9, 0.8), judged("theirs", 0.9, 0.2))

    assert table["micro-AP"] == ["1.000", f"{(1 + 2 / 3) / 2:.3f}"]
    assert table["recall at 99% precision"] == ["1.000", "0.500"]
    assert table["false alerts there"] == ["0", "0"]
    assert table["precision of their intervals (VCSL)"] == ["1.000", "1.000"]
    assert table["recall of intervals (VCSL)"] == ["0.500", "0.250"]
    assert table["crop"] == ["1.00  0.50", "1.00  0.50"]
    assert table["flip"] == ["1.00  0.50", "0.00  0.50"]


def test_edits_that_vpdq_finds_better_are_named() -> None:
    assert quality.remarks([judged("ours", 0.1, 0.8), judged("vPDQ", 0.9, 0.8)])[-1].endswith("than ours: crop")
    assert quality.remarks([judged("ours", 0.9, 0.8), judged("vPDQ", 0.9, 0.8)])[-1].endswith("than ours: none")


def test_without_vpdq_the_bench_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], copied: Copy
) -> None:
    def missing() -> str:
        raise vpdq.Missing("not installed")

    monkeypatch.setattr(vpdq, "installed_version", missing)
    assert quality.judge_vpdq(Benchmark((copied,), (), (ORIGINAL,)), workers=1) == []
    assert "without vPDQ: not installed" in capsys.readouterr().err


def test_vpdq_is_judged_over_the_same_pairs(monkeypatch: pytest.MonkeyPatch, copied: Copy) -> None:
    monkeypatch.setattr(vpdq, "installed_version", lambda: "0")
    monkeypatch.setattr(vpdq, "describe", lambda videos, _workers, _advance: {video: video for video in videos})
    same = {copied.path, ORIGINAL.path}
    monkeypatch.setattr(vpdq, "score", lambda query, reference: float({query, reference} == same))

    (result,) = quality.judge_vpdq(Benchmark((copied,), (), (ORIGINAL, STRANGER)), workers=1)
    assert result.quality.micro_ap == 1
    assert result.quality.edits == {"trim": EditQuality(copies=1, recall=1.0, iou=None)}
    assert result.quality.false_alerts is None


def test_a_wrong_folder_ends_it_with_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["quality", "--videos", str(tmp_path), "--work", str(tmp_path)])
    with pytest.raises(SystemExit, match="has no manifest"):
        quality.main()
    monkeypatch.setattr("sys.argv", ["quality", "--bundle", "nobody's"])
    with pytest.raises(SystemExit, match='no bundle "nobody\'s"'):
        quality.main()


def test_ctrl_c_ends_it_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(quality, "plan", stopped)
    monkeypatch.setattr("sys.argv", ["quality", "--work", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        quality.main()
    assert ended.value.code == 130
    assert f"what was made is kept in {tmp_path}" in capsys.readouterr().err


def test_a_programming_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def break_down(*_: object) -> None:
        raise ValueError("shapes do not match")

    monkeypatch.setattr(quality, "judge_all", break_down)
    monkeypatch.setattr("sys.argv", ["quality", "--work", str(tmp_path)])
    with pytest.raises(ValueError, match="shapes do not match"):
        quality.main()


def test_a_lost_truth_ends_it_with_a_reason(copied: Copy) -> None:
    copied.truth_path.unlink()
    (pair,) = (pair for pair in Benchmark((copied,), (), (ORIGINAL,)).pairs() if pair.is_copy)
    with pytest.raises(UsageError, match="remove the video to make both again"):
        quality.score_pair(pair, {})


def test_an_edit_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    benchmark = arrange([ORIGINAL], [STRANGER], [], tmp_path, ["crop", "flip", "crop"])
    assert [copy.edit for copy in benchmark.copies] == ["crop", "flip"]
