"""`copydetect demo`: makes clips and edited copies of them, scans, and holds what was found against the truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from services.cli.console import console, track
from services.cli.files import VideoFile, find_videos
from services.cli.results import PairRow, folding_table, intervals_text, print_problems
from services.cli.scan import Scan
from services.contracts.errors import UsageError
from services.runtime.settings import load_settings

if TYPE_CHECKING:
    from tca_model.synthetic.edits import Truth

SHOWN_EDITS = (
    "recompress",
    "crop",
    "letterbox",
    "logo",
    "sped_up",
    "trim",
    "insert",
    "flip",
    "gray",
    "caption_bar",
)
CLIP_S = 24.0
ORIGINALS = 5
UNRELATED = 3
EDITED_S = 60.0  # of a long real video only its beginning is copied


@dataclass(frozen=True, slots=True)
class Copy:
    """An edited copy, with what is copied from where."""

    path: Path
    edit: str
    original: Path
    truth: "Truth"


def demo(
    videos: Annotated[
        Path | None, typer.Option(help="Folder of real videos; clips are made when it is not given")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where clips and copies are written")] = Path("demo"),
) -> None:
    """Find edited copies: originals as references, their edited copies and unrelated clips as queries.

    Exit code 1 when made clips are not found as expected; real videos are reported as they come out.
    """
    found = None if videos is None else _real(videos, folder)
    folder.mkdir(parents=True, exist_ok=True)
    originals, unrelated = found or _made(folder)
    copies = list(_copies(originals, unrelated[0], folder))
    scan = Scan(
        queries=[VideoFile(str(path)) for path in [*(copy.path for copy in copies), *unrelated]],
        references=[VideoFile(str(path)) for path in originals],
        settings=load_settings(),
    )
    rows, problems = scan.run()
    missed, false = _print(copies, unrelated, rows)
    if problems:
        print_problems(problems)
    if videos is None and (missed or false or problems):
        raise typer.Exit(1)


def _made(folder: Path) -> tuple[list[Path], list[Path]]:
    """Originals and unrelated clips, made from seeds."""
    from tca_model.synthetic.clips import write_clip  # with av, which an image of the matcher lacks

    paths = [folder / f"original-{n + 1}.mp4" for n in range(ORIGINALS)]
    paths += [folder / f"unrelated-{n + 1}.mp4" for n in range(UNRELATED)]
    for seed, path in enumerate(track(paths, "making clips")):
        write_clip(path, seed, duration_s=CLIP_S)
    return paths[:ORIGINALS], paths[ORIGINALS:]


def _real(videos: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """Originals and unrelated clips out of a folder: its first videos by name."""
    if folder.resolve() == videos.resolve():
        raise UsageError(f"the copies would be written among the videos: give another --folder than {folder}")
    found, _ = find_videos([videos])
    if len(found) < 2:
        raise UsageError(f"{videos} does not hold the 2 videos that a demo needs: one to copy, one unrelated")
    paths = [Path(file.given) for file in found[: ORIGINALS + UNRELATED]]
    split = max(1, len(paths) - UNRELATED)
    return paths[:split], paths[split:]


def _copies(originals: Sequence[Path], host: Path, folder: Path) -> Iterator[Copy]:
    from tca_model.synthetic.edits import EDITS, apply_edit

    for number, edit in enumerate(track(SHOWN_EDITS, "editing copies")):
        original = originals[number % len(originals)]
        path = folder / f"copy-{edit}.mp4"
        other = host if EDITS[edit].needs_other else None
        truth = apply_edit(edit, original, path, seed=number, other=other, within_s=EDITED_S)
        yield Copy(path, edit, original, truth)


def _print(copies: Sequence[Copy], unrelated: Sequence[Path], rows: Sequence[PairRow]) -> tuple[int, int]:
    """Show each copy with what was found of it; returns how many were missed, and how many alerts are false."""
    expected = {(str(copy.path), str(copy.original)) for copy in copies}
    found = {(row.query, row.reference): row for row in rows}
    table = folding_table("Alerts against the truth", "copy", "alert", "score", "found (copy = original)", "true")
    for copy in copies:
        row = found.get((str(copy.path), str(copy.original)))
        table.add_row(
            copy.path.name,
            copy.original.name if row else Text("missed", "red"),
            f"{row.score:.3f}" if row else "",
            intervals_text(row.intervals) if row else "",
            intervals_text(copy.truth.matches),
        )
    false = [pair for pair in found if pair not in expected]
    for query, reference in false:
        row = found[query, reference]
        table.add_row(
            Path(query).name,
            Text(Path(reference).name, "red"),
            f"{row.score:.3f}",
            intervals_text(row.intervals),
            Text("no copy", "red"),
        )
    console.print(table)
    missed = len(expected - found.keys())
    console.print(
        f"{len(copies) - missed} of {len(copies)} edited copies found, {len(false)} false alerts "
        f"({len(unrelated)} unrelated among the queries)",
    )
    return missed, len(false)
