"""What tests of the video reader share: the samples of a clip, their times, and whether pictures belong to them."""

from pathlib import Path
from typing import TypedDict, Unpack

import pytest

from tca_model.types import Frame
from tca_model.video.decode import DecodeLimits, sample_frames
from tests.clips import time_in

BRIGHTNESS_TOLERANCE_S = 0.45


class Sampling(TypedDict, total=False):
    """Arguments of `sample_frames`."""

    every_s: float
    size: tuple[int, int] | None
    panels: bool
    limits: DecodeLimits


def sample(path: Path, **arguments: Unpack[Sampling]) -> list[Frame]:
    with path.open("rb") as file:
        return list(sample_frames(file, **arguments))


def times(frames: list[Frame]) -> list[float]:
    return [frame.timestamp_s for frame in frames]


def assert_pictures_belong(frames: list[Frame]) -> None:
    for frame in frames:
        assert time_in(frame.image) == pytest.approx(frame.timestamp_s, abs=BRIGHTNESS_TOLERANCE_S)
