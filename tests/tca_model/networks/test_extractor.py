import io
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from tca_model.bundle import DEFAULT, SHIPPED, WEIGHTS, Bundle, Manifest, load_bundle
from tca_model.config import (
    BundleWeights,
    DescriptorConfig,
    EncoderConfig,
    FrameConfig,
    PackageWeights,
    RandomWeights,
)
from tca_model.errors import BundleError, WeightsError
from tca_model.matching.calibration import Calibration
from tca_model.networks.backbone import load_backbone
from tca_model.networks.encoder import build_encoder
from tca_model.networks.extractor import DescriptorExtractor
from tca_model.synthetic.clips import clip_frames
from tests.vectors import unit_rows

NAME, SIDE, DIMENSION = "test_efficientnet", 64, 16
RANDOM = RandomWeights(seed=0)


def tensors(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, NDArray[Any]]:
    return {f"{prefix}.{name}": tensor.numpy() for name, tensor in state.items()}


def small_bundle(aggregator: str = "tca", compares: str = "refined", weights: Any = RANDOM) -> Bundle:
    encoder = EncoderConfig.model_validate({"aggregator": aggregator, "heads": 2, "feed_forward": 24})
    frame = FrameConfig(backbone=NAME, weights=weights, input_px=SIDE, dimension=DIMENSION)
    config = DescriptorConfig.model_validate({"frame": frame, "encoder": encoder, "compares": compares})
    backbone = load_backbone(NAME, RANDOM, {})
    rng = np.random.default_rng(0)
    width = sum(backbone.channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = tensors("encoder", build_encoder(DIMENSION, encoder).state_dict())
    if isinstance(weights, BundleWeights):
        parts |= tensors("backbone", backbone.stages.state_dict())
    parts["whitening.mean"] = rng.random(width, np.float32) * 0.1
    parts["whitening.projection"] = rng.normal(size=(width, DIMENSION)).astype(np.float32)
    calibration = Calibration(alert_threshold=0.5, basis="none")
    return Bundle(Manifest(name="small", descriptor=config, calibration=calibration, provenance={}), parts)


def with_tensors(bundle: Bundle, **changes: Any) -> Bundle:
    """The bundle with some tensors replaced, or removed if None; dots in names are written `__`."""
    named = {name.replace("__", "."): tensor for name, tensor in changes.items()}
    kept = {name: tensor for name, tensor in (bundle.tensors | named).items() if tensor is not None}
    return Bundle(bundle.manifest, kept)


@pytest.fixture(scope="module")
def extractor() -> DescriptorExtractor:
    return DescriptorExtractor(small_bundle(), device="cpu", batch_frames=3)


def pictures(seed: int, count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def test_it_has_the_configuration_of_its_bundle(extractor: DescriptorExtractor) -> None:
    bundle = small_bundle()
    assert extractor.model_version == bundle.model_version
    assert extractor.config == bundle.manifest.descriptor
    assert extractor.input_size == (SIDE, SIDE)
    assert extractor.device.type == "cpu"


@pytest.mark.parametrize("count", [1, 3, 7])
def test_a_batch_equals_its_images_one_by_one(extractor: DescriptorExtractor, count: int) -> None:
    images = pictures(1, count)
    before = images.copy()
    described = extractor.describe(images)
    np.testing.assert_array_equal(images, before)
    assert described.shape == (count, DIMENSION)
    assert described.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(described, axis=1), 1, atol=1e-5)
    single = np.concatenate([extractor.describe(image[None]) for image in images])
    np.testing.assert_allclose(described, single, atol=1e-4)


def test_no_images_give_no_descriptors(extractor: DescriptorExtractor) -> None:
    described = extractor.describe(pictures(1, 0))
    assert described.shape == (0, DIMENSION)
    assert described.dtype == np.float32


@pytest.mark.parametrize(
    "shape", [(2, SIDE, SIDE + 1, 3), (2, 32, 32, 3), (2, SIDE, SIDE, 4), (2, SIDE, SIDE), (0, 9, 9, 3)]
)
def test_images_of_another_size_are_rejected(extractor: DescriptorExtractor, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected images \(N, 64, 64, 3\)"):
        extractor.describe(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(("aggregator", "compares"), [("tca", "refined"), ("tca", "frame"), ("mean", "frame")])
def test_segments_together_equal_segments_one_at_a_time(aggregator: str, compares: str) -> None:
    extractor = DescriptorExtractor(small_bundle(aggregator, compares), device="cpu")
    segments = [unit_rows(seed, length, DIMENSION) for seed, length in enumerate((5, 1, 9, 3))]
    before = [frames.copy() for frames in segments]
    for frames, kept, together in zip(segments, before, extractor.encode(segments), strict=True):
        np.testing.assert_array_equal(frames, kept)
        (alone,) = extractor.encode([frames])
        assert together.frames.shape == frames.shape
        assert together.vector.shape == (DIMENSION,)
        assert together.frames.dtype == together.vector.dtype == np.float32
        np.testing.assert_allclose(together.frames, alone.frames, atol=1e-5)
        np.testing.assert_allclose(together.vector, alone.vector, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(together.frames, axis=1), 1, atol=1e-5)
        assert np.linalg.norm(together.vector) == pytest.approx(1, abs=1e-5)


def test_the_bundle_determines_which_descriptors_are_stored(extractor: DescriptorExtractor) -> None:
    frames = unit_rows(5, 6, DIMENSION)
    (refined,) = extractor.encode([frames])
    (plain,) = DescriptorExtractor(small_bundle(compares="frame"), device="cpu").encode([frames])
    np.testing.assert_array_equal(plain.frames, frames)
    assert np.abs(refined.frames - frames).max() > 0.1
    # the segment descriptor is the encoder's in both cases
    np.testing.assert_allclose(refined.vector, plain.vector, atol=1e-6)


def test_no_segments_and_segments_without_frames(extractor: DescriptorExtractor) -> None:
    assert extractor.encode([]) == []
    with pytest.raises(ValueError, match="at least one real frame"):
        extractor.encode([unit_rows(1, 2, DIMENSION), unit_rows(1, 0, DIMENSION)])


def test_a_backbone_in_the_bundle_is_used() -> None:
    images = pictures(2, 2)
    bundled = DescriptorExtractor(small_bundle(weights=BundleWeights()), device="cpu").describe(images)
    seeded = DescriptorExtractor(small_bundle(), device="cpu").describe(images)
    np.testing.assert_allclose(bundled, seeded, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"whitening__mean": None}, "do not fit its manifest"),
        ({"whitening__extra": np.zeros(1, np.float32)}, "do not fit its manifest"),
        ({"whitening__mean": np.zeros(3, np.float32)}, "do not fit its manifest: expected mean"),
        (
            {"whitening__mean": np.zeros(9, np.float32), "whitening__projection": np.zeros((9, DIMENSION), np.float32)},
            f"does not fit backbone {NAME}",
        ),
        ({"encoder__layers__layers__0__norm1__bias": None}, "norm1.bias"),
        ({"encoder__layers__layers__0__norm1__bias": np.zeros(7, np.float32)}, "size mismatch"),
        ({"encoder__surprise": np.zeros(1, np.float32)}, "surprise"),
    ],
)
def test_weights_that_do_not_fit_the_manifest_are_rejected(changes: dict[str, Any], message: str) -> None:
    bundle = small_bundle()
    assert with_tensors(bundle).tensors.keys() == bundle.tensors.keys()
    with pytest.raises(BundleError, match=message):
        DescriptorExtractor(with_tensors(bundle, **changes), device="cpu")


