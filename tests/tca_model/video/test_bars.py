import numpy as np
import pytest

from tca_model.types import Image
from tca_model.video.bars import inside_bars

ALL = (slice(0, 60), slice(0, 80))


def picture(height: int = 60, width: int = 80) -> Image:
    return np.random.default_rng(0).integers(40, 256, size=(height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("top", "bottom", "left", "right"), [(20, 20, 0, 0), (0, 0, 30, 25), (10, 12, 8, 9), (0, 15, 0, 0)]
)
@pytest.mark.parametrize("black", [0, 16])
def test_the_picture_between_bars_is_returned(top: int, bottom: int, left: int, right: int, black: int) -> None:
    boxed = np.pad(picture(), ((top, bottom), (left, right), (0, 0)), constant_values=black)
    boxed.flags.writeable = False
    assert np.array_equal(boxed[inside_bars(boxed)], picture())


def test_a_picture_without_bars_stays_whole() -> None:
    whole = picture()
    assert inside_bars(whole) == ALL


@pytest.mark.parametrize("lit", [(slice(30, 40), slice(0, 80)), (slice(0, 60), slice(60, 75)), (slice(0, 0), slice(0))])
def test_a_dark_scene_is_no_picture_between_bars(lit: tuple[slice, slice]) -> None:
    night = np.zeros((60, 80, 3), np.uint8)
    night[lit] = 200
    assert inside_bars(night) == ALL


def test_a_soft_edge_is_no_bar() -> None:
    edged = picture()
    edged[0] = 0
    assert inside_bars(edged) == ALL


def test_single_bright_pixels_do_not_hide_a_bar() -> None:
    boxed = np.pad(picture(), ((20, 20), (0, 0), (0, 0)))
    boxed[5, 40] = 90
    assert np.array_equal(boxed[inside_bars(boxed)], picture())
