"""Calibration, alert threshold and figures of a bundle come from a run of the benchmark."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from services.cli.model.app import app
from services.contracts.errors import UsageError
from tca_model.bundle import load_bundle, save_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    save_bundle(load_bundle("bootstrap"), tmp_path / "mine")
    return tmp_path / "mine"


def calibrate(bundle: Path, quality: Path, *options: str) -> Any:
    return CliRunner().invoke(app, ["calibrate", str(bundle), str(quality), *options])


def write_quality(folder: Path, version: str, *, copies: int = 300) -> Path:
    """A benchmark of ten families: half of the pairs that score 0.3 are copies, fewer below and more above."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.01, 0.9, size=2 * copies)
    is_copy = rng.uniform(size=len(scores)) < 1 / (1 + np.exp(-8 * (np.log(scores / (1 - scores)) + 0.847)))
    scored = [
        {"family": f"family-{n % 10}", "score": score, "is_copy": bool(copied)}
        for n, (score, copied) in enumerate(zip(scores.tolist(), is_copy, strict=True))
    ]
    figures = {"micro_ap": 0.98765, "edits": {"crop": {"recall": 1.0}}}
    path = folder / "quality.json"
    path.write_text(json.dumps([{"name": "x", "version": version, "quality": figures, "scored": scored}]))
    return path


def test_a_curve_and_a_threshold_are_set_and_nothing_else_changes(bundle: Path, tmp_path: Path) -> None:
    before = load_bundle(str(bundle))
    done = calibrate(bundle, write_quality(tmp_path, before.model_version), "--plot", str(tmp_path / "reliability.png"))
    assert done.exit_code == 0, done.output
    after = load_bundle(str(bundle))
    calibration = after.manifest.calibration
    assert after.model_version == before.model_version
    assert calibration.version == before.manifest.calibration.version + 1
    assert calibration.alert_score(0.3) == pytest.approx(0.5, abs=0.1)
    assert calibration.alert_score(0.2) < 0.2 < 0.8 < calibration.alert_score(0.4)
    assert calibration.alert_threshold >= 0.9
    assert "expected calibration error on unseen families 0.0" in calibration.basis
    assert after.manifest.name == "mine"
    metrics = after.manifest.provenance["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["micro_ap"] == 0.9877
    assert after.manifest.provenance["command"] == before.manifest.provenance["command"]
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")


def test_the_threshold_rises_with_the_precision_up_to_a_limit(bundle: Path, tmp_path: Path) -> None:
    quality = write_quality(tmp_path, load_bundle(str(bundle)).model_version)
    thresholds = []
    for options in (
        ("--precision", "0.8", "--least", "0"),
        ("--precision", "0.99", "--least", "0"),
        ("--least", "0.999"),
    ):
        assert calibrate(bundle, quality, *options).exit_code == 0
        thresholds.append(load_bundle(str(bundle)).manifest.calibration.alert_threshold)
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[1]
    assert thresholds[2] == 0.999


def test_look_alikes_count_as_pairs_that_are_no_copies(bundle: Path, tmp_path: Path) -> None:
    version = load_bundle(str(bundle)).model_version
    quality, lookalikes = write_quality(tmp_path, version), tmp_path / "lookalikes.json"
    assert calibrate(bundle, quality).exit_code == 0
    before = load_bundle(str(bundle)).manifest.calibration
    pairs = [{"kind": f"kind {n % 7}", "joined_score": 0.4 + 0.001 * n} for n in range(300)]
    pairs.append({"kind": "starfield", "joined_score": None})
    lookalikes.write_text(json.dumps([{"version": version, "pairs": pairs}]))
    assert calibrate(bundle, quality, "--lookalikes", str(lookalikes)).exit_code == 0
    after = load_bundle(str(bundle)).manifest.calibration
    assert after.alert_score(0.5) < before.alert_score(0.5) - 0.1
    assert "and 300 pairs of `make bench-lookalikes`" in after.basis
    assert after.joined_score(after.alert_threshold) > before.joined_score(before.alert_threshold)


def test_a_file_without_look_alikes_is_refused(bundle: Path, tmp_path: Path) -> None:
    version = load_bundle(str(bundle)).model_version
    quality, lookalikes = write_quality(tmp_path, version), tmp_path / "lookalikes.json"
    for content in ("[1]", json.dumps([{"version": version, "pairs": []}])):
        lookalikes.write_text(content)
        ended = calibrate(bundle, quality, "--lookalikes", str(lookalikes))
        assert "is not what `python -m bench.lookalikes" in str(ended.exception)
    lookalikes.write_text(json.dumps([{"version": "0123456789ab", "pairs": []}]))
    assert "no figures of model version" in str(calibrate(bundle, quality, "--lookalikes", str(lookalikes)).exception)


def test_figures_that_do_not_fit_the_bundle_are_refused(bundle: Path, tmp_path: Path) -> None:
    version = load_bundle(str(bundle)).model_version
    for quality, wrong in (
        (write_quality(tmp_path, "0123456789ab"), f"no figures of model version {version}"),
        (tmp_path / "nowhere.json", "is not what `python -m bench.quality --json FILE` writes"),
    ):
        ended = calibrate(bundle, quality)
        assert isinstance(ended.exception, UsageError)
        assert wrong in str(ended.exception)
    for content in ("[1]", json.dumps([{"version": version, "quality": {}, "scored": []}])):
        (tmp_path / "quality.json").write_text(content)
        assert "is not what" in str(calibrate(bundle, tmp_path / "quality.json").exception)
    only_copies = [{"family": str(n), "score": 0.5, "is_copy": True} for n in range(9)]
    (tmp_path / "quality.json").write_text(json.dumps([{"version": version, "quality": {}, "scored": only_copies}]))
    assert "cannot calibrate a bundle" in str(calibrate(bundle, tmp_path / "quality.json").exception)
    assert load_bundle(str(bundle)).manifest == load_bundle("bootstrap").manifest
