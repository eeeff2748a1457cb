"""`copydetect model describe`, then `evaluate`: from video files to figures."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.contracts.errors import UsageError
from tca_model.bundle import load_bundle
from tca_model.data.annotations import write_annotations
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.data.fivr import FivrAnnotations
from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import apply_edit
from tca_model.types import VideoDescriptor

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["model", *map(str, arguments)])


def test_videos_are_described_once_and_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a table does not fold short paths
    videos, output = Path("videos"), Path("descriptors")
    (videos / "below").mkdir(parents=True)
    for seed, name in enumerate(("q", "other")):
        write_clip(videos / f"{name}.mp4", seed, duration_s=5, size=(160, 90), fps=4)
    apply_edit("crop", videos / "q.mp4", videos / "below" / "copy.mp4")
    (videos / "broken.mp4").write_text("no video")

    described = run("describe", videos, "--output", output)
    assert described.exit_code == 1, described.output
    assert "3 of 4 videos are in" in described.output
    assert "videos/broken.mp4" in described.output
    stored = DescriptorFolder(output)
    assert list(stored.videos()) == ["copy", "other", "q"]
    descriptor, version = stored.read("q")
    assert version == load_bundle().model_version
    assert len(descriptor) == 5
    np.testing.assert_allclose(descriptor.timestamps_s, range(5), atol=0.26)

    written = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    (videos / "broken.mp4").unlink()
    again = run("describe", videos, "--output", output)
    assert again.exit_code == 0, again.output
    assert "3 of 3 videos" in again.output
    assert {path.name: path.stat().st_mtime_ns for path in output.iterdir()} == written

    annotations = FivrAnnotations(
        queries=("q",),
        database=("q", "other", "copy", "gone"),
        labels={"q": {"ND": ("copy",), "DS": ("gone",)}},
    )
    write_annotations(tmp_path / "fivr.json", annotations)
    evaluated = run(
        *("evaluate", "fivr", "--annotations", tmp_path / "fivr.json", "--descriptors", output, "--output", "json")
    )
    assert evaluated.exit_code == 0, evaluated.output
    report = json.loads(evaluated.stdout)
    assert report["figures"][0] == {"name": "DSVR", "mean": 1.0, "at_least": 0.5, "queries": 1}
    assert report["missing_videos"] == ["gone"]


def test_wrong_usage_says_what_to_do(tmp_path: Path) -> None:
    videos, output = tmp_path / "videos", tmp_path / "descriptors"
    (videos / "below").mkdir(parents=True)
    result = run("describe", videos, "--output", output)
    assert isinstance(result.exception, UsageError)
    assert "no videos in" in str(result.exception)
    for path in (videos / "q.mp4", videos / "below" / "q.mkv"):
        path.write_text("no video")
    assert "both named q" in str(run("describe", videos, "--output", output).exception)
    DescriptorFolder(output).write("q", VideoDescriptor(np.zeros(1), np.eye(1, 4, dtype=np.float32)), "old")
    assert "descriptors of model old" in str(run("describe", videos, "--output", output).exception)
