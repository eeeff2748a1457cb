"""Which pictures show anything: black, flat and one-coloured frames are alike in all videos, and are not described."""

import numpy as np
from numpy.typing import NDArray

# Standard deviation of luma, in levels of 255. Black with coding noise stays below 3; a dim but readable picture of
# the development clips has more than 8.
MIN_CONTRAST = 5.0
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def informative(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the frames (N, H, W, 3) show anything, (N,)."""
    luma = images @ LUMA  # (N, H, W)
    contrast: NDArray[np.bool_] = luma.std(axis=(1, 2)) >= MIN_CONTRAST
    return contrast
