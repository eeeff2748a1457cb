"""The example runs as README shows it."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import tca_model.api
from tca_model.api import PairComparison
from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import apply_edit
from tca_model.types import Match
from tests.clips import four_corners, steady
from tests.clips import write_clip as write_pictures

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "compare_two_videos.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *map(str, arguments)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


def test_the_readme_shows_the_example() -> None:
    code = EXAMPLE.read_text().split('"""', 2)[2].strip()
    assert f"```python\n{code}\n```" in (ROOT / "README.md").read_text()


@pytest.mark.integration  # loads a backbone
def test_it_prints_the_probability_and_the_copied_interval(tmp_path: Path) -> None:
    original, copy = tmp_path / "original.mp4", tmp_path / "copy.mp4"
    write_clip(original, 0, duration_s=20, size=(160, 90), fps=5)
    apply_edit("flip", original, copy)
    done = run(copy, original)
    assert done.returncode == 0
    probability = re.match(r"probability (\d\.\d+), joined score \d\.\d+: a copy\n", done.stdout)
    assert probability
    assert float(probability[1]) > 0.9
    assert re.search(r"^0\.0-\d+\.\d s shows 0\.0-\d+\.\d s of the other$", done.stdout, re.MULTILINE)


def run_with(result: PairComparison, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the example as if this were the result of its comparison."""
    monkeypatch.setattr(tca_model.api, "describe", lambda path: path)
    monkeypatch.setattr(tca_model.api, "compare", lambda *_: result)
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), "copy.mp4", "original.mp4"])
    runpy.run_path(str(EXAMPLE))


def test_without_a_copy_it_prints_no_interval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with(PairComparison(0.21, 0.014, False, (Match(0, 5, 3, 8, 0.4),)), monkeypatch)
    assert capsys.readouterr().out == "probability 0.014, joined score 0.210: not a copy\n"


def test_it_prints_the_score_of_a_bundle_without_calibration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with(PairComparison(0.7, None, True, (Match(0, 5, 3, 8, 0.4),)), monkeypatch)
    assert capsys.readouterr().out == (
        "probability not calibrated, joined score 0.700: a copy\n0.0-5.0 s shows 3.0-8.0 s of the other\n"
    )


@pytest.mark.parametrize("arguments", [[], ["a.mp4"], ["--help"]])
def test_it_says_how_it_is_used(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: python examples/compare_two_videos.py COPY ORIGINAL\n"


@pytest.mark.integration  # loads a backbone
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text.mp4", "text.mp4: not a video, or of a format that is not accepted"),
        ("missing.mp4", "No such file or directory"),
        ("folder", "Is a directory"),
        ("black.mp4", "the query cannot be compared: it shows nothing (black, flat, a title card)"),
    ],
)
def test_it_says_in_one_line_what_cannot_be_compared(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    write_pictures(tmp_path / "black.mp4", steady(2, 5), images=[four_corners() * 0] * 10)
    done = run(tmp_path / name, tmp_path / "black.mp4")
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert reason in line
