"""Progress is read as it was written, or refused."""

import numpy as np
import pytest

from services.ingest.progress import Progress
from tca_model.video.stills import Stills


def make_progress(views: int) -> Progress:
    stills = Stills()
    images = np.random.default_rng(1).integers(0, 256, (views, 40, 60, 3), dtype=np.uint8)
    stills.track(np.full(views, 7.5), images)
    assert len(stills.shown) == views
    return Progress(8.25, stills.shown, b"\x00checkpoint\xff")


@pytest.mark.parametrize("views", [0, 1, 3])
def test_everything_is_read(views: int) -> None:
    put = make_progress(views)
    got = Progress.from_bytes(put.to_bytes())
    assert (got.time_s, got.checkpoint) == (put.time_s, put.checkpoint)
    for (picture, first_s), (other, other_s) in zip(got.shown, put.shown, strict=True):
        np.testing.assert_array_equal(picture, other)
        assert first_s == other_s == 7.5


def test_a_changed_or_truncated_value_is_refused() -> None:
    value = make_progress(1).to_bytes()
    wrong = [value[:-1], value[:5], b"", value + b"x"]
    for place in range(0, len(value), 7):
        changed = bytearray(value)
        changed[place] ^= 0x10
        wrong.append(bytes(changed))
    for one in wrong:
        with pytest.raises(ValueError):  # noqa: PT011 - any of them
            Progress.from_bytes(one)
