"""`copydetect model ablate`: the paper's ablation tables on the own benchmark, as Markdown."""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from services.cli.console import error_console, progress_bar
from services.contracts.errors import UsageError
from tca_model.bundle import DEFAULT, Bundle, load_bundle
from tca_model.errors import DecodeError, TrainingError

if TYPE_CHECKING:
    from tca_model.data.descriptor_files import DescriptorFolder
    from tca_model.evaluation.benchmark import Benchmark
    from tca_model.training.ablation import Ablation, Table

Advance = Callable[[int, int], None]
FIGURES = ("micro-AP", "recall at 99 % precision")


def ablate(
    clips: Annotated[
        Path, typer.Argument(help="Clips with a manifest: held-out families are measured on, the others trained on")
    ],
    *,
    work: Annotated[Path, typer.Option(help="Folder of the runs: descriptors, checkpoints; a later run goes on")],
    output: Annotated[Path, typer.Option(help="Markdown file, written after each table")],
    bundle: Annotated[str, typer.Option(help="The bundle whose frame descriptors are used")] = DEFAULT,
    poolings: Annotated[
        list[str] | None, typer.Option(help="Bundles that differ in their pooling alone; without them no such table")
    ] = None,
    benchmark: Annotated[Path, typer.Option(help="Where the benchmark's copies are kept")] = Path(".bench"),
    workers: Annotated[int, typer.Option(min=1, help="Processes that make those copies")] = 2,
    copies: Annotated[int, typer.Option(min=1, help="Edited copies of each video to train on")] = 4,
    epochs: Annotated[float, typer.Option(help="Of every training")] = 40,
    batch: Annotated[int, typer.Option(help="Pairs a step")] = 64,
    distractors: Annotated[int, typer.Option(help="A pair, drawn anew every step")] = 16,
    learning_rate: Annotated[float, typer.Option(help="Of Adam, at the start")] = 1e-5,
    dropout: Annotated[float, typer.Option(help="While training")] = 0.5,
    momentum: Annotated[
        float | None, typer.Option(help="Of the slow encoder of keys, wherever it is not what varies; none without")
    ] = None,
    comparator_steps: Annotated[int, typer.Option(help="Steps of the video comparator's training")] = 400,
    seed: Annotated[int, typer.Option(help="Of edits, order, crops and dropout")] = 0,
) -> None:
    """Make the paper's ablation tables: aggregators, poolings, losses, bank size, momentum, similarities.

    Copies are made and described once; every encoder is trained on the same pairs, with the paper's settings otherwise.
    """
    from tca_model.data.descriptor_files import DescriptorFolder
    from tca_model.evaluation.benchmark import make_copies, plan
    from tca_model.networks.extractor import DescriptorExtractor
    from tca_model.training.ablation import Ablation
    from tca_model.training.comparator import ComparatorRecipe
    from tca_model.training.copies import Copies
    from tca_model.training.encoder import EncoderRecipe

    source = load_bundle(bundle)
    by_pooling = {_name(each): each for each in map(load_bundle, poolings or [])}
    if not output.resolve().parent.is_dir():
        raise UsageError(f"cannot write {output}: no folder {output.resolve().parent}")
    try:
        recipe = EncoderRecipe.model_validate(
            {
                "encoder": {"dropout": dropout},
                "epochs": epochs,
                "batch": batch,
                "distractors": distractors,
                "momentum": momentum,
                "learning_rate": learning_rate,
                "shortest_piece": 0.5,
                "seed": seed,
            }
        )
        planned = plan(clips, benchmark)
        with progress_bar() as progress:
            make_copies(planned.copies, workers, _counting(progress, "editing"))
            stored = {
                each.model_version: _described(planned, each, work, progress) for each in [source, *by_pooling.values()]
            }
            folder = DescriptorFolder(work / f"training-{source.model_version}")
            trained = Copies([clips], folder, each=copies, seed=seed)
            trained.describe(DescriptorExtractor(source), _counting(progress, "describing what is trained on"))
            ablation = Ablation(
                planned,
                stored[source.model_version],
                trained.pairs(),
                source.model_version,
                recipe,
                ComparatorRecipe.model_validate({"steps": comparator_steps, "seed": seed}),
                work,
                {name: stored[each.model_version] for name, each in by_pooling.items()},
                lambda name: _training(progress, name),
            )
            done: list[Table] = []
            for table in ablation.tables():
                done.append(table)
                output.write_text(markdown(done, _about(source, ablation)))
    except (ValueError, OSError, DecodeError, TrainingError) as error:
        raise UsageError(str(error)) from error
    error_console.print(f"wrote {output}", soft_wrap=True)


