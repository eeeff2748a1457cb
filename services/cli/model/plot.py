"""`copydetect model plot`: draws what a bundle sees, as PNG."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from services.cli.compare import QUERY, REFERENCE, compare_files
from services.cli.console import console, progress_bar
from services.cli.drawing import check_drawing, drawing
from services.cli.errors import CommandFailed
from services.cli.files import VideoFile, find_videos
from services.cli.results import Problem, format_count
from services.cli.scan import TENANT, describe_all, upload
from services.cli.tables import print_problems
from services.contracts.errors import UsageError
from services.contracts.events import AssetEnded, Role
from services.runtime.settings import load_settings
from tca_model.bundle import Bundle, load_bundle
from tca_model.config import FrameConfig
from tca_model.errors import NOTHING_SHOWN, DecodeError
from tca_model.types import FloatArray, Frame, Times, VideoDescriptor

if TYPE_CHECKING:
    from tca_model.api import Describer
    from tca_model.video.decode import DecodeLimits

MANIFEST = "manifest.csv"
NO_GROUP = "(no group)"

app = typer.Typer(help="Draw what a bundle sees.", no_args_is_help=True, rich_markup_mode=None)

Output = Annotated[Path, typer.Option(help="PNG file to write")]
BundleName = Annotated[str | None, typer.Option(help="Model bundle: a shipped name or a folder")]


@app.command()
def segments(
    folder: Annotated[
        Path, typer.Argument(help="Videos; groups are the column `group` of manifest.csv in it, or its sub-folders")
    ],
    output: Output,
    bundle: BundleName = None,
    seed: Annotated[int, typer.Option(help="Seed of t-SNE")] = 0,
) -> None:
    """Draw the segment descriptors of videos by t-SNE.

    The colours are the groups of the videos.

    Exit code 0; 1 if some video could not be described (a table says which, and why); 2 for wrong usage.
    """
    check_drawing(output, "sklearn")
    from services.embedded import Embedded
    from tca_model.evaluation.plots import flatten, plot_segments

    settings = load_settings()
    loaded = load_bundle(bundle or settings.bundle)
    if folder.is_file():
        raise UsageError(f"{folder} is not a folder")
    files, empty_folders = find_videos([folder])
    if empty_folders:
        raise UsageError(f"there are no videos in {folder}")
    group_of = group_files(folder, files)
    vectors, of_vector, described = [], [], 0
    with Embedded(loaded, settings) as embedded, progress_bar() as progress:
        embedded.publish([upload(file, Role.REFERENCE) for file in files])
        events = describe_all(embedded, len(files), progress)
        ended = [event for event in events if isinstance(event, AssetEnded)]
        failed = {event.asset_id: event.reason or event.status for event in ended if event.status == "failed"}
        problems = []
        for file in files:
            found = [one.vector for one in embedded.read_segments(TENANT, file.asset_id) if one.row.frame_count]
            vectors += found
            of_vector += [group_of[file.asset_id]] * len(found)
            described += bool(found)
            if file.asset_id in failed or not found:
                problems.append(Problem(file.path, failed.get(file.asset_id, NOTHING_SHOWN)))
    if problems:
        print_problems(problems)
    try:
        points = flatten(np.array(vectors), seed=seed)
    except ValueError as error:
        raise UsageError(f"{folder}: {error}") from error
    videos = format_count(described, "video")
    title = f"{len(vectors)} segment descriptors of {videos}, bundle {loaded.manifest.name}"
    with drawing(output):
        plot_segments(points, of_vector, output, title=title)
    console.print(f"segment descriptors: {output}", soft_wrap=True)
    raise typer.Exit(1 if problems else 0)


@app.command()
def attention(
    video: Annotated[Path, typer.Argument(help="The video")],
    output: Output,
    bundle: BundleName = None,
    start: Annotated[float, typer.Option(min=0, help="Draw the segment at this time, in seconds")] = 0.0,
) -> None:
    """Draw how much the frames of a segment attend to each other.

    The frames are those that the services describe. Thumbnails show some of them: of a picture in the picture, which is
    described too, the whole frame around it.

    Exit code 0; 1 if the video cannot be read; 2 for wrong usage.
    """
    check_drawing(output)
    settings = load_settings()
    loaded = load_bundle(bundle or settings.bundle)
    encoder = loaded.manifest.descriptor.encoder
    if encoder.aggregator != "tca":
        raise UsageError(
            f"bundle {loaded.manifest.name} has the aggregator {encoder.aggregator!r}, which has no attention: use "
            "--bundle with one whose encoder is TCA (`copydetect model train-encoder` makes one)"
        )
    from services.ingest.decode.limits import decode_limits
    from tca_model.api import Describer
    from tca_model.evaluation.plots import plot_attention

    limits = decode_limits(settings)
    describer = Describer(loaded, segment_s=settings.segment_s, panels=settings.describe_panels, limits=limits)
    segment = _find_segment(video, describer, start)
    weights = _attend(loaded, segment.frames)
    clip, aspect = _read_clip(video, segment.timestamps_s, loaded.manifest.descriptor.frame, limits)

    layer = "" if encoder.layers == 1 else f", last of {encoder.layers} layers"
    title = f"Attention over {video.name}, bundle {loaded.manifest.name}{layer}"
    with drawing(output):
        plot_attention(weights, clip, aspect, output, title=title)
    console.print(f"attention: {output}", soft_wrap=True)


@app.command()
def matrix(
    query: Annotated[Path, typer.Argument(help="The video that may be a copy")],
    reference: Annotated[Path, typer.Argument(help="The video that may be copied")],
    output: Output,
    bundle: BundleName = None,
) -> None:
    """Draw the similarity matrix of two videos.

    The copied intervals are marked; `copydetect compare` prints them.

    Exit code 0; 1 if a file cannot be compared; 2 for wrong usage.
    """
    check_drawing(output)
    settings = load_settings()
    pair = compare_files({QUERY: query, REFERENCE: reference}, load_bundle(bundle or settings.bundle), settings)
    pair.draw(output, title=f"{query.name} x {reference.name}")


def group_files(folder: Path, files: Sequence[VideoFile]) -> dict[str, str]:
    """The group of each file by asset id: from the manifest, else its sub-folder, else NO_GROUP.

    Raises UsageError if the manifest lacks the columns `clip` and `group`.
    """
    listed = _read_groups(folder / MANIFEST)
    found = {}
    for file in files:
        inside = Path(file.path).relative_to(folder)
        found[file.asset_id] = listed.get(inside.as_posix()) or (inside.parts[0] if len(inside.parts) > 1 else NO_GROUP)
    return found


def _read_groups(manifest: Path) -> dict[str, str]:
    if not manifest.is_file():
        return {}
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"clip", "group"} <= set(rows.fieldnames or ()):
            raise UsageError(f"{manifest} needs the columns `clip` (a file's path below the folder) and `group`")
        return {row["clip"]: row["group"] for row in rows}


def _find_segment(video: Path, describer: "Describer", start_s: float) -> VideoDescriptor:
    """The frame descriptors of the segment at a time, before the encoder, with a progress bar.

    Raises UsageError if there are none, CommandFailed if the video cannot be read.
    """
    with _reading(video), progress_bar() as progress:
        task = progress.add_task("describing segments", rate="", total=None)
        for segment in describer.iter_segments(video):
            progress.advance(task)
            if segment.end_s > start_s:
                break
    if segment.end_s <= start_s:
        raise UsageError(f"{video} ends at {segment.end_s:g} s, before --start {start_s:g}")
    if not len(segment.descriptor):
        raise UsageError(f"{video} shows nothing distinctive from {segment.start_s:g} to {segment.end_s:g} s")
    return segment.descriptor


def _read_clip(video: Path, times_s: Times, frame: FrameConfig, limits: "DecodeLimits") -> tuple[list[Frame], float]:
    """The squashed whole frames of a video at times (T,) that were sampled from it, and the video's width by height."""
    from tca_model.video.decode import sample_frames

    wanted = set(times_s.tolist())
    images: dict[float, Frame] = {}
    size = (frame.input_px, frame.input_px)
    with _reading(video), video.open("rb") as file:
        height, width = next(sample_frames(file, remove_bars=frame.remove_bars, limits=limits)).image.shape[:2]
        for one in sample_frames(
            file, every_s=frame.sample_every_s, size=size, remove_bars=frame.remove_bars, limits=limits
        ):
            if one.timestamp_s in wanted:
                images[one.timestamp_s] = one
            if len(images) == len(wanted):
                break
    return [images[time_s] for time_s in times_s.tolist()], width / height


@contextmanager
def _reading(video: Path) -> Iterator[None]:
    """Turn errors of reading a video into errors of the command."""
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(f"cannot read {video}: {error.strerror}") from error
    except OSError as error:
        raise CommandFailed(f"cannot read {video}: {error.strerror}") from error
    except DecodeError as error:
        raise CommandFailed(f"{video}: {error}") from error


def _attend(bundle: Bundle, frames: FloatArray) -> FloatArray:
    """The attention weights (H, T, T) of the encoder's last layer over frame descriptors (T, D)."""
    import torch

    from tca_model.networks.encoder import TCAEncoder

    config = bundle.manifest.descriptor
    encoder = TCAEncoder(config.frame.dimension, config.encoder)
    encoder.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in bundle.part("encoder").items()})
    rows = torch.from_numpy(frames).unsqueeze(0)
    with torch.inference_mode():
        weights: FloatArray = (
            encoder.eval().attention(rows, torch.ones(rows.shape[:2], dtype=torch.bool))[-1, 0].numpy()
        )
    return weights
