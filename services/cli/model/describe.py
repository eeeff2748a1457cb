"""`copydetect model describe`: stores frame descriptors of a folder of videos for `evaluate`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import console, progress_bar
from services.cli.errors import CommandFailed
from services.cli.files import VideoFile, find_videos
from services.cli.results import Problem
from services.cli.tables import print_problems
from services.contracts.errors import UsageError
from services.contracts.events import AssetEnded, Role, SegmentUploaded, now
from services.runtime.settings import load_settings
from tca_model.bundle import load_bundle
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.types import VideoDescriptor

if TYPE_CHECKING:
    from services.embedded import Embedded

TENANT = "default"
AT_ONCE = 64  # files, after which their descriptors are written: what an interruption costs


def describe(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder of videos, searched recursively; a file's name without suffix is its video's id"),
    ],
    output: Annotated[Path, typer.Option(help="Folder of frame descriptors; videos that are in it are skipped")],
    bundle: Annotated[str | None, typer.Option(help="Model bundle: a shipped name or a folder")] = None,
) -> None:
    """Describe the videos in a folder for `evaluate`.

    They are described as by the services. Each gets a file ID.npz with what the services would compare.

    Exit code 0; 1 if a file could not be described; 2 for wrong usage.
    """
    from services.embedded import Embedded  # imports Milvus: --help must not wait for it

    settings = load_settings()
    loaded = load_bundle(bundle or settings.bundle)
    stored = DescriptorFolder(output)
    _check_version(stored, loaded.model_version)
    videos = _by_id(folder)
    waiting = [(video, file) for video, file in videos.items() if video not in stored]
    problems: list[Problem] = []
    with progress_bar() as progress:
        task = progress.add_task("describing", total=len(videos), completed=len(videos) - len(waiting), rate="")
        for start in range(0, len(waiting), AT_ONCE):
            batch = waiting[start : start + AT_ONCE]
            failed: dict[str, str] = {}
            with Embedded(loaded, settings) as embedded:
                for ended in _describe(embedded, [file for _, file in batch]):
                    progress.advance(task)
                    if ended.status == "failed":
                        failed[ended.asset_id] = ended.reason or "it cannot be described"
                for video, file in batch:
                    if file.asset_id in failed:  # the part before the error is not the whole video
                        problems.append(Problem(file.path, failed[file.asset_id]))
                    elif parts := [part.descriptor for part in embedded.read_segments(TENANT, file.asset_id)]:
                        stored.write(video, VideoDescriptor.concatenate(parts), loaded.model_version)
    if problems:
        print_problems(problems)
    there = sum(video in stored for video in videos)
    console.print(f"{there:,} of {len(videos):,} videos are in {output}", soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def _describe(embedded: "Embedded", files: Sequence[VideoFile]) -> Iterator[AssetEnded]:
    """Describe the files, yielding for each how it ended."""
    embedded.publish(
        SegmentUploaded(asset_id=file.asset_id, tenant=TENANT, uri=file.uri, role=Role.REFERENCE, uploaded_at=now())
        for file in files
    )
    for event in embedded.describe():
        if isinstance(event, AssetEnded):
            yield event


def _by_id(folder: Path) -> dict[str, VideoFile]:
    """The videos below a folder by name without suffix. Raises UsageError for none, or for two with the same name."""
    found: dict[str, VideoFile] = {}
    for file in find_videos([folder])[0]:
        other = found.setdefault(Path(file.path).stem, file)
        if other is not file:
            raise UsageError(f"{other.path} and {file.path} are both named {Path(file.path).stem}: rename one")
    if not found:
        raise UsageError(f"there are no videos in {folder}")
    return found


def _check_version(stored: DescriptorFolder, model_version: str) -> None:
    """Raise UsageError if the folder holds descriptors of another model."""
    first = next(stored.videos(), None)
    if first is None:
        return
    try:
        _, version = stored.read(first)
    except ValueError as error:
        raise CommandFailed(str(error)) from error
    if version != model_version:
        raise UsageError(
            f"{stored.folder} holds descriptors of model {version}, the bundle is model {model_version}: "
            "use the bundle they were made with (--bundle), or another --output"
        )
