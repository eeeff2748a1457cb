"""Frames that show nothing are distinguished from those that do."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tca_model.video.stills import Stills, distinctive_frames, informative

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


def noise(count: int, sigma: float, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, sigma, (count, SIZE, SIZE, 3))


def photograph(seconds: int, sigma: float, seed: int = 0) -> Images:
    """One picture full of detail for so long, each time with other noise."""
    picture = np.roll(scene(200), 70 * seed, axis=1) + np.random.default_rng(1).integers(0, 40, (SIZE, SIZE, 3))
    return np.clip(picture + noise(seconds, sigma, seed), 0, 255).astype(np.uint8)


def moving(seconds: int) -> Images:
    """An object that moves by a twentieth of the picture each second."""
    return np.stack([np.roll(scene(200), 11 * second, axis=1) for second in range(seconds)])


def seconds(*images: Images) -> tuple[list[float], list[bool]]:
    """Since when each is shown, one a second, and which distinguish their segment."""
    together = np.concatenate(images)
    times = np.arange(len(together), dtype=np.float64)
    since = Stills().track(times, together)
    return since.tolist(), distinctive_frames(times, since).tolist()


@pytest.mark.parametrize("sigma", [0, 2, 4])
def test_a_still_picture_is_described_once(sigma: float) -> None:
    since, kept = seconds(moving(3), photograph(10, sigma), moving(2))
    assert since == [0, 1, 2, *[3] * 10, 13, 14]
    assert kept == [True] * 4 + [False] * 9 + [True] * 2


@pytest.mark.parametrize("sigma", [0, 4])
@pytest.mark.parametrize("count", [3, 32])
def test_a_still_that_is_shown_alone_is_not_described(sigma: float, count: int) -> None:
    assert seconds(photograph(count, sigma))[1] == [False] * count
    assert seconds(np.zeros((2, SIZE, SIZE, 3), np.uint8), photograph(count, sigma))[1] == [False] * (count + 2)


def test_what_is_shown_briefly_is_described() -> None:
    assert seconds(photograph(2, 0))[1] == [True] * 2
    assert seconds(moving(1), photograph(4, 0))[1] == [True] * 5


def test_a_row_of_stills_is_described_by_one_frame_each() -> None:
    since, kept = seconds(*(photograph(8, 2, seed) for seed in range(3)))
    assert since == [0] * 8 + [8] * 8 + [16] * 8
    assert np.flatnonzero(kept).tolist() == [0, 8, 16]


def test_slow_and_small_movement_is_no_still() -> None:
    fade = np.stack([np.clip(scene(200) * (1 - second / 40), 0, 255).astype(np.uint8) for second in range(20)])
    small = np.stack([scene(200)] * 20)
    for second, image in enumerate(small):
        image[100:112, 5 * second : 5 * second + 12] = 0
    for images in (fade, small, moving(20)):
        assert all(seconds(images)[1][1:])


def test_a_still_is_distinguished_from_what_moves_in_another_view() -> None:
    whole, panel = moving(10), photograph(10, 2)
    images = np.stack([view for pair in zip(whole, panel, strict=True) for view in pair])
    times = np.repeat(np.arange(10, dtype=np.float64), 2)
    since = Stills().track(times, images)
    assert since[0::2].tolist() == list(range(10))
    assert since[1::2].tolist() == [0] * 10
    assert distinctive_frames(times, since).tolist() == [True, True] + [True, False] * 9


def test_how_the_frames_come_makes_no_difference() -> None:
    images = np.concatenate([moving(3), photograph(6, 2), moving(3)])
    times = np.arange(12, dtype=np.float64)
    at_once, parts = Stills().track(times, images), Stills()
    apart = [parts.track(times[n : n + 1], images[n : n + 1]) for n in range(12)]
    np.testing.assert_array_equal(np.concatenate(apart), at_once)
    assert parts.track(times[:0], images[:0]).shape == (0,)


def test_no_frames_are_accepted() -> None:
    assert distinctive_frames(np.empty(0), np.empty(0)).shape == (0,)
    assert not distinctive_frames(np.arange(3.0), np.full(3, np.nan)).any()


@pytest.mark.parametrize("views", [1, 3])
def test_stills_go_on_after_any_frame(views: int) -> None:
    """A slow drift, stills and cuts: whatever was shown before the interruption counts after it."""
    random = np.random.default_rng(3)
    scenes = random.integers(0, 256, (4, 40, 60, 3)).astype(np.int16)
    shown = random.integers(0, 4, (30, views)).repeat(3, axis=0)
    drift = np.cumsum(random.integers(-1, 2, len(shown)))
    images = np.clip(scenes[shown] + drift[:, None, None, None, None], 0, 255).astype(np.uint8)  # (T, V, H, W, 3)
    times = np.arange(len(images), dtype=np.float64).repeat(views)
    images = images.reshape(-1, *images.shape[2:])
    expected = Stills().track(times, images)
    assert len(set(expected)) > 5
    assert (expected < times).any()
    for cut in range(0, len(images), views):
        before = Stills()
        first = before.track(times[:cut], images[:cut])
        after = Stills(before.shown).track(times[cut:], images[cut:])
        np.testing.assert_array_equal(np.concatenate([first, after]), expected)
