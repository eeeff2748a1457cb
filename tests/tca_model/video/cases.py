"""What tests of the video reader share: the samples of a clip, their times, and whether pictures belong to them."""

from pathlib import Path

import pytest

from tca_model.types import Frame
from tca_model.video.decode import sample_frames
from tests.clips import time_in

BRIGHTNESS_TOLERANCE_S = 0.45


def sample(path: Path, **arguments: object) -> list[Frame]:
    with path.open("rb") as file:
        return list(sample_frames(file, **arguments))


def times(frames: list[Frame]) -> list[float]:
    return [frame.timestamp_s for frame in frames]


def assert_pictures_belong(frames: list[Frame]) -> None:
    for frame in frames:
        assert time_in(frame.image) == pytest.approx(frame.timestamp_s, abs=BRIGHTNESS_TOLERANCE_S)
