"""How well edited copies are told from other works: micro-AP, recall at 99 % precision, recall by edit.

    python -m bench.quality [--originals 24] [--distractors 40] [--edits NAME ...] [--work FOLDER]

Originals and distractors are clips of ../shared/data/videos/dev, one of each family; the copies are made by
tca_model.edits, seed by seed. Every query is compared with every original by the pipelines that `copydetect scan` runs.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.cli.console import track
from services.cli.files import VideoFile
from services.cli.scan import Scan, alert_threshold
from services.runtime.settings import load_settings
from tca_model.bundle import load_bundle
from tca_model.edits import EDITS, apply_edit

DEV = Path(__file__).parents[2] / "shared/data/videos/dev"
PRECISION = 0.99
EDITED_S = 40.0


@dataclass(frozen=True, slots=True)
class Query:
    path: Path
    original: Path | None  # None: a distractor
    edit: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--originals", type=int, default=24)
    parser.add_argument("--distractors", type=int, default=40)
    parser.add_argument("--edits", nargs="+", default=list(EDITS), choices=list(EDITS))
    parser.add_argument("--work", type=Path, help="keep the copies here")
    arguments = parser.parse_args()
    clips = one_of_each_family(DEV)
    if len(clips) < arguments.originals + arguments.distractors:
        sys.exit(
            f"{DEV} holds clips of {len(clips)} families, {arguments.originals + arguments.distractors} are needed"
        )
    originals = clips[: arguments.originals]
    distractors = clips[arguments.originals :][: arguments.distractors]
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        queries = make_copies(originals, distractors, arguments.edits, work)
        queries += [Query(path, None, "none") for path in distractors]
        settings = load_settings()
        files = [VideoFile(str(query.path)) for query in queries]
        scan = Scan(files, [VideoFile(str(path)) for path in originals], settings, every_pair=True, exhaustive=True)
        rows, problems = scan.run()
    if problems:
        sys.exit(f"not compared: {problems}")
    scores = {(row.query, row.reference): row.score for row in rows}
    report(queries, originals, scores, alert_threshold(load_bundle(settings.bundle), settings))


def one_of_each_family(folder: Path) -> list[Path]:
    """The first clip of each family, in an order that mixes them but is always the same."""
    with (folder / "manifest.csv").open(newline="") as lines:
        families = {row["family"]: folder / row["clip"] for row in reversed(list(csv.DictReader(lines)))}
    clips = [families[family] for family in sorted(families)]
    return [clips[index] for index in np.random.default_rng(0).permutation(len(clips))]


def make_copies(
    originals: Sequence[Path], distractors: Sequence[Path], edits: Sequence[str], work: Path
) -> list[Query]:
    work.mkdir(parents=True, exist_ok=True)
    queries = []
    jobs = [(edit, number) for edit in edits for number in range(len(originals))]
    for edit, number in track(jobs, "editing"):
        path = work / f"{originals[number].stem}-{edit}.mp4"
        if not path.exists():
            other = distractors[number % len(distractors)]
            apply_edit(edit, originals[number], path, seed=number, other=other, within_s=EDITED_S)
        queries.append(Query(path, originals[number], edit))
    return queries


def report(
    queries: Sequence[Query], originals: Sequence[Path], scores: dict[tuple[str, str], float], threshold: float
) -> None:
    pairs = [
        (scores.get((str(query.path), str(original)), -1.0), query.original == original, query.edit)
        for query in queries
        for original in originals
    ]
    pairs.sort(key=lambda pair: -pair[0])
    true = np.array([is_copy for _, is_copy, _ in pairs])
    score = np.array([value for value, _, _ in pairs])
    precision = np.cumsum(true) / np.arange(1, len(true) + 1)
    micro_ap = precision[true].sum() / true.sum()
    reaching = np.flatnonzero(precision >= PRECISION)
    cut = score[reaching[-1]] if len(reaching) else np.inf
    lines = [
        f"{len(queries)} queries, {len(originals)} originals, {true.sum()} true pairs, {(~true).sum()} others",
        f"micro-AP {micro_ap:.3f}",
        f"recall at {PRECISION:.0%} precision {(score[true] >= cut).mean():.3f}, at score {cut:.3f}",
        f"highest score of a pair of different works {score[~true].max():.3f}, "
        f"recall above it {(score[true] > score[~true].max()).mean():.3f}",
        f"at the alert threshold {threshold:.2f}: recall {(score[true] >= threshold).mean():.3f}, "
        f"{(score[~true] >= threshold).sum()} false alerts",
        "recall at the alert threshold by edit:",
    ]
    for edit in dict.fromkeys(edit for _, _, edit in pairs):
        found = [value >= threshold for value, is_copy, name in pairs if is_copy and name == edit]
        if found:
            lines.append(f"    {edit:20} {np.mean(found):.2f}")
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
