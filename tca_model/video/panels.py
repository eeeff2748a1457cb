"""Pictures in a picture: rectangles within the frames of a video that show something of their own.

A copy that fills a small part or one half of another video hardly affects the whole frame's descriptor. Its border
gives it away: its two sides are unrelated, so brightness jumps along the whole border in every frame, whatever moves.
Edges of objects are interrupted, or move.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tca_model.types import FloatArray, Image

ENOUGH_FRAMES = 4  # distinct frames needed; with fewer, too many edges are static
LOOK_AGAIN_FRAMES = 3  # distinct frames from one look to the next
MEMORY_FRAMES = 12  # a panel that disappears is forgotten within about this many frames
SMALLEST_LOOK_PX = 32  # on either side; smaller pictures cannot separate borders
STIRRED = 2.0  # mean difference, of 255, that makes a frame distinct; in a still picture every edge is static
# A step counts if it exceeds STEP levels, and STANDS_OUT times the steps AROUND_PX to either side; texture does not.
STEP = 8
STANDS_OUT = 1.5
AROUND_PX = 3
# How often places on a border step, and places elsewhere: the odds by which `_lines` weighs runs of steps.
STEPS_ON_BORDER, STEPS_ELSEWHERE = 0.6, 0.1
LINES = 16  # the strongest vertical and the strongest horizontal lines; rectangles are made of them
SMALLEST_SIDE, SMALLEST_AREA, LARGEST_SIDE = 0.12, 0.05, 0.9  # shares of the picture
# Lowest share of steps: on an inset's weakest side, on its four sides on average, and on a vertical or horizontal line
# that divides the whole picture. Horizons are horizontal, hence the higher bound.
WEAKEST_SIDE, MEAN_SIDE = 0.45, 0.55
PARTING_VERTICAL, PARTING_HORIZONTAL = 0.6, 0.75
PARTS = 0.2  # smallest share of height or width that a part can have
MOST_VIEWS = 1 + round(1 / PARTS)  # of a frame: the whole, and its parts
OVERLAP_PX = 2  # lines this close are one border


class Panel(NamedTuple):
    """A rectangle in shares of the picture's width and height, half-open."""

    left: float
    right: float
    top: float
    bottom: float


class PanelMemory(NamedTuple):
    """What a PanelFinder remembers of the frames so far; nothing in it is ever changed.

    last         (H, W) green of the last distinct frame
    vertical     (H, W) share of the frames in which the picture steps from left to right
    horizontal   (H, W) the same from top to bottom
    seen         number of distinct frames
    panels       the parts of a divided picture, else its best inset
    """

    last: NDArray[np.int16] | None = None
    vertical: FloatArray = np.zeros((0, 0), np.float32)
    horizontal: FloatArray = np.zeros((0, 0), np.float32)
    seen: int = 0
    panels: tuple[Panel, ...] = ()


class PanelFinder:
    """Tracks the panels in the frames of one video that were seen so far; `memory`: of a finder that it continues."""

    def __init__(self, memory: PanelMemory | None = None) -> None:
        self._last, self._vertical, self._horizontal, self._seen, panels = memory or PanelMemory()
        self.panels = list(panels)

    @property
    def memory(self) -> PanelMemory:
        return PanelMemory(self._last, self._vertical, self._horizontal, self._seen, tuple(self.panels))

    @property
    def has_seen_enough(self) -> bool:
        """Whether enough frames were seen for `panels` to be meaningful."""
        return self._seen >= ENOUGH_FRAMES

    def add_frame(self, image: Image) -> None:
        """Take in the next frame, RGB (H, W, 3), at most 320 px wide. A frame of another shape starts again."""
        luma = image[:, :, 1].astype(np.int16)  # green is most of what the eye calls bright
        if self._last is None or self._last.shape != luma.shape:
            self._vertical = self._horizontal = np.zeros(luma.shape, np.float32)
            self._seen, self.panels = 0, []
        elif np.abs(luma - self._last).mean() < STIRRED:
            return
        self._last = luma
        self._seen += 1
        share = 1 / min(self._seen, MEMORY_FRAMES)
        self._vertical = (1 - share) * self._vertical + share * _steps(luma)
        self._horizontal = (1 - share) * self._horizontal + share * _steps(luma.T).T
        is_time = self.has_seen_enough and (self._seen - ENOUGH_FRAMES) % LOOK_AGAIN_FRAMES == 0
        if is_time and min(luma.shape) >= SMALLEST_LOOK_PX:
            self.panels = _split_by_lines(self._vertical, self._horizontal) or _inset(self._vertical, self._horizontal)


