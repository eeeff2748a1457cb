"""What a scan writes to a terminal and to a pipe, and which files it leaves behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import apply_edit

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

SCAN = [sys.executable, "-m", "services.cli.main", "scan"]
ENVIRONMENT = {**os.environ, "COLUMNS": "80"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An original, a cropped copy of it, and a file that is not a video."""
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "original.mp4", 0, duration_s=8, size=(320, 180), fps=5)
    apply_edit("crop", folder / "original.mp4", folder / "copy.mp4")
    (folder / "broken.mp4").write_text("no video")
    return folder


def test_a_pipe_gets_json_only_and_the_terminal_progress_and_results_only(clips: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [*SCAN, str(clips), "--db", str(tmp_path / "index.db"), "--output", "-"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    (pair,) = map(json.loads, ended.stdout.splitlines())
    assert {Path(pair["query"]).name, Path(pair["reference"]).name} == {"original.mp4", "copy.mp4"}
    assert 0 < pair["joined_score"] <= 1

    before_tables, tables = ended.stderr.split("Copies, below", maxsplit=1)
    assert {line.split()[0] for line in before_tables.split("\n") if line.strip()} == {"describing", "matching"}
    assert "broken.mp4" in tables
    assert tables.splitlines()[-1].startswith("3 files, 1 pair, 1 not compared, ")
