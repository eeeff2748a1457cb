"""Pictures in a picture are found by their borders, and nothing is found in a picture that is one."""

import numpy as np
import pytest

from tca_model.types import Image
from tca_model.video.panels import ENOUGH_FRAMES, Panel, PanelFinder
from tests.clips import drifting

HEIGHT, WIDTH = 180, 320
WITHIN = 2 / HEIGHT  # two pixels


def seen(frames: list[Image]) -> list[Panel]:
    finder = PanelFinder()
    for frame in frames:
        finder.add_frame(frame)
    return finder.panels


@pytest.mark.parametrize("box", [(20, 90, 15, 150), (85, 170, 150, 305), (50, 130, 90, 230)])
@pytest.mark.parametrize("frames", [ENOUGH_FRAMES, 20])
def test_an_inset_is_found(box: tuple[int, int, int, int], frames: int) -> None:
    top, bottom, left, right = box
    host = [frame.copy() for frame in drifting(1, frames)]
    for frame, inset in zip(host, drifting(2, frames, (right - left, bottom - top)), strict=True):
        frame[top:bottom, left:right] = inset
    (panel,) = seen(host)
    assert panel == pytest.approx((left / WIDTH, right / WIDTH, top / HEIGHT, bottom / HEIGHT), abs=WITHIN)


@pytest.mark.parametrize("axis", [0, 1])
def test_what_lies_side_by_side_is_parted(axis: int) -> None:
    pairs = zip(drifting(1, 8), drifting(2, 8), strict=True)
    length = (HEIGHT, WIDTH)[axis]
    first, second = seen([np.concatenate(pair, axis=axis)[: 2 * length] for pair in pairs])
    across = (slice(2, 4), slice(0, 2))[axis]  # which sides of a panel the border moves
    assert first[across] == pytest.approx((0, 0.5), abs=WITHIN)
    assert second[across] == pytest.approx((0.5, 1), abs=WITHIN)
    whole = (slice(0, 2), slice(2, 4))[axis]
    assert tuple(first)[whole] == tuple(second)[whole] == (0, 1)


def test_a_picture_between_others_is_a_part() -> None:
    frames = [
        np.concatenate(three, axis=1) for three in zip(*(drifting(n, 8, (107, HEIGHT)) for n in range(3)), strict=True)
    ]
    assert [panel.left for panel in seen(frames)] == pytest.approx([0, 1 / 3, 2 / 3], abs=WITHIN)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_found_in_a_picture_that_is_one(seed: int) -> None:
    assert seen(drifting(seed, 20)) == []


def test_a_still_says_nothing_however_long_it_is_shown() -> None:
    still = drifting(1, 1)[0].copy()
    still[50:130, 90:230] = 255
    assert seen([still] * 50) == []


def test_nothing_is_said_before_enough_frames_were_seen() -> None:
    frames = [np.concatenate(pair, axis=1) for pair in zip(drifting(1, 9), drifting(2, 9), strict=True)]
    finder = PanelFinder()
    for number, frame in enumerate(frames, start=1):
        finder.add_frame(frame)
        assert finder.has_seen_enough == (number >= ENOUGH_FRAMES)
        assert bool(finder.panels) == finder.has_seen_enough


def test_a_panel_that_goes_is_forgotten() -> None:
    halves = zip(drifting(1, 9, (WIDTH // 2, HEIGHT)), drifting(2, 9, (WIDTH // 2, HEIGHT)), strict=True)
    parted = [np.concatenate(pair, axis=1) for pair in halves]
    assert len(seen(parted)) == 2
    assert seen(parted + drifting(3, 25)) == []


def test_a_picture_of_another_shape_starts_again() -> None:
    parted = [np.concatenate(pair, axis=1) for pair in zip(drifting(1, 9), drifting(2, 9), strict=True)]
    assert seen([*parted, drifting(3, 1)[0]]) == []


@pytest.mark.parametrize("shape", [(1, 1), (2, 320), (180, 3), (7, 7)])
def test_a_tiny_picture_has_no_panels(shape: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, size=(9, *shape, 3), dtype=np.uint8)
    assert seen(list(frames)) == []