def _split_by_lines(vertical: FloatArray, horizontal: FloatArray) -> list[Panel]:
    """The parts of a picture that vertical lines divide from edge to edge, else horizontal ones; empty if none do."""
    columns, rows = _parts(vertical.mean(axis=0), PARTING_VERTICAL), _parts(horizontal.mean(axis=1), PARTING_HORIZONTAL)
    if len(columns) > 1:
        return [Panel(start, end, 0.0, 1.0) for start, end in columns]
    return [Panel(0.0, 1.0, start, end) for start, end in rows if len(rows) > 1]


def _steps(luma: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Where a picture (H, W) steps from left to right: by more than STEP, and more than in the columns around."""
    step = np.zeros_like(luma)
    step[:, 1:-1] = np.abs(luma[:, 2:] - luma[:, :-2])
    around = np.zeros_like(luma)
    around[:, AROUND_PX:] = step[:, :-AROUND_PX]
    around[:, :-AROUND_PX] = np.maximum(around[:, :-AROUND_PX], step[:, AROUND_PX:])
    return (step > STEP) & (step > STANDS_OUT * around)


def _parts(shares: FloatArray, least: float) -> list[tuple[float, float]]:
    """Start and end of the parts between lines whose share of steps (W,) is `least` or more, in shares of the width."""
    width = len(shares)
    cuts = [0]
    for place in np.argsort(-shares, kind="stable"):
        if shares[place] < least:
            break
        if min(abs(int(place) - cut) for cut in [*cuts, width]) >= PARTS * width:
            cuts.append(int(place))
    edges = [cut / width for cut in sorted([*cuts, width])]
    return list(pairwise(edges))


def _inset(vertical: FloatArray, horizontal: FloatArray) -> list[Panel]:
    """The rectangle whose sides look most like borders; empty if none qualifies."""
    height, width = vertical.shape
    columns, rows = _lines(vertical), _lines(horizontal.T)
    left, right = _pairs(columns, width)
    top, bottom = _pairs(rows, height)
    if not len(left) or not len(top):
        return []
    down = np.vstack([np.zeros((1, width), np.float32), vertical.cumsum(axis=0)])
    across = np.hstack([np.zeros((height, 1), np.float32), horizontal.cumsum(axis=1)])
    # (pairs of columns, pairs of rows): each rectangle's four sides.
    tall, wide = (bottom - top)[None, :], (right - left)[:, None]
    sides = np.stack(
        [
            (down[bottom][:, left] - down[top][:, left]).T / tall,
            (down[bottom][:, right] - down[top][:, right]).T / tall,
            (across[top][:, right] - across[top][:, left]).T / wide,
            (across[bottom][:, right] - across[bottom][:, left]).T / wide,
        ]
    )
    weakest, mean = sides.min(axis=0), sides.mean(axis=0)
    is_inset = (weakest >= WEAKEST_SIDE) & (mean >= MEAN_SIDE) & (tall * wide >= SMALLEST_AREA * height * width)
    best = int(np.where(is_inset, weakest + mean, -1).argmax())
    across_pair, down_pair = divmod(best, len(top))
    if not is_inset[across_pair, down_pair]:
        return []
    return [
        Panel(
            float(left[across_pair] / width),
            float(right[across_pair] / width),
            float(top[down_pair] / height),
            float(bottom[down_pair] / height),
        )
    ]


def _lines(shares: FloatArray) -> NDArray[np.intp]:
    """The columns that hold the strongest runs of steps, ascending: maximum subarrays of log-likelihood ratios."""
    gain = shares * np.log(STEPS_ON_BORDER / STEPS_ELSEWHERE)
    gain += (1 - shares) * np.log((1 - STEPS_ON_BORDER) / (1 - STEPS_ELSEWHERE))
    best = running = np.zeros(shares.shape[1], np.float32)
    for row in gain:
        running = np.maximum(running + row, 0)
        best = np.maximum(best, running)
    lines: list[int] = []
    while len(lines) < LINES and best.max() > 0:
        line = int(best.argmax())
        lines.append(line)
        best[max(0, line - OVERLAP_PX) : line + OVERLAP_PX + 1] = 0
    return np.array(sorted(lines), dtype=np.intp)


def _pairs(lines: NDArray[np.intp], length: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and second line of each pair that is as far apart as opposite sides of an inset can be."""
    first, second = np.triu_indices(len(lines), k=1)
    apart = lines[second] - lines[first]
    fits = (apart >= SMALLEST_SIDE * length) & (apart <= LARGEST_SIDE * length)
    return lines[first[fits]], lines[second[fits]]
