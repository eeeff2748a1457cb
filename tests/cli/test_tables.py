"""Tables for a terminal: names stay whole at 80 columns."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.files import VideoFile
from services.cli.results import JOINED_SCORE, PairRow, Problem
from services.cli.tables import common_folder, print_results, shorten
from tests.cli.found import INTERVAL


def test_brackets_in_names_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_results([PairRow("[red]a[/b].mp4", "b.mp4", 0.5, ())], [Problem("[c].mp4", "empty")])
    shown = capsys.readouterr().out
    assert "[red]a[/b].mp4" in shown
    assert "[c].mp4" in shown


def print_to_text(*rows: PairRow, problems: tuple[Problem, ...] = (), width: int = 80, **options: str) -> str:
    page = io.StringIO()
    terminal = Console(file=page, width=width, markup=False, highlight=False)
    print_results(rows, problems, to=terminal, **options)
    return page.getvalue()


def test_a_pair_takes_two_lines_at_80_columns_and_names_stay_whole() -> None:
    query, reference = "holiday-in-the-mountains-v2.mp4", "below/holiday-in-the-mountains.mp4"
    row = PairRow(f"/library/{query}", f"/library/{reference}", 0.987, (INTERVAL,), 0.512)
    text = print_to_text(row, problems=(Problem("/library/empty.mp4", "the file is empty"),), folder="/library")
    (first,) = (line for line in text.splitlines() if query in line)
    (second,) = (line for line in text.splitlines() if reference in line)
    assert text.splitlines().index(second) == text.splitlines().index(first) + 1
    assert "0.987" in first
    assert "0:00-0:10 = 1:05-1:15" in first
    assert "0.512" in second
    assert "/library/empty.mp4" not in text
    assert "below /library" in text


def test_the_columns_are_named_after_the_scores() -> None:
    row = PairRow("a", "b", 0.9, (), 0.4)
    assert "probability" in print_to_text(row)
    assert "0.400" in print_to_text(row)
    uncalibrated = print_to_text(row, score_name=JOINED_SCORE)
    assert "probability" not in uncalibrated
    assert "0.900" in uncalibrated
    assert "0.400" not in uncalibrated


def test_files_have_a_common_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    files = [VideoFile("clips/a.mp4"), VideoFile(str(tmp_path / "clips" / "deep" / "b.mp4"))]
    assert common_folder(files) == str(tmp_path / "clips")
    assert common_folder(files[:1]) == str(tmp_path / "clips")
    assert common_folder([]) is None
    assert common_folder([VideoFile("/a.mp4"), VideoFile("/b/c.mp4")]) is None


def test_only_paths_below_the_folder_are_shortened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert shorten("clips/deep/a.mp4", str(tmp_path / "clips")) == "deep/a.mp4"
    assert shorten("/elsewhere/a.mp4", str(tmp_path / "clips")) == "/elsewhere/a.mp4"
    assert shorten("clips/a.mp4", None) == "clips/a.mp4"
