"""Black bars: what letterboxing and pillarboxing add around a picture before it is uploaded again."""

import numpy as np
from numpy.typing import NDArray

from tca_model.types import Image

# Highest brightest-channel value (of 255) that counts as black: video codecs leave ringing up to about 16 in bars.
BLACK = 24
# A row or column belongs to a bar if this share of it is black: noise and compression leave single brighter pixels.
BAR_SHARE = 0.98
# Share of height or width; a smaller remainder is a dark scene with one light in it, not a picture between bars.
SMALLEST_REST = 0.35
# Share of height or width; less is a soft edge, which moves from frame to frame.
SMALLEST_BARS = 0.03


def inside_bars(image: Image) -> tuple[slice, slice]:
    """Rows and columns of the picture inside the black bars of an image (H, W, 3); all of them if it has none.

    Applied to every frame of every video, copies and originals, before it is squashed: the backbone then sees the same
    picture in a letterboxed copy as in its original.
    """
    black = image.max(axis=2) <= BLACK
    rows = _inside(black.mean(axis=1))
    columns = _inside(black[rows].mean(axis=0))
    height, width = black.shape
    rest = min((rows.stop - rows.start) / height, (columns.stop - columns.start) / width)
    return (rows, columns) if SMALLEST_REST <= rest <= 1 - SMALLEST_BARS else (slice(0, height), slice(0, width))


def _inside(black_share: NDArray[np.float64]) -> slice:
    """Rows or columns between the bars; all of them if everything is black."""
    lit = np.flatnonzero(black_share < BAR_SHARE)
    return slice(int(lit[0]), int(lit[-1]) + 1) if len(lit) else slice(0, len(black_share))
