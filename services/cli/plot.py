"""The similarity matrix of two videos as a picture, with the copied intervals drawn in."""

from collections.abc import Sequence
from pathlib import Path

from services.contracts.errors import UsageError
from services.contracts.events import CopiedInterval
from tca_model.similarity import similarity_matrix
from tca_model.types import VideoDescriptor


def plot_similarity(
    query: VideoDescriptor, reference: VideoDescriptor, intervals: Sequence[CopiedInterval], path: Path, *, title: str
) -> None:
    """Write the picture as PNG. Raises UsageError without matplotlib or when the file cannot be written."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise UsageError("drawing needs matplotlib: pip install 'copydetect[viz]'") from error
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.add_subplot()
    mesh = axes.pcolormesh(
        reference.timestamps_s,
        query.timestamps_s,
        similarity_matrix(query.frames, reference.frames),
        shading="nearest",
        cmap="viridis",
        vmin=0,
        vmax=1,
    )
    for interval in intervals:
        axes.plot(
            [interval.reference_start_s, interval.reference_end_s],
            [interval.query_start_s, interval.query_end_s],
            color="red",
            linewidth=1.5,
        )
    axes.invert_yaxis()
    axes.set(title=title, xlabel="reference (s)", ylabel="query (s)")
    figure.colorbar(mesh, label="cosine similarity of frame descriptors")
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as error:
        raise UsageError(f"cannot write --plot {path}: {error.strerror}") from error
