"""The effect of each filter on one picture."""

import numpy as np
import pytest

from tca_model.synthetic import filters
from tca_model.synthetic.clips import clip_frames
from tca_model.types import Image


@pytest.fixture
def image() -> Image:
    return next(clip_frames(7, 1.0, (160, 90)))


def moment(seed: int = 0, index: int = 0, other: Image | None = None) -> filters.Moment:
    return filters.Moment(np.random.default_rng(seed), index, other)


def difference(one: Image, two: Image) -> float:
    return float(np.abs(one.astype(float) - two.astype(float)).mean())


def test_two_flips_give_the_picture_again(image: Image) -> None:
    np.testing.assert_array_equal(filters.flip(filters.flip(image, moment()), moment()), image)


def test_crop_is_a_window_of_the_picture(image: Image) -> None:
    for seed in range(5):
        window = filters.crop(image, moment(seed))
        height, width, _ = window.shape
        assert 0.69 <= height / 90 <= 0.76
        assert 0.69 <= width / 160 <= 0.76
        places = np.lib.stride_tricks.sliding_window_view(image, window.shape).reshape(-1, *window.shape)
        assert any(np.array_equal(place, window) for place in places)


def test_vertical_crop_is_nine_by_sixteen(image: Image) -> None:
    assert filters.vertical_crop(image, moment()).shape == (90, 51, 3)


@pytest.mark.parametrize(("bars", "axis"), [(filters.letterbox, 0), (filters.pillarbox, 1)])
def test_bars_are_black_and_the_picture_stays_whole(image: Image, bars: filters.PictureFilter, axis: int) -> None:
    barred = np.moveaxis(bars(image, moment()), axis, 0)
    bar = image.shape[axis] // 6
    assert not barred[:bar].any()
    assert not barred[-bar:].any()
    np.testing.assert_array_equal(barred[bar:-bar], np.moveaxis(image, axis, 0))


def test_blurred_bars_keep_the_picture_in_the_middle(image: Image) -> None:
    for picture in (image, np.ascontiguousarray(image.swapaxes(0, 1))):
        barred = filters.blurred_bars(picture, moment())
        height, width, _ = picture.shape
        top, left = (barred.shape[0] - height) // 2, (barred.shape[1] - width) // 2
        np.testing.assert_array_equal(barred[top : top + height, left : left + width], picture)
        assert max(top, left) > 0


def test_gray_has_equal_channels(image: Image) -> None:
    assert np.ptp(filters.gray(image, moment()), axis=2).max() == 0


def test_tones_and_noise(image: Image) -> None:
    assert filters.dark(image, moment()).mean() < 0.6 * image.mean()
    assert filters.bright(image, moment()).mean() > 1.15 * image.mean()
    first, second = (filters.noise(image, moment(index=index)) for index in (0, 1))
    assert difference(first, image) > 8
    assert difference(first, second) > 8
    assert difference(filters.blur(first, moment()), image) < difference(first, image)


def test_colour_shifts_hue_but_not_gray(image: Image) -> None:
    red = np.zeros((4, 4, 3), np.uint8) + np.array([200, 30, 30], np.uint8)
    assert difference(filters.colour(red, moment()), red) > 20
    gray = filters.gray(image, moment())
    assert difference(filters.colour(gray, moment()), gray) < 1


def test_rotation_makes_the_corners_black_and_keeps_the_middle(image: Image) -> None:
    white = np.full_like(image, 255)
    turned = filters.rotation(white, moment())
    assert turned[45, 80].tolist() == [255, 255, 255]
    assert sum(not turned[row, column].any() for row in (0, -1) for column in (0, -1)) == 4


def test_camera_shows_the_whole_screen_in_front_of_a_wall(image: Image) -> None:
    white = np.full_like(image, 255)
    filmed = filters.camera(white, moment(2))
    seen = filmed.min(axis=2) > 180
    assert 0.5 < seen.mean() < 0.9
    assert seen[45, 80]
    assert not any(seen[row, column] for row in (0, -1) for column in (0, -1))
    assert not np.array_equal(filmed, filters.camera(white, moment(2, index=20)))


def test_logo_covers_one_corner(image: Image) -> None:
    changed = (filters.logo(image, moment()) != image).any(axis=2)
    corners = [changed[row : row + 45, column : column + 80].any() for row in (0, 45) for column in (0, 80)]
    assert corners.count(True) == 1
    assert 0.03 < changed.mean() < 0.2


def test_stickers_are_in_the_same_place_in_every_frame(image: Image) -> None:
    covered = [(filters.stickers(image, moment(index=index)) != image).any(axis=2) for index in (0, 9)]
    np.testing.assert_array_equal(*covered)
    assert 0.05 < covered[0].mean() < 0.5


def test_a_caption_is_below_the_whole_picture(image: Image) -> None:
    captioned = filters.caption_bar(image, moment())
    np.testing.assert_array_equal(captioned[:90], image)
    bar = captioned[90:]
    assert bar.shape == (18, 160, 3)
    assert bar[0].min() == 255
    assert bar.min() < 60


def test_picture_in_picture_covers_about_half_of_each_side_of_the_other(image: Image) -> None:
    black = np.zeros((120, 200, 3), np.uint8)
    inset = filters.picture_in_picture(np.full_like(image, 255), moment(other=black))
    assert inset.shape == black.shape
    assert 0.45 * 0.45 * 0.9 < inset.mean() / 255 < 0.6 * 0.6 * 1.05


def test_side_by_side_shows_both_pictures(image: Image) -> None:
    other = np.zeros_like(image)
    pair = filters.side_by_side(image, moment(other=other))
    assert pair.shape == (90, 320, 3)
    halves = [pair[:, :160], pair[:, 160:]]
    assert any(np.array_equal(half, image) for half in halves)
    assert any(np.array_equal(half, other) for half in halves)
