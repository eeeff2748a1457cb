"""Values that pass between the stages of the model."""

import numpy as np
import pytest

from tca_model.types import VideoDescriptor


def stretch(start_s: float, count: int, dimension: int = 3) -> VideoDescriptor:
    """One unit vector a second."""
    return VideoDescriptor(
        start_s + np.arange(count, dtype=np.float64), np.eye(max(count, 1), dimension, dtype=np.float32)[:count]
    )


def test_stretches_of_a_video_make_one_descriptor() -> None:
    whole = VideoDescriptor.concatenate([stretch(0, 3), stretch(3, 2)])
    np.testing.assert_array_equal(whole.timestamps_s, range(5))
    np.testing.assert_array_equal(whole.frames, np.eye(3)[[0, 1, 2, 0, 1]])


def test_a_stretch_without_frames_adds_nothing_whatever_its_width() -> None:
    whole = VideoDescriptor.concatenate([stretch(0, 0, 1), stretch(1, 2), stretch(3, 0)])
    np.testing.assert_array_equal(whole.timestamps_s, [1, 2])
    assert len(VideoDescriptor.concatenate([stretch(0, 0)])) == 0


def test_stretches_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="backwards"):
        VideoDescriptor.concatenate([stretch(3, 2), stretch(0, 3)])
    with pytest.raises(ValueError, match="at least one"):
        VideoDescriptor.concatenate([])
