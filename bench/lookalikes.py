"""Alerts that should not be: pairs of videos that look alike and share no footage, by kind; and shared stretches.

    python -m bench.lookalikes [--bundle NAME ...] [--json FILE] [--work FOLDER] [--kinds NAME ...] [--stills N]

Real clips, filters and overlays over them, and drawn videos: other takes, templates, interfaces, games, textures, and
videos of up to two hours; pairs that share an intro, an outro, an advertisement or one shot; all clips against all; and
how often a stranger would alert in an index of 1e4 to 1e8 references. Videos are made once, and described once for each
bundle; then a changed rule of evidence is measured within a minute or two. It needs ../shared/data.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

from rich.progress import Progress

from bench.alike.judging import (
    KindFigures,
    Scored,
    SharedFigures,
    judge_kinds,
    judge_shared,
    score_pairs,
)
from bench.alike.pairs import pair_clips
from bench.alike.plan import Plan, choose_kinds, made_folder, make_plan
from bench.alike.stored import SHOT_S, describe_shots, describe_videos, name_of
from bench.alike.tables import draw_kinds, draw_shared, say_all_against_all, say_rates, say_silence
from bench.alike.unrelated import Tails, fit_rates
from bench.ending import ending_with_reason
from services.cli.console import add_counter, console, progress_bar
from services.runtime import log
from tca_model.api import Describer
from tca_model.bundle import DEFAULT, load_bundle
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.evaluation.benchmark import make_copies
from tca_model.matching.calibration import Calibration
from tca_model.types import VideoDescriptor

DATA = Path(__file__).parents[2] / "shared/data"
WORK = Path(__file__).parents[1] / ".bench"
STILLS = 400


@dataclass(frozen=True, slots=True)
class Judged:
    """All figures of a bundle; `threshold` is its alert threshold, `joined_threshold` the joined score that reaches it.

    `unrelated` is None if only some kinds were asked for, and all pairs of clips were left out then too.
    """

    name: str
    version: str
    threshold: float
    joined_threshold: float
    kinds: list[KindFigures]
    pairs: list[Scored]
    shared: list[SharedFigures]
    clip_alerts: list[Scored]
    clip_pairs: int
    unrelated: Tails | None


def main() -> None:
    arguments = parse_arguments()
    log.configure_for_commands()
    with ending_with_reason(arguments.work, ValueError):
        judged = run(arguments)
        if arguments.json:
            arguments.json.write_text(json.dumps([asdict(one) for one in judged], indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    paragraphs = [paragraph for paragraph in (__doc__ or "").split("\n\n") if not paragraph.startswith(" ")]
    parser = argparse.ArgumentParser(
        prog="python -m bench.lookalikes",
        description="\n\n".join(paragraphs),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", nargs="+", default=[DEFAULT], help=f"shipped names or folders ({DEFAULT})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    kept = "what is made and described is kept here (.bench in the repository)"
    parser.add_argument("--work", type=Path, default=WORK, metavar="FOLDER", help=kept)
    some = "these kinds of pairs only, without all against all and without the rates"
    parser.add_argument("--kinds", nargs="+", metavar="NAME", help=some)
    panned = f"still pictures that are panned ({STILLS})"
    parser.add_argument("--stills", type=int, default=STILLS, metavar="N", help=panned)
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER", help="with videos/dev, images and photos")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that make videos (2)")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> list[Judged]:
    """Make what is missing, and judge and print each bundle. Raises what `main` reports, early if options are wrong."""
    if arguments.workers < 1:
        raise ValueError(f"--workers must be 1 or more, got {arguments.workers}")
    for name in arguments.bundle:
        load_bundle(name)
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        if arguments.json.is_dir():
            raise ValueError(f"--json {arguments.json} is a folder, not a file")
    with progress_bar() as progress:
        plan = make_plan(arguments.data, arguments.work, arguments.stills, add_counter(progress, "cameras"))
        if arguments.kinds:
            plan = choose_kinds(plan, arguments.kinds)
        make_copies(plan.videos, arguments.workers, add_counter(progress, "making videos"))
    judged = []
    for name in arguments.bundle:
        with progress_bar() as progress:
            judged.append(judge_bundle(name, plan, arguments.work, progress, is_whole=not arguments.kinds))
        show(judged[-1])
    return judged


def judge_bundle(name: str, plan: Plan, work: Path, progress: Progress, *, is_whole: bool) -> Judged:
    """Describe what is missing and score the pairs; if the plan `is_whole`, all clips against all and rates too."""
    bundle = load_bundle(name)
    calibration = bundle.manifest.calibration
    stored = describe_all(plan, Describer(bundle), work, progress)
    durations_s = {clip.path.stem: clip.duration_s for clip in plan.clips}
    durations_s |= {name_of(picture): float(SHOT_S) for picture in plan.pictures}
    alike = score_pairs(plan.alike, stored, durations_s, calibration, add_counter(progress, "look-alikes"))
    shared = score_pairs(plan.shared, stored, durations_s, calibration, add_counter(progress, "shared stretches"))
    clips, tails = [], None
    if is_whole:
        pairs = [pair_clips("clips", later, earlier) for earlier, later in combinations(plan.clips, 2)]
        clips = score_pairs(pairs, stored, durations_s, calibration, add_counter(progress, "all clips"))
        tails = fit_unrelated(plan, stored, clips, calibration, progress)
    return Judged(
        name=bundle.manifest.name,
        version=bundle.model_version,
        threshold=calibration.alert_threshold,
        joined_threshold=calibration.joined_score(calibration.alert_threshold),
        kinds=judge_kinds(alike),
        pairs=alike,
        shared=judge_shared(plan.shared, shared),
        clip_alerts=[one for one in clips if one.is_alert],
        clip_pairs=len(clips),
        unrelated=tails,
    )


def describe_all(plan: Plan, describer: Describer, work: Path, progress: Progress) -> dict[str, VideoDescriptor]:
    """The descriptors of all that the plan shows, by name; what is missing is described and stored."""
    folder = work / f"stored-{describer.extractor.model_version}"
    clips, stills = DescriptorFolder(folder / "dev"), DescriptorFolder(folder / "stills")
    made = DescriptorFolder(folder / made_folder(work).name)
    clip_paths, made_paths = [clip.path for clip in plan.clips], [video.path for video in plan.videos]
    describe_videos(clip_paths, describer, clips, add_counter(progress, "describing clips"))
    describe_videos(made_paths, describer, made, add_counter(progress, "describing videos"))
    describe_shots(plan.pictures, describer, stills, add_counter(progress, "describing stills"))
    found = {path.stem: clips.read(path.stem)[0] for path in clip_paths}
    found |= {path.stem: made.read(path.stem)[0] for path in made_paths}
    return found | {name_of(picture): stills.read(name_of(picture))[0] for picture in plan.pictures}


def fit_unrelated(
    plan: Plan,
    stored: Mapping[str, VideoDescriptor],
    scored: Sequence[Scored],
    calibration: Calibration,
    progress: Progress,
) -> Tails:
    """The rates of false alerts by all pairs of clips and stills of different families; `scored` are of the clips."""
    families = {clip.path.stem: clip.family for clip in plan.clips} | {
        name_of(picture): name_of(picture) for picture in plan.pictures
    }
    known = {
        (min(one.query, one.reference), max(one.query, one.reference)): one.joined_score
        for one in scored
        if one.joined_score is not None
    }
    videos = {name: stored[name] for name in families}
    alert_score = calibration.joined_score(calibration.alert_threshold)
    return fit_rates(videos, families, alert_score, known, add_counter(progress, "near pairs"))


def show(judged: Judged) -> None:
    """Print the tables and sentences of a bundle."""
    title = f"{judged.name}, model version {judged.version}, alert threshold {judged.threshold:.3f}"
    console.print(title, soft_wrap=True)
    lines = []
    if judged.kinds:
        console.print(draw_kinds(judged.name, judged.kinds))
        lines.append(say_silence(judged.kinds))
    if judged.shared:
        console.print(draw_shared(judged.shared))
        lines.append(f"shared stretches: {sum(one.is_right for one in judged.shared)} of {len(judged.shared)} right")
    if judged.unrelated:
        lines.append(say_all_against_all(judged.clip_alerts, judged.clip_pairs))
        lines += say_rates(judged.unrelated, judged.joined_threshold)
    for line in lines:
        console.print(line, soft_wrap=True)


if __name__ == "__main__":
    main()
