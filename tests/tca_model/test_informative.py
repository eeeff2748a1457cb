"""Frames that show nothing are told from those that do."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tca_model.informative import informative, is_still
from tca_model.types import FloatArray

SIZE = 224
Images = NDArray[np.uint8]


def flat(colour: tuple[int, int, int], sigma: float = 0) -> Images:
    noise = np.random.default_rng(1).normal(0, sigma, (SIZE, SIZE, 3))
    return np.clip(np.array(colour) + noise, 0, 255).round().astype(np.uint8)


def scene(brightest: int) -> Images:
    """A gradient with an object in it, as bright as that."""
    image = np.linspace(0, 0.7 * brightest, SIZE)[np.newaxis, :, np.newaxis].repeat(SIZE, axis=0).repeat(3, axis=2)
    image[80:140, 80:140] = brightest
    return image.astype(np.uint8)


def text(lines: int, ground: int = 0) -> Images:
    """Lines of fourteen letters, 4 by 12, on a plain ground."""
    image = np.full((SIZE, SIZE, 3), ground, np.uint8)
    for line in range(lines):
        for left in range(40, 180, 10):
            image[20 + 20 * line : 32 + 20 * line, left : left + 4] = 255 - ground
    return image


@pytest.mark.parametrize(
    ("image", "shows"),
    [
        (flat((0, 0, 0)), False),
        (flat((16, 16, 16)), False),
        (flat((255, 255, 255)), False),
        (flat((0, 0, 200)), False),
        (flat((4, 4, 4), sigma=2), False),
        (flat((120, 30, 200), sigma=2), False),
        (scene(255), True),
        (scene(40), True),
        (255 - scene(255), True),
        (text(lines=1), False),
        (text(lines=2, ground=255), False),
        (text(lines=9), True),
    ],
    ids=[
        *("black", "video-black", "white", "blue", "noisy-black", "noisy-purple"),
        *("scene", "dim-scene", "bright-scene", "title-card", "light-card", "page"),
    ],
)
def test_a_frame_is_informative_when_it_shows_something(image: Images, shows: bool) -> None:
    assert informative(image[np.newaxis]).tolist() == [shows]


def test_each_frame_is_judged_by_itself_and_none_is_changed() -> None:
    images = np.stack([flat((0, 0, 0)), scene(200), flat((9, 9, 9))])
    before = images.copy()
    assert informative(images).tolist() == [False, True, False]
    np.testing.assert_array_equal(images, before)


def test_no_frames_are_no_answer() -> None:
    assert informative(np.empty((0, 8, 8, 3), np.uint8)).shape == (0,)


def stretch(count: int, noise: float, seed: int = 0) -> FloatArray:
    """Descriptors of one picture, each a little off by so much, as compression does it."""
    rng = np.random.default_rng(seed)
    frames = rng.standard_normal(64) / 8 + noise * rng.standard_normal((count, 64)) / 8
    return (frames / np.linalg.norm(frames, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("count", "noise", "still"), [(32, 0.02, True), (3, 0.02, True), (32, 0.2, False)])
def test_a_stretch_is_still_when_nothing_moves(count: int, noise: float, still: bool) -> None:
    assert is_still(stretch(count, noise)) == still


def test_one_frame_that_differs_is_movement() -> None:
    frames = stretch(32, 0.02)
    frames[20] = stretch(1, 0.0, seed=1)[0]
    assert not is_still(frames)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_of_fewer_than_three_frames_nobody_can_tell(count: int) -> None:
    assert not is_still(stretch(count, 0.0))
