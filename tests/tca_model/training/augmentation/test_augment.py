"""Training edits: each changes pictures within range, and the same way for the same seed."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tca_model.training.augmentation import degrade, warp
from tca_model.training.augmentation.augment import Augment
from tca_model.training.augmentation.draw import Draw
from tca_model.training.augmentation.overlays import COUNT, SIDE_PX, draw_overlays, overlay

CPU = torch.device("cpu")
SIDE = 64


def draw(*seeds: int) -> Draw:
    return Draw.from_seeds(CPU, *seeds)


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Smooth random pictures (24, 3, 64, 64), all different."""
    rough = torch.rand(24, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(rough, size=(SIDE, SIDE), mode="bicubic").clamp(0, 1)


@pytest.fixture(scope="module")
def pixels(images: Tensor) -> Tensor:
    return (images * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


EDITS = {
    **{name: getattr(degrade, name) for name in ("colour", "light", "blur", "noise", "coarse", "compress")},
    **{name: getattr(warp, name) for name in ("frame_in_frame", "stack", "bars")},
    "warp": lambda images, numbers: warp.warp(images, numbers, SIDE),
    "overlay": lambda images, numbers: overlay(images, numbers, draw_overlays()),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_keeps_shape_and_range_and_depends_only_on_the_seed(name: str, images: Tensor) -> None:
    before = images.clone()
    edited = EDITS[name](images, draw(1))
    assert edited.shape == images.shape
    assert float(edited.min()) >= 0
    assert float(edited.max()) <= 1
    assert torch.equal(edited, EDITS[name](images, draw(1)))
    assert not torch.equal(edited, EDITS[name](images, draw(2)))
    assert torch.equal(images, before)


def test_warping_without_a_change_gives_the_same_picture(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Draw, "chance", lambda _, count, probability: torch.full((count,), probability == 0.35))
    torch.testing.assert_close(warp.warp(images, draw(0), SIDE), images, atol=1e-5, rtol=0)


def test_a_placed_picture_fills_its_rectangle_and_nothing_else() -> None:
    white, black = torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    placed = warp.place(white, black, torch.tensor([[-0.5, 0.0]]), torch.tensor([[0.5, 1.0]]))
    assert torch.equal(placed[0, 0, :, :4], torch.ones(8, 4))
    assert torch.equal(placed[0, 0, :, 4:], torch.zeros(8, 4))


def test_both_stacked_pictures_are_shown(images: Tensor) -> None:
    flat = torch.arange(1.0, 25.0).view(24, 1, 1, 1).expand_as(images) / 25
    for own, stacked in zip(flat, warp.stack(flat, draw(3)), strict=True):
        shown = stacked.unique()
        assert own[0, 0, 0] in shown
        assert len(shown) <= 3  # its own, the other's, black bars


def test_blur_keeps_flat_pictures_and_the_mean() -> None:
    flat = torch.full((3, 3, SIDE, SIDE), 0.3)
    torch.testing.assert_close(degrade.blur(flat, draw(0)), flat)


def test_compression_resembles_jpeg(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Draw, "uniform", lambda _, count, *__: torch.full((count,), 20.0))
    ours = degrade.compress(images, draw(0))
    for image, compressed in zip(images[:4], ours, strict=False):
        buffer = io.BytesIO()
        original = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        Image.fromarray(original).save(buffer, "JPEG", quality=20, subsampling=0)
        jpeg = np.asarray(Image.open(buffer), dtype=np.float32)
        # the same losses, except for the table for colours
        assert (
            np.abs(compressed.permute(1, 2, 0).numpy() * 255 - jpeg).mean() < 0.6 * np.abs(jpeg - original).mean() + 2
        )


def test_a_gray_picture_has_equal_channels(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Draw, "chance", lambda _, count, __: torch.ones(count, dtype=torch.bool))
    monkeypatch.setattr(Draw, "normal", lambda _, count, __, *shape: torch.zeros(count, *shape))
    gray = degrade.colour(images * 0.2 + 0.4, draw(0))
    assert float((gray - gray.mean(dim=1, keepdim=True)).abs().max()) < 1e-4


def test_overlays_are_partly_transparent() -> None:
    drawn = draw_overlays()
    assert drawn.shape == (COUNT, 4, SIDE_PX, SIDE_PX)
    covered = (drawn[:, 3] > 0).float().mean(dim=(1, 2))
    assert float(covered.min()) > 0.02
    assert float(covered.max()) < 1


def test_weak_views_stay_similar_and_strong_ones_do_not(pixels: Tensor) -> None:
    augment = Augment(SIDE, CPU)
    plain, weak, strong = augment.plain(pixels), augment.weak(pixels, draw(0)), augment.strong(pixels, draw(0))
    assert plain.shape == weak.shape == strong.shape == (24, 3, SIDE, SIDE)

    def distance(views: Tensor) -> float:
        return float((avg_pool2d(views, 8) - avg_pool2d(plain, 8)).abs().mean())

    assert distance(weak) < 0.4 * distance(strong)
    assert math.isclose(distance(plain), 0)


def test_sizes_that_are_not_whole_blocks_are_rejected() -> None:
    with pytest.raises(ValueError, match="multiple of 8, got 100"):
        Augment(100, CPU)


def test_every_seed_changes_the_numbers() -> None:
    drawn = {float(draw(*seeds).uniform(1, 0, 1)) for seeds in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0))}
    assert len(drawn) == 5
    assert sorted(draw(4).order(5).tolist()) == list(range(5))


VIDEO_EDITS = [name for name in EDITS if name != "noise"]


@pytest.mark.parametrize("name", VIDEO_EDITS)
def test_frames_of_a_video_are_edited_in_the_same_way(name: str, images: Tensor) -> None:
    frames = images[:3].repeat_interleave(4, dim=0)  # three videos, each a still of four frames
    edited = EDITS[name](frames, Draw.from_seeds(CPU, 1, frames=4)).unflatten(0, (3, 4))
    torch.testing.assert_close(edited, edited[:, :1].expand_as(edited))
    assert not torch.equal(edited[0, 0], edited[1, 0])


def test_videos_are_permuted_as_a_whole() -> None:
    order = Draw.from_seeds(CPU, 2, frames=3).order(12).view(4, 3)
    assert torch.equal(order, order[:, :1] + torch.arange(3))
    assert sorted(order.flatten().tolist()) == list(range(12))


def test_half_a_video_is_rejected() -> None:
    with pytest.raises(ValueError, match="7 images are not whole videos of 4 frames"):
        Draw.from_seeds(CPU, 2, frames=4).chance(7, 0.5)
