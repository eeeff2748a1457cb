"""Pictures in a picture: rectangles within the frames of a video that show something of their own.

A copy that lies small in another video, or beside it, is hardly seen in a descriptor of the whole frame. Its border
gives it away: what lies on its two sides has nothing to do with each other, so that the picture steps all along it, in
frame after frame, whatever moves. Edges of things break off, or move.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tca_model.types import FloatArray, Image

ENOUGH_FRAMES = 4  # that differ; fewer show too many edges that stand still
LOOK_AGAIN_FRAMES = 3  # later on
MEMORY_FRAMES = 12  # a panel that goes is forgotten within about as many, and one that comes is found
SMALLEST_LOOK_PX = 32  # on either side: in less, every border is near every other
STIRRED = 2.0  # mean difference, of 255, from which a frame says something new: a still picture's edges all stay
# A step is a border when it is larger than this, and than so many times those around it, as texture is not.
STEP = 8
STANDS_OUT = 1.5
AROUND_PX = 3
# Shares of rows that step: a border has about the first, other places the second. They weigh runs against each other.
STEPS_ON_BORDER, STEPS_ELSEWHERE = 0.6, 0.1
LINES = 16  # the strongest upright and level lines each; rectangles are made of them
SMALLEST_SIDE, SMALLEST_AREA, LARGEST_SIDE = 0.12, 0.05, 0.9  # shares of the picture
# Least share of steps: of an inset's weakest side and of all four, and of a line that parts the whole picture, upright
# or level. Horizons are level.
WEAKEST_SIDE, MEAN_SIDE = 0.45, 0.55
PARTING_UPRIGHT, PARTING_LEVEL = 0.6, 0.75
PARTS = 0.2  # least share of height or width that each part has
MOST_VIEWS = 1 + round(1 / PARTS)  # of a frame: the whole, and its parts
OVERLAP_PX = 2  # lines nearer than that are one border


class Panel(NamedTuple):
    """A rectangle in shares of the picture's width and height, half-open."""

    left: float
    right: float
    top: float
    bottom: float


class PanelFinder:
    """Looks at the frames of one video, as they come, and knows which panels there are by now."""

    def __init__(self) -> None:
        self._last: NDArray[np.int16] | None = None  # (H, W)
        # (H, W) share of the frames in which the picture steps from left to right, and from top to bottom.
        self._upright = self._level = np.zeros((0, 0), np.float32)
        self._seen = 0  # frames that differ
        self.panels: list[Panel] = []  # the parts of a picture that is parted, else its best inset

    @property
    def has_seen_enough(self) -> bool:
        """Whether `panels` says what there is, and not only that it is too early."""
        return self._seen >= ENOUGH_FRAMES

    def see(self, look: Image) -> None:
        """Take in the next frame, RGB (H, W, 3), some 320 px wide. A frame of another shape starts again."""
        luma = look[:, :, 1].astype(np.int16)  # green is most of what the eye calls bright
        if self._last is None or self._last.shape != luma.shape:
            self._upright = self._level = np.zeros(luma.shape, np.float32)
            self._seen, self.panels = 0, []
        elif np.abs(luma - self._last).mean() < STIRRED:
            return
        self._last = luma
        self._seen += 1
        share = 1 / min(self._seen, MEMORY_FRAMES)
        self._upright = (1 - share) * self._upright + share * _steps(luma)
        self._level = (1 - share) * self._level + share * _steps(luma.T).T
        is_time = self.has_seen_enough and (self._seen - ENOUGH_FRAMES) % LOOK_AGAIN_FRAMES == 0
        if is_time and min(luma.shape) >= SMALLEST_LOOK_PX:
            self.panels = _split_by_lines(self._upright, self._level) or _inset(self._upright, self._level)


def _split_by_lines(upright: FloatArray, level: FloatArray) -> list[Panel]:
    """The parts of a picture that is divided by lines from edge to edge; empty if it is not."""
    columns, rows = _parts(upright.mean(axis=0), PARTING_UPRIGHT), _parts(level.mean(axis=1), PARTING_LEVEL)
    if len(columns) > 1:
        return [Panel(start, end, 0.0, 1.0) for start, end in columns]
    return [Panel(0.0, 1.0, start, end) for start, end in rows if len(rows) > 1]


def _steps(luma: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Where (H, W) pixels differ much between left and right, more than a little further left and right."""
    step = np.zeros_like(luma)
    step[:, 1:-1] = np.abs(luma[:, 2:] - luma[:, :-2])
    around = np.zeros_like(luma)
    around[:, AROUND_PX:] = step[:, :-AROUND_PX]
    around[:, :-AROUND_PX] = np.maximum(around[:, :-AROUND_PX], step[:, AROUND_PX:])
    return (step > STEP) & (step > STANDS_OUT * around)


def _parts(shares: FloatArray, least: float) -> list[tuple[float, float]]:
    """The picture between lines that part it from edge to edge, by their shares of steps (W,); one where none does."""
    width = len(shares)
    cuts = [0]
    for place in np.argsort(-shares, kind="stable"):
        if shares[place] < least:
            break
        if min(abs(int(place) - cut) for cut in [*cuts, width]) >= PARTS * width:
            cuts.append(int(place))
    edges = [cut / width for cut in sorted([*cuts, width])]
    return list(pairwise(edges))


def _inset(upright: FloatArray, level: FloatArray) -> list[Panel]:
    """The rectangle whose four sides are most of all borders; none where no rectangle's are enough."""
    height, width = upright.shape
    columns, rows = _lines(upright), _lines(level.T)
    left, right = _pairs(columns, width)
    top, bottom = _pairs(rows, height)
    if not len(left) or not len(top):
        return []
    down = np.vstack([np.zeros((1, width), np.float32), upright.cumsum(axis=0)])
    across = np.hstack([np.zeros((height, 1), np.float32), level.cumsum(axis=1)])
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
    """First and second of all pairs of lines as far apart as the sides of an inset can be."""
    first, second = np.triu_indices(len(lines), k=1)
    apart = lines[second] - lines[first]
    fits = (apart >= SMALLEST_SIDE * length) & (apart <= LARGEST_SIDE * length)
    return lines[first[fits]], lines[second[fits]]