def test_a_whitening_of_another_dimension_is_rejected() -> None:
    bundle = small_bundle("mean")
    narrow = bundle.tensors["whitening.projection"][:, :8]
    with pytest.raises(BundleError, match="does not fit backbone"):
        DescriptorExtractor(with_tensors(bundle, whitening__projection=narrow), device="cpu")


def test_a_bundle_without_its_backbone_is_rejected() -> None:
    bundle = small_bundle(weights=BundleWeights())
    bare = Bundle(bundle.manifest, {name: t for name, t in bundle.tensors.items() if not name.startswith("backbone.")})
    with pytest.raises(WeightsError, match=f"not those of backbone {NAME}"):
        DescriptorExtractor(bare, device="cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu(extractor: DescriptorExtractor) -> None:
    on_gpu = DescriptorExtractor(small_bundle(), batch_frames=256)
    assert on_gpu.device.type == "cuda"
    images, segments = pictures(3, 5), [unit_rows(1, 4, DIMENSION), unit_rows(2, 7, DIMENSION)]
    np.testing.assert_allclose(on_gpu.describe(images), extractor.describe(images), atol=1e-3)
    for ours, theirs in zip(on_gpu.encode(segments), extractor.encode(segments), strict=True):
        np.testing.assert_allclose(ours.frames, theirs.frames, atol=1e-3)
        np.testing.assert_allclose(ours.vector, theirs.vector, atol=1e-3)


def test_the_shipped_bundle_states_how_it_was_trained_and_from_which_weights() -> None:
    manifest = load_bundle(DEFAULT).manifest
    provenance = manifest.provenance
    assert manifest.name == DEFAULT
    assert isinstance(manifest.descriptor.frame.weights, BundleWeights)
    assert {"command", "pictures", "videos_held_out", "recipe", "seconds", "hardware", "metrics"} <= provenance.keys()
    assert PackageWeights.model_validate(provenance["started_from"]).licence == "Apache-2.0"
    assert (SHIPPED / DEFAULT / WEIGHTS).stat().st_size < 60e6


def test_the_bundle_that_training_started_from_is_shipped_without_weights() -> None:
    bundle = load_bundle("bootstrap")
    weights = bundle.manifest.descriptor.frame.weights
    assert weights == PackageWeights.model_validate(load_bundle(DEFAULT).manifest.provenance["started_from"])
    assert bundle.part("backbone") == {}
    assert (SHIPPED / "bootstrap" / WEIGHTS).stat().st_size < 2_000_000


def recompress(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "jpeg", quality=25)
    return np.array(Image.open(file))


def brighten(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.array(ImageEnhance.Brightness(Image.fromarray(image)).enhance(1.35))


def test_the_shipped_bundle_finds_an_edited_picture_next_to_its_original() -> None:
    extractor = DescriptorExtractor(load_bundle(DEFAULT), device="cpu")
    originals = [next(clip_frames(seed, 1.0, extractor.input_size, 1.0)) for seed in range(6)]
    described = extractor.describe(np.array(originals))
    for edit in (recompress, brighten):
        similarity = extractor.describe(np.array([edit(image) for image in originals])) @ described.T
        copies = np.diag(similarity)
        others = similarity[~np.eye(len(originals), dtype=bool)].reshape(len(originals), -1).max(axis=1)
        assert (copies > others + 0.1).all(), f"{edit.__name__}: {np.stack([copies, others]).round(2)}"
