"""`copydetect demo` and `compare`, run as a user runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tca_model.synthetic.clips import write_clip

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
        timeout=280,
        check=False,
    )


def test_the_demo_finds_every_copy_and_nothing_else(tmp_path: Path) -> None:
    ended = run("demo", "--folder", tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "10 of 10 edited copies found, 0 false alerts" in ended.stdout
    for name in ("copy-letterbox.mp4", "original-3.mp4", "copy-caption_bar.mp4"):
        assert name in ended.stdout, "names are whole at 80 columns"


def test_the_demo_needs_two_videos(tmp_path: Path) -> None:
    ended = run("demo", "--folder", tmp_path / "demo", "--videos", tmp_path)
    assert ended.returncode == 2
    assert "does not hold the 2 videos that a demo needs" in ended.stderr


def test_compare_explains_a_pair_and_draws_it(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 3, duration_s=8, size=(320, 180), fps=10)
    plot = tmp_path / "matrix.png"
    ended = run("compare", tmp_path / "clip.mp4", tmp_path / "clip.mp4", "--plot", plot)
    assert ended.returncode == 0, ended.stderr
    assert "probability  1.000" in ended.stdout
    assert "joined score 1.000" in ended.stdout
    assert "covered      100% of the query, 100% of the reference" in ended.stdout
    assert "copied       0:00-0:08 = 0:00-0:08" in ended.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_compare_says_which_file_is_not_a_video(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 3, duration_s=2, size=(320, 180), fps=10)
    (tmp_path / "text.mp4").write_text("no video")
    ended = run("compare", tmp_path / "clip.mp4", tmp_path / "text.mp4")
    assert ended.returncode == 1
    assert "not a video" in ended.stdout


def test_compare_refuses_a_missing_file_before_it_describes_the_other(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for pair in (("text.mp4", "none.mp4"), ("none.mp4", "text.mp4")):
        ended = run("compare", *(tmp_path / name for name in pair))
        assert ended.returncode == 2
        assert f"there is no file or folder {tmp_path / 'none.mp4'}" in " ".join(ended.stderr.split())
        assert "describing" not in ended.stderr
        assert "not a video" not in ended.stdout + ended.stderr
