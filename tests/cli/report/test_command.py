"""`copydetect scan --report` as a user runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import apply_edit

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[3]


def scan(*arguments: object) -> "subprocess.CompletedProcess[str]":
    ended = subprocess.run(
        [sys.executable, "-m", "services.cli.main", "scan", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        timeout=240,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    return ended


def problems_of(page: str) -> list[str]:
    return re.findall(r'class="reason[^>]*>([^<]*)<', page)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An original, a cropped copy of it, another clip, and a file that is not a video and whose name is not UTF-8."""
    folder = tmp_path_factory.mktemp("clips")
    for seed, name in enumerate(("original", "other")):
        write_clip(folder / f"{name}.mp4", seed, duration_s=8, size=(320, 180), fps=5)
    apply_edit("crop", folder / "original.mp4", folder / "copy.mp4")
    (folder / os.fsdecode(b"bad\xff.mp4")).write_text("no video")
    return folder


def test_a_scan_and_the_next_one_on_its_index_write_a_report(clips: Path, tmp_path: Path) -> None:
    page, db = tmp_path / "report.html", tmp_path / "index.db"
    ended = scan(clips, "--db", db, "--report", page)
    assert ended.returncode == 1  # because of the file that could not be used
    first = page.read_text(encoding="utf-8")
    assert first.count("<article") == 1
    assert first.count('<img src="data:image/jpeg;base64,') == 16
    assert "copy.mp4" in first
    assert problems_of(first) == ["its path is not UTF-8: rename it"]
    assert "bad\\xff.mp4" in first
    assert "bad\\xff.mp4" in ended.stdout

    (clips / "other.mp4").unlink()
    scan(clips, "--db", db, "--report", page)  # nothing is new
    assert page.read_text(encoding="utf-8").count('<img src="data:image/jpeg;base64,') == 16
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.db", "index.db.decided.json", "report.html"]


def test_a_report_that_cannot_be_written_is_refused_before_the_work(clips: Path, tmp_path: Path) -> None:
    ended = scan(clips, "--report", tmp_path / "none" / "report.html")
    assert ended.returncode == 2
    assert "cannot write --report" in ended.stderr
    assert "describing" not in ended.stderr
