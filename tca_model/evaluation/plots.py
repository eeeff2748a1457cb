"""Plots of what the model sees, as PNG: a similarity matrix, segment descriptors by group, attention over a clip.

matplotlib and scikit-learn (extra `viz`) are imported by the functions that need them. These raise ModuleNotFoundError
if they are missing, and OSError if the file cannot be written.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tca_model.matching.calibration import Bin
from tca_model.matching.similarity import best_views, first_views, similarity_matrix
from tca_model.types import FloatArray, Frame, VideoDescriptor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120
FEWEST_SEGMENTS = 5  # fewer have no neighbourhoods for t-SNE to keep
NAMED_GROUPS = 20  # ten colours in two shapes; more cannot be distinguished
LONGEST_NAME = 32
THUMBNAILS = 12  # in a row, each wide enough to be recognised
NARROWEST = 0.05  # half width of a colour scale around an even share: rounding must not look like attention


class Interval(Protocol):
    """A copied interval in seconds, as found by the model or reported in an alert."""

    @property
    def query_start_s(self) -> float: ...
    @property
    def query_end_s(self) -> float: ...
    @property
    def reference_start_s(self) -> float: ...
    @property
    def reference_end_s(self) -> float: ...


def plot_similarity(
    query: VideoDescriptor, reference: VideoDescriptor, intervals: Iterable[Interval], path: Path, *, title: str
) -> None:
    """Write the similarity matrix of two videos, axes in seconds, with the copied intervals as lines."""
    figure = _figure(8, 6)
    axes = figure.add_subplot()
    rows, columns = first_views(query.timestamps_s), first_views(reference.timestamps_s)
    mesh = axes.pcolormesh(
        reference.timestamps_s[columns],
        query.timestamps_s[rows],
        best_views(similarity_matrix(query.frames, reference.frames), rows, columns),
        shading="nearest",
        cmap="viridis",
        vmin=0,
        vmax=1,
    )
    lines = [
        axes.plot(
            [i.reference_start_s, i.reference_end_s], [i.query_start_s, i.query_end_s], color="red", linewidth=1.5
        )
        for i in intervals
    ]
    if lines:
        axes.legend(lines[0], [f"copied interval ({len(lines)})" if len(lines) > 1 else "copied interval"])
    axes.invert_yaxis()
    axes.set(title=title, xlabel="reference (s)", ylabel="query (s)")
    figure.colorbar(mesh, label="cosine similarity of frame descriptors")
    figure.savefig(path, format="png", dpi=DPI)


def flatten(segments: FloatArray, *, seed: int = 0) -> FloatArray:
    """Points (N, 2) for segment descriptors (N, D) by t-SNE (van der Maaten and Hinton, JMLR 2008).

    t-SNE keeps neighbours by Euclidean distance, which orders unit vectors as cosine does. The perplexity, the number
    of neighbours that count, is 30 or a third of the segments. Raises ValueError below FEWEST_SEGMENTS.
    """
    from sklearn.manifold import TSNE

    if len(segments) < FEWEST_SEGMENTS:
        raise ValueError(f"t-SNE needs {FEWEST_SEGMENTS} segments or more, and there are {len(segments)}")
    perplexity = min(30.0, (len(segments) - 1) / 3)
    points: FloatArray = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(segments)
    return points


def plot_segments(points: FloatArray, groups: Sequence[str], path: Path, *, title: str) -> None:
    """Write points (N, 2) of segment descriptors, coloured by group.

    With more than NAMED_GROUPS groups, only the largest have a name and a colour. The rest is grey, and so are all
    groups of one segment, which has no other to lie near.
    """
    figure = _figure(11, 7)
    axes = figure.add_subplot()
    counts = Counter(groups).most_common()
    named = [group for group, count in counts[:NAMED_GROUPS] if count > 1 or len(counts) <= NAMED_GROUPS]
    of_group = np.array(groups)
    for number, group in enumerate(named):
        own = of_group == group
        name = group if len(group) <= LONGEST_NAME else f"{group[: LONGEST_NAME - 1]}…"
        colour, shape = f"C{number % 10}", "o^"[number // 10]
        axes.scatter(points[own, 0], points[own, 1], s=36, color=colour, marker=shape, label=f"{name} ({own.sum()})")
    rest = ~np.isin(of_group, named)
    if rest.any():
        label = f"{len(counts) - len(named)} other groups ({rest.sum()})"
        axes.scatter(points[rest, 0], points[rest, 1], s=14, color="lightgrey", zorder=0, label=label)
    middle, half = (points.max(axis=0) + points.min(axis=0)) / 2, 0.53 * np.ptp(points, axis=0).max()
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    axes.set_box_aspect(1)
    axes.set(title=title, xlabel="t-SNE dimension 1 (no unit)", ylabel="t-SNE dimension 2 (no unit)")
    figure.legend(loc="outside right upper", title="group (segments)", fontsize="small")
    figure.savefig(path, format="png", dpi=DPI)


def plot_attention(weights: FloatArray, clip: Sequence[Frame], aspect: float, path: Path, *, title: str) -> None:
    """Write the attention weights (H, T, T) of one layer over the T frames of a clip, with some of the frames above.

    Weights are multiples of an even share 1 / T: the mean over heads, and per head the mean that each frame receives.
    `aspect` is the video's width divided by its height, because the frames of the clip are squashed. Raises ValueError
    for weights of another clip.
    """
    heads, length = weights.shape[:2]
    if weights.shape != (heads, length, len(clip)):
        raise ValueError(f"weights {weights.shape} are not those of {len(clip)} frames")
    shares = weights * length
    every = range(0, length, -(-length // THUMBNAILS))
    times = [f"{clip[number].timestamp_s:.0f}" for number in every]
    figure = _figure(11, 11)
    rows = figure.add_gridspec(3, 2, height_ratios=(1.4, 7, 2.6), width_ratios=(40, 1))
    _thumbnails(figure.add_subplot(rows[0, 0]), clip, aspect)
    panels = (
        (1, shares.mean(axis=0), "attending frame (s)", f"weight, mean of {heads} heads\n(1 = an even share)"),
        (2, shares.mean(axis=1), "head", "mean weight received\n(1 = an even share)"),
    )
    for row, values, label, meaning in panels:
        axes = figure.add_subplot(rows[row, 0])
        low, high = min(values.min(), 1 - NARROWEST), max(values.max(), 1 + NARROWEST)
        mesh = axes.imshow(values, aspect="auto", vmin=low, vmax=high, interpolation="nearest")
        figure.colorbar(mesh, cax=figure.add_subplot(rows[row, 1]), label=meaning)
        axes.set(xlabel="attended frame (s)", ylabel=label)
        axes.set_xticks(every, times)
    figure.axes[1].set_yticks(every, times)
    axes.set_yticks(range(heads), [str(number + 1) for number in range(heads)])
    figure.suptitle(title)
    figure.savefig(path, format="png", dpi=DPI)


def _thumbnails(axes: "Axes", clip: Sequence[Frame], aspect: float) -> None:
    """Draw the middle frame of each of several equal parts of the clip above that part."""
    axes.set_axis_off()
    count = min(THUMBNAILS, len(clip))
    for slot in range(count):
        frame = clip[int((slot + 0.5) * len(clip) / count)]
        inset = axes.inset_axes(((slot + 0.02) / count, 0, 0.96 / count, 1))
        height, width = frame.image.shape[:2]
        inset.imshow(frame.image, aspect=width / height / aspect)
        inset.set_title(f"{frame.timestamp_s:.0f} s", fontsize="small")
        inset.set_axis_off()


def plot_reliability(bins: Sequence[Bin], path: Path, *, title: str) -> None:
    """Write the reliability diagram: the share of copies among pairs against their predicted probability."""
    figure = _figure(5, 5)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="gray", linestyle="--", label="perfectly calibrated")
    predicted, copies = [one.probability for one in bins], [one.copies for one in bins]
    axes.plot(predicted, copies, marker="o", label="pairs, by tenths")
    for one in bins:
        axes.annotate(f"{one.pairs:,}", (one.probability, one.copies), (6, -12), textcoords="offset points", fontsize=8)
    axes.set(
        title=title, xlabel="probability of a copy", ylabel="share of copies", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05)
    )
    axes.legend(loc="upper left")
    figure.savefig(path, format="png", dpi=DPI)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
