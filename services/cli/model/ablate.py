"""`copydetect model ablate`: the paper's ablation tables on this project's benchmark, as Markdown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from services.cli.console import add_counter, add_loss, error_console, progress_bar
from services.cli.errors import translating_errors
from services.cli.model.recipe_options import recipe_options
from services.cli.model.training import command_line
from services.contracts.errors import UsageError
from tca_model.bundle import DEFAULT, Bundle, load_bundle
from tca_model.files import replacing
from tca_model.training.recipes import ComparatorRecipe, EncoderRecipe

if TYPE_CHECKING:
    from tca_model.data.descriptor_files import DescriptorFolder
    from tca_model.evaluation.benchmark import Benchmark
    from tca_model.training.ablation import Ablation, Table

FIGURES = ("micro-AP", "recall at 99 % precision")
VARIED_BY_USER = frozenset(
    {"epochs", "batch", "distractors", "learning_rate", "dropout", "momentum", "seed"}
)  # the tables vary the other fields
SHORTEST_PIECE = 0.5  # of made copies, which are copies from start to end


@recipe_options("recipe", EncoderRecipe, only=VARIED_BY_USER)
@recipe_options("comparator", ComparatorRecipe, only={"steps"}, names={"steps": "comparator_steps"})
def ablate(  # one parameter per option
    clips: Annotated[
        Path, typer.Argument(help="Clips with a manifest: held-out families are measured, the others trained on")
    ],
    *,
    recipe: EncoderRecipe,
    comparator: ComparatorRecipe,
    work: Annotated[Path, typer.Option(help="Folder of the runs: descriptors, checkpoints; run again to resume")],
    output: Annotated[Path, typer.Option(help="Markdown file, written after each table")],
    bundle: Annotated[str, typer.Option(help="Bundle whose frame descriptors are used")] = DEFAULT,
    poolings: Annotated[
        list[str] | None,
        typer.Option(help="Bundles that differ only in their pooling; without them that table is empty"),
    ] = None,
    benchmark: Annotated[Path, typer.Option(help="Where the benchmark's copies are kept")] = Path(".bench"),
    workers: Annotated[int, typer.Option(min=1, help="Processes that make those copies")] = 2,
    copies: Annotated[int, typer.Option(min=1, help="Edited copies per video that is trained on")] = 4,
) -> None:
    """Write the paper's ablation tables: aggregators, poolings, losses and more.

    Also: bank size, momentum and similarities. Copies are made and described once. Every encoder is trained
    on the same pairs, with the paper's settings except for what varies.
    """
    from tca_model.api import Describer
    from tca_model.data.descriptor_files import DescriptorFolder
    from tca_model.evaluation.benchmark import make_copies, plan
    from tca_model.training.ablation import Ablation
    from tca_model.training.copies import Copies

    source = load_bundle(bundle)
    by_pooling = {_pooling_name(each): each for each in map(load_bundle, poolings or [])}
    if not output.resolve().parent.is_dir():
        raise UsageError(f"cannot write {output}: no folder {output.resolve().parent}")
    recipe = recipe.model_copy(update={"shortest_piece": SHORTEST_PIECE})
    with translating_errors():
        planned = plan(clips, benchmark)
        with progress_bar() as progress:
            make_copies(planned.copies, workers, add_counter(progress, "editing"))
            stored = {
                each.model_version: _describe(planned, each, work, progress) for each in [source, *by_pooling.values()]
            }
            folder = DescriptorFolder(work / f"training-frames-{source.model_version}")
            trained = Copies([clips], folder, each=copies, seed=recipe.seed)
            trained.describe(Describer(source), add_counter(progress, "describing what is trained on"))
            ablation = Ablation(
                planned,
                stored[source.model_version],
                trained.pairs(),
                source.model_version,
                recipe,
                comparator.model_copy(update={"seed": recipe.seed}),
                work,
                {name: stored[each.model_version] for name, each in by_pooling.items()},
                lambda name: add_loss(progress, name),
            )
            _write_tables(ablation, _origin(source, ablation), output)
    error_console.print(f"wrote {output}", soft_wrap=True)


def _write_tables(ablation: "Ablation", origin: Sequence[str], output: Path) -> None:
    """Write each table as soon as it is done, with those before it."""
    done: list[Table] = []
    for table in ablation.tables():
        done.append(table)
        with replacing(output) as beside:
            beside.write_text(markdown(done, origin))


def markdown(tables: Sequence["Table"], about: Sequence[str]) -> str:
    """The tables, with one line per variant."""
    lines = ["# Ablations", "", *about]
    for table in tables:
        ways = list(dict.fromkeys(way for row in table.rows for way in row.judged))
        heads = [f"{way}: {figure}" for way in ways for figure in FIGURES]
        lines += ["", f"## {table.title}", ""]
        if not table.rows:
            lines.append("Not made: it needs bundles that differ only in this.")
            continue
        lines += ["| |" + "".join(f" {head} |" for head in heads), "|---|" + "---:|" * len(heads)]
        for row in table.rows:
            qualities = [row.judged[way] for way in ways]
            figures = [f"{value:.3f}" for one in qualities for value in (one.micro_ap, one.recall)]
            lines.append(f"| {row.name} | " + " | ".join(figures) + " |")
    return "\n".join(lines) + "\n"


def _origin(bundle: Bundle, ablation: "Ablation") -> list[str]:
    """A paragraph on where the figures come from."""
    recipe, pairs, benchmark = ablation.recipe, ablation.pairs, ablation.benchmark
    counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in pairs.counts.items())
    return [
        f"Written by `{command_line()}` on {datetime.now(UTC):%Y-%m-%d}: this project's benchmark, "
        f"{len(benchmark.copies)} copies and {len(benchmark.distractors)} distractors against "
        f"{len(benchmark.references)} references. Frame descriptors of bundle {bundle.manifest.name} "
        f"({bundle.model_version}). Every encoder is trained on the same {len(pairs.positives)} pairs ({counts}), "
        f"{recipe.epochs:g} epochs, {recipe.batch} pairs and {recipe.distractors * recipe.batch} distractors per step, "
        f"momentum {recipe.momentum or 'none'}, learning rate {recipe.learning_rate:g}, "
        f"dropout {recipe.encoder.dropout:g}, seed {recipe.seed}; "
        "one run per variant, so differences of a few thousandths mean nothing.",
    ]


def _pooling_name(bundle: Bundle) -> str:
    return f"{bundle.manifest.descriptor.frame.pooling} ({bundle.manifest.name})"


def _describe(benchmark: "Benchmark", bundle: Bundle, work: Path, progress: Progress) -> "DescriptorFolder":
    """The benchmark's frame descriptors by a bundle, made if they are missing."""
    from tca_model.api import Describer
    from tca_model.evaluation.described import describe_benchmark, descriptor_folder

    folder = descriptor_folder(work, benchmark, bundle.model_version)
    name = f"describing by {bundle.manifest.name}"
    describe_benchmark(benchmark, Describer(bundle), folder, add_counter(progress, name))
    return folder
