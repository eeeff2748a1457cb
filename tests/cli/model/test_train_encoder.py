"""`copydetect model train-encoder` as a user runs it, alone and under torchrun, on videos and on VCDB."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from services.cli.model.app import app
from services.contracts.errors import UsageError
from tca_model.bundle import Bundle, Manifest, load_bundle, save_bundle
from tca_model.config import DescriptorConfig, EncoderConfig, FrameConfig, RandomWeights
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.matching.calibration import Calibration
from tca_model.networks.backbone import load_backbone
from tca_model.networks.extractor import DescriptorExtractor
from tca_model.types import VideoDescriptor
from tests.clips import steady, write_clip

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[3]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SMALL = (
    "--heads 2 --feed-forward 24 --copies 3 --batch 4 --bank 16 --distractors 2 --epochs 4 --dropout 0 "
    "--learning-rate 3e-3"
)


def frame_bundle(folder: Path, compares: str = "frame", aggregator: str = "mean") -> Bundle:
    """A bundle of untrained frame descriptors in 12 dimensions."""
    frame = FrameConfig(backbone="test_efficientnet", weights=RandomWeights(seed=0), input_px=64, dimension=12)
    config = DescriptorConfig.model_validate(
        {"frame": frame, "encoder": EncoderConfig.model_validate({"aggregator": aggregator}), "compares": compares}
    )
    width = sum(load_backbone(frame.backbone, frame.weights, {}).channels)
    rng = np.random.default_rng(0)
    tensors = {
        "whitening.mean": np.zeros(width, np.float32),
        "whitening.projection": rng.normal(size=(width, 12)).astype(np.float32),
    }
    calibration = Calibration(alert_threshold=0.5, basis="none")
    bundle = Bundle(
        Manifest(name="frames", descriptor=config, calibration=calibration, provenance={"from": "a test"}), tensors
    )
    save_bundle(bundle, folder)
    return bundle


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle and three different videos."""
    place = tmp_path_factory.mktemp("place")
    frame_bundle(place / "frames")
    (place / "videos").mkdir()
    rng = np.random.default_rng(0)
    for name in ("one", "two", "three"):
        blocks = rng.integers(0, 256, (12, 6, 8, 3), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
        write_clip(place / "videos" / f"{name}.mp4", steady(3, 4), images=list(blocks))
    return place


def arguments(place: Path, name: str, more: str = "") -> list[str]:
    where = ["--work", str(place / f"{name}-run"), "--output", str(place / name), "--bundle", str(place / "frames")]
    return ["train-encoder", *f"{SMALL} {more}".split(), *where]


def train(place: Path, name: str, *more: str) -> Any:
    return CliRunner().invoke(app, [*arguments(place, name), *more])


@pytest.fixture(scope="module")
def alone(place: Path) -> Bundle:
    ended = train(place, "alone", str(place / "videos"))
    assert ended.exit_code == 0, ended.output
    return load_bundle(str(place / "alone"))


def test_the_bundle_encodes_and_states_its_provenance(place: Path, alone: Bundle) -> None:
    frames = load_bundle(str(place / "frames"))
    extractor = DescriptorExtractor(alone, device="cpu")
    described = extractor.describe(np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8))
    (segment,) = extractor.encode([described])
    assert not np.allclose(segment.frames, described, atol=0.01)
    assert np.linalg.norm(segment.vector) == pytest.approx(1, abs=1e-5)
    assert alone.model_version != frames.model_version
    assert all(np.array_equal(alone.tensors[name], tensor) for name, tensor in frames.tensors.items())

    stated: dict[str, Any] = alone.manifest.provenance
    assert (stated["pairs"], stated["distractors"], stated["videos"], stated["missing"]) == (9, 12, 3, 0)
    assert stated["frame_part"] == {"model_version": frames.model_version, "from": "a test"}
    assert stated["steps"] == 8
    assert stated["recipe"]["shortest_piece"] == 0.5
    assert {"command", "loss", "loss_at_start", "seconds", "hardware", "torch"} <= stated.keys()
    assert alone.manifest.calibration.basis == "not calibrated"


