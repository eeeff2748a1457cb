"""The alert threshold and the figures of a bundle come from a run of the benchmark."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.model import app
from services.contracts.errors import UsageError
from tca_model.bundle import load_bundle, save_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    save_bundle(load_bundle("bootstrap"), tmp_path / "mine")
    return tmp_path / "mine"


def calibrate(bundle: Path, quality: Path) -> Any:
    return CliRunner().invoke(app, ["calibrate", str(bundle), str(quality)])


def written(folder: Path, version: str, highest_other: float) -> Path:
    figures = {
        "highest_other": highest_other,
        "recall_before_false_positive": 0.93333,
        "micro_ap": 0.98765,
        "edits": {"crop": {"recall": 1.0}},
    }
    path = folder / "quality.json"
    path.write_text(json.dumps([{"name": "x", "version": version, "quality": figures}]))
    return path


def test_a_threshold_is_set_and_nothing_else_changes(bundle: Path, tmp_path: Path) -> None:
    before = load_bundle(str(bundle))
    done = calibrate(bundle, written(tmp_path, before.model_version, 0.2312))
    assert done.exit_code == 0, done.output
    after = load_bundle(str(bundle))
    assert after.model_version == before.model_version
    assert after.manifest.calibration.alert_threshold == 0.24
    assert after.manifest.calibration.version == before.manifest.calibration.version + 1
    assert after.manifest.calibration.basis == "above every pair that is no copy in `make bench-quality`; recall 0.9333"
    assert after.manifest.name == "mine"
    assert after.manifest.provenance["metrics"]["micro_ap"] == 0.9877
    assert after.manifest.provenance["command"] == before.manifest.provenance["command"]


def test_what_tells_nothing_of_the_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    version = load_bundle(str(bundle)).model_version
    for quality, wrong in (
        (written(tmp_path, "0123456789ab", 0.2), f"no figures of model version {version}"),
        (tmp_path / "nowhere.json", "is not what `python -m bench.quality --json FILE` writes"),
    ):
        ended = calibrate(bundle, quality)
        assert isinstance(ended.exception, UsageError)
        assert wrong in str(ended.exception)
    (tmp_path / "quality.json").write_text("[1]")
    assert "is not what" in str(calibrate(bundle, tmp_path / "quality.json").exception)
    assert load_bundle(str(bundle)).manifest == load_bundle("bootstrap").manifest
