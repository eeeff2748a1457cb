"""Which pictures distinguish videos: black, flat and one-coloured frames look alike, and are not described.

Title cards are not described either: at the size that is described, one line of text on a plain ground looks like any
other. Of a still picture only the first frame is described; if a segment shows nothing but one still picture, none is.
Test pictures, cover art and photographs recur in videos that share nothing else, and a long still would weigh like a
long copy.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tca_model.types import FloatArray, Times

# Standard deviation of luma, in levels of 255. Black with coding noise stays below 3; a dim but readable picture of
# the development clips has more than 8.
MIN_CONTRAST = 5.0
# A picture is plain if this share of it lies within PLAIN_LEVELS of its median luma. Title cards of the
# development clips have 0.97 and more, crowded screens 0.91, and no other picture 0.8.
PLAIN_SHARE = 0.93
PLAIN_LEVELS = 12
# Two pictures are the same if no block of a grid differs in mean luma by more than SAME_SHARE of the picture's contrast
# or SAME_LEVELS, whichever is larger. Photographs shown for 20 s stay within 0.8 levels after strong compression and
# 1.3 with noise of 4; from one second to the next the calmest development clips nearly always differ by 6 or more.
GRID = 20
SAME_SHARE, SAME_LEVELS = 0.06, 1.5
LONG_S = 4.0  # a picture shown this long is a still; almost no picture of the development clips is
FEWEST_STILL = 3  # frames of a segment's only picture that make it a still; with fewer it could be a coincidence
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def informative(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the frames (N, H, W, 3) show anything, as booleans (N,)."""
    return _shows(images @ LUMA)


def _shows(luma: FloatArray) -> NDArray[np.bool_]:
    if not len(luma):
        return np.empty(0, np.bool_)
    plain = np.abs(luma - np.median(luma, axis=(1, 2), keepdims=True)) <= PLAIN_LEVELS
    shown: NDArray[np.bool_] = (luma.std(axis=(1, 2)) >= MIN_CONTRAST) & (plain.mean(axis=(1, 2)) < PLAIN_SHARE)
    return shown


class Stills:
    """Remembers when each picture of one video was first shown; its frames come in time order.

    Frames with equal times are views of one frame; each is compared with every view of the previous time.
    """

    def __init__(self, shown: Sequence[tuple[FloatArray, float]] = ()) -> None:
        """`shown`: of another one, to go on after its last frame."""
        self._time = -np.inf
        self._now = list(shown)  # block means, and when the picture was first shown
        self._before: list[tuple[FloatArray, float]] = []

    @property
    def shown(self) -> tuple[tuple[FloatArray, float], ...]:
        """Block means of the views of the last frame, and when each picture was first shown."""
        return tuple(self._now)

    def track(self, times: Times, images: NDArray[np.uint8]) -> Times:
        """Follow the next frames (N, H, W, 3) at `times` (N,).

        Returns when the picture of each was first shown, (N,) seconds; NaN if it shows nothing.
        """
        luma = images @ LUMA  # (N, H, W)
        shows = _shows(luma)
        first_shown = np.full(len(times), np.nan)
        for n in np.flatnonzero(shows):
            first_shown[n] = self._look(float(times[n]), luma[n])
        return first_shown

    def _look(self, time_s: float, luma: FloatArray) -> float:
        if time_s != self._time:
            self._time, self._before, self._now = time_s, self._now, []
        picture, same = _blocks(luma), max(SAME_LEVELS, SAME_SHARE * float(luma.std()))
        for earlier, first_s in self._before:
            if np.abs(picture - earlier).max() <= same:
                picture, shown_s = earlier, first_s  # a slow drift must not count as standing still
                break
        else:
            shown_s = time_s
        self._now.append((picture, shown_s))
        return shown_s


def _blocks(luma: FloatArray) -> FloatArray:
    """Mean of each block of a grid, GRID or more per side; the pixels themselves if the picture is small."""
    height, width = (max(1, side // GRID) for side in luma.shape)
    rows, columns = luma.shape[0] // height, luma.shape[1] // width
    whole = luma[: rows * height, : columns * width]
    means: FloatArray = whole.reshape(rows, height, columns, width).mean(axis=(1, 3))
    return means


def distinctive_frames(times: Times, first_shown: Times) -> NDArray[np.bool_]:
    """Which frames (N,) of a segment distinguish it, by their times and when their pictures were first shown."""
    shown = ~np.isnan(first_shown)
    pictures = set(first_shown[shown].tolist())
    last = {first_s: float(times[first_shown == first_s].max()) for first_s in pictures}
    still = {first_s for first_s in pictures if last[first_s] - first_s >= LONG_S}
    if len(pictures) == 1 and shown.sum() >= FEWEST_STILL:
        still = pictures
    kept: NDArray[np.bool_] = shown & (~np.isin(first_shown, list(still)) | (times == first_shown))
    if len(pictures := set(first_shown[kept].tolist())) == 1 and pictures <= still:
        kept[:] = False
    return kept
