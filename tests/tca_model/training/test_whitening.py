"""Fitting a whitening: the bundle whitens its pictures and has provenance; impossible input is rejected."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tca_model.bundle import Bundle, load_bundle, save_bundle
from tca_model.config import BundleWeights, DescriptorConfig, EncoderConfig, FrameConfig, RandomWeights
from tca_model.matching.calibration import Calibration
from tca_model.networks.extractor import DescriptorExtractor
from tca_model.training.images import find_images, read_images
from tca_model.training.whitening import BATCH_IMAGES, fit_whitening
from tests.tca_model.training.cases import DIMENSION, NAME, PICTURES, SIDE, write_pictures

CALIBRATION = Calibration(alert_threshold=0.4, basis="by hand")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


def config(**frame: Any) -> DescriptorConfig:
    values = {"backbone": NAME, "weights": RandomWeights(seed=0), "input_px": SIDE, "dimension": DIMENSION}
    return DescriptorConfig(
        frame=FrameConfig.model_validate(values | frame), encoder=EncoderConfig(aggregator="mean"), compares="frame"
    )


def fit(folders: list[Path], progress: list[tuple[int, int]] | None = None, **frame: Any) -> Bundle:
    seen = [] if progress is None else progress
    return fit_whitening(
        "fitted",
        config(**frame),
        folders,
        CALIBRATION,
        command="copydetect model fit-whitening",
        advance=lambda done, total: seen.append((done, total)),
    )


@pytest.fixture(scope="module")
def bundle(folders: list[Path]) -> Bundle:
    return fit(folders)


def test_the_bundle_states_how_it_was_made(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest.name == "fitted"
    assert manifest.descriptor == config()
    assert manifest.calibration == CALIBRATION
    assert manifest.provenance["command"] == "copydetect model fit-whitening"
    assert manifest.provenance["images"] == PICTURES
    assert manifest.provenance["images_unreadable"] == 1
    assert manifest.provenance["folders"] == ["first", "second"]
    assert manifest.provenance.keys() >= {"seconds", "hardware", "torch"}


def test_progress_is_reported_batch_by_batch(folders: list[Path]) -> None:
    progress: list[tuple[int, int]] = []
    fit(folders, progress)
    assert progress == [(BATCH_IMAGES, PICTURES + 1), (PICTURES + 1, PICTURES + 1)]


def test_the_bundle_whitens_the_pictures_it_was_fitted_on(bundle: Bundle, folders: list[Path]) -> None:
    images = np.concatenate([images for images, _ in read_images(find_images(folders), SIDE, 16)])
    described = DescriptorExtractor(bundle, device="cpu").describe(images)
    assert described.shape == (PICTURES, DIMENSION)
    # unit rows of whitened vectors point in all directions: covariance about I / D
    covariance = described.T @ described / PICTURES
    np.testing.assert_allclose(covariance, np.eye(DIMENSION) / DIMENSION, atol=0.06)


def test_a_fitted_bundle_comes_back_from_disk_with_its_version(bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(bundle, tmp_path / "fitted")
    again = load_bundle(str(tmp_path / "fitted"))
    assert again.manifest == bundle.manifest
    assert again.model_version == bundle.model_version
    images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    first, second = (DescriptorExtractor(b, device="cpu").describe(images) for b in (bundle, again))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_too_few_images_are_rejected(folders: list[Path]) -> None:
    with pytest.raises(ValueError, match="20 images cannot span 20 dimensions: give more"):
        fit(folders[:1], dimension=20)


def test_more_dimensions_than_the_backbone_has_are_rejected(folders: list[Path]) -> None:
    with pytest.raises(ValueError, match="cannot whiten 168 dimensions to 169"):
        fit(folders[:1], dimension=169)


def test_a_folder_without_images_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match=r"no images .* below"):
        fit([tmp_path])
    with pytest.raises(FileNotFoundError, match="no folder"):
        fit([tmp_path / "nowhere"])


def test_only_broken_images_are_rejected(tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="0 images cannot span"):
        fit([tmp_path])


def test_weights_of_a_bundle_that_does_not_exist_yet_are_rejected(folders: list[Path]) -> None:
    with pytest.raises(ValueError, match="name a file or a package"):
        fit(folders, weights=BundleWeights())
