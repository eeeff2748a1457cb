"""What is drawn: every template has its own pictures, other ones for every seed, and filters hide what lies below."""

import numpy as np
import pytest

from bench.alike.drawings import DRAWINGS, HELD_OUT_DRAWINGS, SHARED_DRAWINGS, find_drawing
from bench.alike.overlays import FOUR_CLIPS, LOOKS, ONE_CLIP
from bench.alike.words import SIZE


def pixels(name: str, seed: int, time_s: float) -> np.ndarray:
    return np.asarray(find_drawing(name)(seed)(time_s)).astype(int)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_differs_by_seed_and_moves_and_is_the_same_again(name: str) -> None:
    picture = pixels(name, 1, 4.0)
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    assert np.array_equal(picture, pixels(name, 1, 4.0))
    assert not np.array_equal(picture, pixels(name, 2, 4.0)), "no footage is shared"
    assert not np.array_equal(picture, pixels(name, 1, 8.5))


@pytest.mark.parametrize("name", [*DRAWINGS, *SHARED_DRAWINGS])
def test_whatever_the_seed_and_time_it_can_be_drawn(name: str) -> None:
    for seed in (0, 413, 999):
        for time_s in (0.0, 9.8):
            assert pixels(name, seed, time_s).shape == (SIZE[1], SIZE[0], 3)


def test_held_out_kinds_are_drawings_and_leave_more_to_fit_on() -> None:
    assert set(DRAWINGS) >= HELD_OUT_DRAWINGS
    assert 5 <= len(HELD_OUT_DRAWINGS) < len(DRAWINGS) / 2
    with pytest.raises(KeyError):
        find_drawing("opera")


@pytest.mark.parametrize("look", [*ONE_CLIP, *FOUR_CLIPS])
def test_a_look_changes_the_picture_but_leaves_others_apart(look: str) -> None:
    count = 4 if look in FOUR_CLIPS else 1
    one, other = ([find_drawing(name)(1)(2.0)] * count for name in ("cartoon speaker", "weather map"))
    seen, seen_other = (np.asarray(LOOKS[look](pictures, 1.0, 3)) for pictures in (one, other))
    assert seen.shape == (SIZE[1], SIZE[0], 3)
    assert not np.array_equal(seen, np.asarray(one[0]))
    assert not np.array_equal(seen, seen_other)


def test_a_grid_has_a_place_for_each_picture() -> None:
    pictures = [find_drawing(name)(1)(2.0) for name in ("slides", "chess", "clock", "weather map")]
    grid = np.asarray(LOOKS["grid of clips"](pictures, 0.0, 0))
    quarters = [grid[y : y + 90, x : x + 160] for y in (0, 90) for x in (0, 160)]
    for quarter, picture in zip(quarters, pictures, strict=True):
        assert np.array_equal(quarter, np.asarray(picture.resize((160, 90))))


def test_cards_and_bars_stand_still() -> None:
    for name in ("card", "colour bars"):
        assert np.array_equal(pixels(name, 1, 0.0), pixels(name, 1, 3.0))
    assert not np.array_equal(pixels("jingle", 1, 0.0), pixels("jingle", 1, 3.0))