def markdown(tables: Sequence["Table"], about: Sequence[str]) -> str:
    """The tables, each with a line for every variant."""
    lines = ["# Ablations", "", *about]
    for table in tables:
        ways = list(dict.fromkeys(way for row in table.rows for way in row.judged))
        heads = [f"{way}: {figure}" for way in ways for figure in FIGURES]
        lines += ["", f"## {table.title}", ""]
        if not table.rows:
            lines.append("Not made: it takes bundles that differ in this alone.")
            continue
        lines += ["| |" + "".join(f" {head} |" for head in heads), "|---|" + "---:|" * len(heads)]
        for row in table.rows:
            qualities = [row.judged[way] for way in ways]
            figures = [f"{value:.3f}" for one in qualities for value in (one.micro_ap, one.recall)]
            lines.append(f"| {row.name} | " + " | ".join(figures) + " |")
    return "\n".join(lines) + "\n"


def _about(bundle: Bundle, ablation: "Ablation") -> list[str]:
    """Where the figures come from."""
    recipe, pairs, benchmark = ablation.recipe, ablation.pairs, ablation.benchmark
    counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in pairs.counts.items())
    return [
        f"Written by `{' '.join(['copydetect', *sys.argv[1:]])}` on {datetime.now(UTC):%Y-%m-%d}: the own benchmark, "
        f"{len(benchmark.copies)} copies and {len(benchmark.distractors)} distractors against "
        f"{len(benchmark.references)} references. Frame descriptors of bundle {bundle.manifest.name} "
        f"({bundle.model_version}). Every encoder is trained on the same {len(pairs.positives)} pairs ({counts}), "
        f"{recipe.epochs:g} epochs, {recipe.batch} pairs and {recipe.distractors * recipe.batch} distractors a step, "
        f"momentum {recipe.momentum or 'none'}, learning rate {recipe.learning_rate:g}, "
        f"dropout {recipe.encoder.dropout:g}, seed {recipe.seed}; "
        "one run a variant, so that differences of a few thousandths say nothing.",
    ]


def _name(bundle: Bundle) -> str:
    return f"{bundle.manifest.descriptor.frame.pooling} ({bundle.manifest.name})"


def _described(benchmark: "Benchmark", bundle: Bundle, work: Path, progress: Progress) -> "DescriptorFolder":
    """The benchmark's frame descriptors by a bundle, made where they are missing."""
    from tca_model.data.descriptor_files import DescriptorFolder
    from tca_model.evaluation.described import describe_benchmark
    from tca_model.networks.extractor import DescriptorExtractor

    folder = DescriptorFolder(work / f"benchmark-{bundle.model_version}" / benchmark.copies[0].path.parent.name)
    name = f"describing by {bundle.manifest.name}"
    describe_benchmark(benchmark, DescriptorExtractor(bundle), folder, _counting(progress, name))
    return folder


def _counting(progress: Progress, what: str) -> Advance:
    task = progress.add_task(what, rate="", total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)


def _training(progress: Progress, name: str) -> Callable[[int, int, float], None]:
    task = progress.add_task(name, rate="", total=None)
    return lambda done, total, loss: progress.update(task, completed=done, total=total, rate=f"loss {loss:.3f}")
