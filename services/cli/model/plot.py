"""`copydetect model plot`: draws what a bundle sees, as PNG."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from services.cli.compare import QUERY, REFERENCE, compare_files
from services.cli.console import console, progress_bar, track
from services.cli.drawing import check_drawing, drawing
from services.cli.errors import CommandFailed
from services.cli.files import VideoFile, find_videos
from services.cli.results import NOTHING_SHOWN, Problem
from services.cli.scan import TENANT, describe_all, upload
from services.cli.tables import print_problems
from services.contracts.errors import UsageError
from services.contracts.events import AssetEnded, Role
from services.runtime.settings import load_settings
from tca_model.bundle import Bundle, load_bundle
from tca_model.errors import DecodeError

if TYPE_CHECKING:
    from tca_model.types import FloatArray, Frame

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
    vectors, of_vector = [], []
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
            if file.asset_id in failed or not found:
                problems.append(Problem(file.path, failed.get(file.asset_id, NOTHING_SHOWN)))
    if problems:
        print_problems(problems)
    try:
        points = flatten(np.array(vectors), seed=seed)
    except ValueError as error:
        raise UsageError(f"{folder}: {error}") from error
    title = f"{len(vectors)} segment descriptors of {len(files) - len(problems)} videos, bundle {loaded.manifest.name}"
    with drawing(output):
        plot_segments(points, of_vector, output, title=title)
    console.print(f"segment descriptors: {output}", soft_wrap=True)
    raise typer.Exit(1 if problems else 0)


@app.command()
def attention(
    video: Annotated[Path, typer.Argument(help="The video")],
    output: Output,
    bundle: BundleName = None,
    start: Annotated[float, typer.Option(min=0, help="Start of the clip, in seconds")] = 0.0,
) -> None:
    """Draw how much the frames of a clip attend to each other.

    The clip is as long as a segment; its frames are drawn as thumbnails.

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
    clip, aspect = _read_clip(video, loaded, start, start + settings.segment_s)
    weights = _attend(loaded, clip)
    from tca_model.evaluation.plots import plot_attention

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


def _read_clip(video: Path, bundle: Bundle, start_s: float, end_s: float) -> tuple[list["Frame"], float]:
    """The squashed informative frames between two times that the bundle describes, and the video's width by height.

    Raises UsageError if there are none, CommandFailed if the video cannot be read.
    """
    from tca_model.video.decode import sample_frames
    from tca_model.video.stills import informative

    frame = bundle.manifest.descriptor.frame
    try:
        with video.open("rb") as file:
            height, width = next(sample_frames(file, remove_bars=frame.remove_bars)).image.shape[:2]
            clip = []
            size = (frame.input_px, frame.input_px)
            for one in sample_frames(file, every_s=frame.sample_every_s, size=size, remove_bars=frame.remove_bars):
                if one.timestamp_s >= end_s:
                    break
                if one.timestamp_s >= start_s and informative(one.image[np.newaxis]).all():
                    clip.append(one)
    except FileNotFoundError as error:
        raise UsageError(f"cannot read {video}: {error.strerror}") from error
    except OSError as error:
        raise CommandFailed(f"cannot read {video}: {error.strerror}") from error
    except DecodeError as error:
        raise CommandFailed(f"{video}: {error}") from error
    if not clip:
        raise UsageError(f"{video}: no frame between {start_s:g} and {end_s:g} s is informative")
    return clip, width / height


def _attend(bundle: Bundle, clip: Sequence["Frame"]) -> "FloatArray":
    """Describe the frames, with a progress bar. Returns the attention weights (H, T, T) of the encoder's last layer."""
    import torch

    from tca_model.networks.encoder import TCAEncoder
    from tca_model.networks.extractor import BATCH_FRAMES, DescriptorExtractor

    extractor = DescriptorExtractor(bundle)
    starts = range(0, len(clip), BATCH_FRAMES)
    parts = [
        extractor.describe(np.stack([frame.image for frame in clip[start : start + BATCH_FRAMES]]))
        for start in track(starts, "describing")
    ]
    config = bundle.manifest.descriptor
    encoder = TCAEncoder(config.frame.dimension, config.encoder)
    encoder.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in bundle.part("encoder").items()})
    frames = torch.from_numpy(np.concatenate(parts)).unsqueeze(0)
    with torch.inference_mode():
        weights: FloatArray = (
            encoder.eval().attention(frames, torch.ones(frames.shape[:2], dtype=torch.bool))[-1, 0].numpy()
        )
    return weights
