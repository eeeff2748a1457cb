"""Which pictures show anything: black, flat and one-coloured frames are alike in all videos, and are not described.

Nor are title cards: a line of text on a plain ground looks like any other at the size that is described. Nor is a
stretch in which nothing moves: test pictures, cover art and photographs come back in videos that share nothing else.
"""

import numpy as np
from numpy.typing import NDArray

from tca_model.types import FloatArray

# Standard deviation of luma, in levels of 255. Black with coding noise stays below 3; a dim but readable picture of
# the development clips has more than 8.
MIN_CONTRAST = 5.0
# A picture is plain when this share of it lies within so many levels of its median luma. Title cards of the
# development clips have 0.97 and more, crowded screens 0.91, and no other picture 0.8.
PLAIN_SHARE = 0.93
PLAIN_LEVELS = 12
# Least cosine of a frame descriptor to the mean of its stretch, above which nothing moves. Photographs shown for
# 20 s have 0.9994 after strong compression, and 0.998 with a little noise; an empty room before a camera 0.992.
STILL = 0.998
FEWEST_STILL = 3  # of fewer frames nobody can tell
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def informative(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the frames (N, H, W, 3) show anything, (N,)."""
    if not len(images):
        return np.empty(0, np.bool_)
    luma = images @ LUMA  # (N, H, W)
    plain = np.abs(luma - np.median(luma, axis=(1, 2), keepdims=True)) <= PLAIN_LEVELS
    shown: NDArray[np.bool_] = (luma.std(axis=(1, 2)) >= MIN_CONTRAST) & (plain.mean(axis=(1, 2)) < PLAIN_SHARE)
    return shown


def is_still(frames: FloatArray) -> bool:
    """Whether nothing moves in a stretch of video with these frame descriptors (T, D), unit rows."""
    if len(frames) < FEWEST_STILL:
        return False
    mean = frames.mean(axis=0)
    return float((frames @ mean).min()) >= STILL * float(np.linalg.norm(mean))