def test_two_processes_get_the_same_result_as_one(place: Path, alone: Bundle) -> None:
    command = [*TORCHRUN, "-m", "services.cli.main", "model", *arguments(place, "two"), str(place / "videos")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    two = load_bundle(str(place / "two"))
    assert two.manifest.provenance["steps"] == 8
    for name, tensor in alone.tensors.items():
        if not name.endswith("in_proj_bias"):  # softmax ignores that of the keys, so its gradient is only rounding
            np.testing.assert_allclose(two.tensors[name], tensor, atol=1e-4, err_msg=name)
    frames = np.random.default_rng(0).normal(size=(5, 12)).astype(np.float32)
    one_way, other_way = (DescriptorExtractor(bundle, device="cpu").encode([frames])[0] for bundle in (alone, two))
    np.testing.assert_allclose(one_way.frames, other_way.frames, atol=1e-4)


@pytest.fixture(scope="module")
def vcdb(place: Path) -> list[str]:
    version = load_bundle(str(place / "frames")).model_version
    videos = ["a", "b", "c", "d", "x", "y"]
    pairs = [{"videos": pair, "overlap": [1, 1]} for pair in (["a", "b"], ["c", "d"], ["a", "c"], ["b", "d"])]
    annotations = {"benchmark": "VCDB", "queries": videos[:4], "database": videos[:4]}
    (place / "vcdb.json").write_text(json.dumps({**annotations, "pairs": pairs, "distractors": videos[4:]}))
    folder, generator = DescriptorFolder(place / "described"), torch.Generator().manual_seed(0)
    for video in videos:
        rows = torch.nn.functional.normalize(torch.randn(4, 12, generator=generator), dim=1).numpy()
        folder.write(video, VideoDescriptor(np.arange(4.0), rows), version)
    return ["--vcdb", str(place / "vcdb.json"), "--descriptors", str(place / "described")]


def test_pairs_may_come_from_vcdb(place: Path, vcdb: list[str]) -> None:
    ended = train(place, "of-vcdb", *vcdb, "--loss", "circle", "--momentum", "0.9")
    assert ended.exit_code == 0, ended.output
    stated: dict[str, Any] = load_bundle(str(place / "of-vcdb")).manifest.provenance
    assert (stated["data"], stated["pairs"], stated["distractors_missing"]) == ("VCDB", 4, 0)
    assert stated["recipe"]["shortest_piece"] == 1.0


def test_refined_descriptors_are_refused(place: Path, vcdb: list[str], tmp_path: Path) -> None:
    frame_bundle(tmp_path / "refined", compares="refined")
    with pytest.raises(UsageError, match="stores refined frame descriptors"):
        CliRunner().invoke(
            app, [*arguments(place, "never"), *vcdb, "--bundle", str(tmp_path / "refined")], catch_exceptions=False
        )


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("", "give folders of videos, or --vcdb"),
        ("VIDEOS --vcdb a.json --descriptors b", "give folders of videos, or --vcdb"),
        ("--vcdb a.json", "give folders of videos, or --vcdb"),
        ("--vcdb nowhere.json --descriptors b", "nowhere.json"),
        ("VIDEOS --aggregator mean", "nothing to train"),
        ("VIDEOS --aggregator best", "aggregator"),
        ("VIDEOS --loss hinge", "info-nce"),
        ("VIDEOS --heads 5", "5 heads do not divide 12 dimensions"),
        ("VIDEOS --batch 10", "9 pairs do not fill a batch of 10"),
        ("VIDEOS --epochs 5", "another configuration"),
        ("nowhere", "no folder nowhere"),
    ],
)
def test_wrong_usage_is_refused(place: Path, alone: Bundle, more: str, says: str) -> None:
    words = [str(place / "videos") if word == "VIDEOS" else word for word in more.split()]
    with pytest.raises(UsageError, match=says):
        CliRunner().invoke(app, [*arguments(place, "alone"), *words], catch_exceptions=False)
    assert load_bundle(str(place / "alone")).model_version == alone.model_version
    assert not list(place.glob(".alone*"))
