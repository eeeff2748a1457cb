import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tca_model.config import FrameConfig, RandomWeights
from tca_model.networks.backbone import Backbone, load_backbone
from tca_model.networks.frame_descriptor import FrameDescriptor
from tca_model.networks.pooling import imac, irmac
from tca_model.networks.whitening import Whitening

NAME, SIDE, DIMENSION = "test_efficientnet", 64, 10
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def config(**changes: object) -> FrameConfig:
    values = {"backbone": NAME, "weights": RandomWeights(seed=0), "input_px": SIDE, "mean": MEAN, "std": STD}
    return FrameConfig.model_validate(values | {"dimension": DIMENSION} | changes)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone(NAME, RandomWeights(seed=0), {})


@pytest.fixture(scope="module")
def whitening(backbone: Backbone) -> Whitening:
    numbers = torch.Generator().manual_seed(0)
    width = sum(backbone.channels)
    return Whitening(torch.rand(width, generator=numbers) * 0.1, torch.randn(width, DIMENSION, generator=numbers))


def pictures(seed: int, count: int = 3) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8))


def normalise_slowly(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Channels first, from 0..255 to 0..1, minus the mean, divided by the standard deviation."""
    planes = np.empty((3, SIDE, SIDE))
    for channel in range(3):
        for y in range(SIDE):
            for x in range(SIDE):
                planes[channel, y, x] = (picture[y, x, channel] / 255 - MEAN[channel]) / STD[channel]
    return planes


@pytest.mark.parametrize(("pooling", "pool"), [("l3-irmac", irmac), ("l3-imac", imac)])
def test_it_normalises_then_runs_the_backbone_then_pools_then_whitens(
    backbone: Backbone, whitening: Whitening, pooling: str, pool: object
) -> None:
    assert callable(pool)
    images = pictures(1)
    describe = FrameDescriptor(config(pooling=pooling), backbone, whitening).eval()
    normalised = torch.from_numpy(np.array([normalise_slowly(picture) for picture in images.numpy()])).float()
    with torch.inference_mode():
        pooled = torch.cat([pool(stage) for stage in backbone(normalised)], dim=1)
        torch.testing.assert_close(describe(images), whitening(pooled), atol=1e-4, rtol=1e-3)
        unwhitened = FrameDescriptor(config(pooling=pooling), backbone, None).eval()(images)
    assert unwhitened.shape == (3, sum(backbone.channels))
    torch.testing.assert_close(unwhitened, pooled, atol=1e-4, rtol=1e-3)


def test_rows_have_length_1_and_do_not_depend_on_the_batch(backbone: Backbone, whitening: Whitening) -> None:
    describe = FrameDescriptor(config(), backbone, whitening).eval()
    images = pictures(2)
    before = images.clone()
    with torch.inference_mode():
        together = describe(images)
        single = torch.cat([describe(image[None]) for image in images])
    assert torch.equal(images, before)
    assert together.shape == (3, DIMENSION)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(together, single, atol=1e-5, rtol=1e-4)


def test_pictures_without_information_are_described_too(backbone: Backbone, whitening: Whitening) -> None:
    describe = FrameDescriptor(config(), backbone, whitening).eval()
    flat = torch.stack([torch.full((SIDE, SIDE, 3), level, dtype=torch.uint8) for level in (0, 102, 255)])
    with torch.inference_mode():
        assert describe(flat).isfinite().all()


def test_the_order_of_channels_matters(backbone: Backbone, whitening: Whitening) -> None:
    describe = FrameDescriptor(config(), backbone, whitening).eval()
    images = pictures(3)
    with torch.inference_mode():
        assert not torch.allclose(describe(images), describe(images.flip(3)), atol=1e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu(whitening: Whitening) -> None:
    describe = FrameDescriptor(config(), load_backbone(NAME, RandomWeights(seed=0), {}), whitening).eval()
    images = pictures(4)
    with torch.inference_mode():
        expected = describe(images)
        described = describe.cuda()(images.cuda())
    whitening.cpu()
    assert described.is_cuda
    torch.testing.assert_close(described.cpu(), expected, atol=1e-3, rtol=1e-3)


def test_under_autocast_only_the_convolutions_lose_precision(backbone: Backbone, whitening: Whitening) -> None:
    describe = FrameDescriptor(config(), backbone, whitening).eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        descriptors = describe(pictures(2))
    assert descriptors.dtype == torch.float32
    # rows in bfloat16 would miss the unit length by up to 0.4 %
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(describe(pictures(2)).detach(), descriptors, atol=0.05, rtol=0)
