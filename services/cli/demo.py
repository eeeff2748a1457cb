"""`copydetect demo`: makes clips and edited copies of them, scans them, and compares the result with the truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Column, Table
from rich.text import Text

from services.cli.console import console, track
from services.cli.files import VideoFile, find_videos
from services.cli.results import PairRow, intervals_text, score_name
from services.cli.scan import Scan
from services.cli.tables import print_problems
from services.contracts.errors import UsageError
from services.runtime.settings import load_settings
from tca_model.bundle import load_bundle

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
EDITED_S = 60.0  # only the beginning of a long real video is copied


@dataclass(frozen=True, slots=True)
class Copy:
    """An edited copy, with the truth about what is copied from where."""

    path: Path
    edit: str
    original: Path
    truth: "Truth"


def demo(
    videos: Annotated[Path | None, typer.Option(help="Folder of real videos; without it clips are generated")] = None,
    folder: Annotated[Path, typer.Option(help="Where clips and copies are written")] = Path("demo"),
) -> None:
    """Make edited copies of videos and find them.

    Originals are the references; their edited copies and unrelated clips are the queries.

    Exit code 0; 1 if the alerts on generated clips are not those expected (real videos are only reported); 2 for wrong
    usage.
    """
    found = None if videos is None else _choose_clips(videos, folder)
    folder.mkdir(parents=True, exist_ok=True)
    originals, unrelated = found or _make_clips(folder)
    copies = list(_make_copies(originals, unrelated[0], folder))
    settings = load_settings()
    scan = Scan(
        queries=[VideoFile(str(path)) for path in [*(copy.path for copy in copies), *unrelated]],
        references=[VideoFile(str(path)) for path in originals],
        settings=settings,
    )
    rows, problems = scan.run()
    missed, false = _print(copies, unrelated, rows, score_name(load_bundle(settings.bundle).manifest.calibration))
    if problems:
        print_problems(problems)
    if videos is None and (missed or false or problems):
        raise typer.Exit(1)


def _make_clips(folder: Path) -> tuple[list[Path], list[Path]]:
    """Write originals and unrelated clips, generated from seeds."""
    from tca_model.synthetic.clips import write_clip  # imports av, which the matcher's image lacks

    paths = [folder / f"original-{n + 1}.mp4" for n in range(ORIGINALS)]
    paths += [folder / f"unrelated-{n + 1}.mp4" for n in range(UNRELATED)]
    for seed, path in enumerate(track(paths, "making clips")):
        write_clip(path, seed, duration_s=CLIP_S)
    return paths[:ORIGINALS], paths[ORIGINALS:]


def _choose_clips(videos: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """Originals and unrelated clips from a folder: its first videos by name."""
    if folder.resolve() == videos.resolve():
        raise UsageError(f"the copies would be written among the videos: use another --folder than {folder}")
    found, _ = find_videos([videos])
    if len(found) < 2:
        raise UsageError(f"{videos} does not hold the 2 videos that a demo needs: one to copy and one unrelated")
    paths = [Path(file.path) for file in found[: ORIGINALS + UNRELATED]]
    split = max(1, len(paths) - UNRELATED)
    return paths[:split], paths[split:]


def _make_copies(originals: Sequence[Path], host: Path, folder: Path) -> Iterator[Copy]:
    from tca_model.synthetic.edits import EDITS, apply_edit

    for number, edit in enumerate(track(SHOWN_EDITS, "editing copies")):
        original = originals[number % len(originals)]
        path = folder / f"copy-{edit}.mp4"
        other = host if EDITS[edit].needs_other else None
        truth = apply_edit(edit, original, path, seed=number, other=other, within_s=EDITED_S)
        yield Copy(path, edit, original, truth)


def _print(copies: Sequence[Copy], unrelated: Sequence[Path], rows: Sequence[PairRow], score: str) -> tuple[int, int]:
    """Print each copy with the alert on it. Returns how many copies were missed, and how many alerts are false."""
    expected = {(str(copy.path), str(copy.original)) for copy in copies}
    found = {(row.query, row.reference): row for row in rows}
    table = Table(
        Column("copy\nalert", overflow="fold"),
        Column(score, justify="right", no_wrap=True),
        Column("copy = original", no_wrap=True),
        title="Alerts and the truth",
        box=box.HORIZONTALS,
        show_lines=True,
    )
    for copy in copies:
        row = found.get((str(copy.path), str(copy.original)))
        table.add_row(
            Text.assemble(copy.path.name, "\n", copy.original.name if row else ("missed", "red")),
            f"{row.score:.3f}" if row else "",
            _label("found", intervals_text(row.intervals) if row else "")
            + "\n"
            + _label("true", intervals_text(copy.truth.matches)),
        )
    false = [pair for pair in found if pair not in expected]
    for query, reference in false:
        row = found[query, reference]
        table.add_row(
            Text.assemble(Path(query).name, "\n", (Path(reference).name, "red")),
            f"{row.score:.3f}",
            Text.assemble(_label("found", intervals_text(row.intervals)), "\n", ("not a copy", "red")),
        )
    console.print(table)
    missed = len(expected - found.keys())
    console.print(
        f"{len(copies) - missed} of {len(copies)} edited copies found, {len(false)} false alerts "
        f"({len(unrelated)} unrelated among the queries)",
    )
    return missed, len(false)


def _label(word: str, intervals: str) -> str:
    """The lines of some intervals, with a word before the first."""
    return f"{word:6}" + intervals.replace("\n", "\n" + " " * 6)
