"""`copydetect model train-encoder`: a bundle whose encoder is trained on pairs of copies."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import JsonValue
from rich.progress import Progress

from services.cli.console import add_counter, add_loss, error_console, progress_bar
from services.cli.model.recipe_options import recipe_options
from services.cli.model.training import RECENT_STEPS, command_line, mean, resumable
from services.contracts.errors import UsageError
from tca_model.bundle import DEFAULT, Bundle, check_place, load_bundle, save_bundle
from tca_model.config import DescriptorConfig
from tca_model.matching.calibration import Calibration
from tca_model.training.recipes import EncoderRecipe

if TYPE_CHECKING:
    from tca_model.training.distributed import Processes
    from tca_model.training.pairs import Pairs
    from tca_model.training.run import Run

SHORTEST_MADE_PIECE = 0.5  # of copies made here, which are copies from start to end; VCDB's pairs share only a part


@dataclass(frozen=True, slots=True)
class Data:
    """Where the pairs come from: copies made of videos in folders, or VCDB's annotations and frame descriptors."""

    folders: list[Path]
    copies: int
    vcdb: Path | None
    descriptors: Path | None

    def __post_init__(self) -> None:
        if bool(self.folders) == (self.vcdb is not None) or (self.vcdb is None) != (self.descriptors is None):
            raise UsageError("give folders of videos, or --vcdb ANNOTATIONS with --descriptors FOLDER")

    @property
    def origin(self) -> JsonValue:
        """What a bundle's provenance says of it."""
        return "VCDB" if self.vcdb is not None else [folder.name for folder in self.folders]

    def pairs(self, source: Bundle, work: Path, seed: int, processes: "Processes", progress: Progress) -> "Pairs":
        """The pairs; copies are made and described in `work` unless they are there."""
        from tca_model.api import Describer
        from tca_model.data.annotations import read_annotations
        from tca_model.data.descriptor_files import DescriptorFolder
        from tca_model.data.vcdb import VcdbAnnotations
        from tca_model.training.copies import Copies
        from tca_model.training.pairs import vcdb_pairs

        if self.vcdb is not None and self.descriptors is not None:
            return vcdb_pairs(read_annotations(self.vcdb, VcdbAnnotations), DescriptorFolder(self.descriptors))
        folder = DescriptorFolder(work / f"frames-{source.model_version}")
        made = Copies(self.folders, folder, each=self.copies, seed=seed)
        if processes.first:
            made.describe(Describer(source), add_counter(progress, "describing"))
        processes.wait()
        return made.pairs()


@recipe_options("recipe", EncoderRecipe, defaults={"shortest_piece": "0.5 for made copies, 1 for VCDB"})
def train_encoder(  # one parameter per option
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of videos to make copies of; videos that the benchmark holds out are skipped"),
    ] = None,
    *,
    recipe: EncoderRecipe,
    work: Annotated[Path, typer.Option(help="Folder of the run: descriptors, checkpoints, log.csv, loss.png")],
    output: Annotated[Path, typer.Option(help="Folder of the bundle")],
    bundle: Annotated[str, typer.Option(help="Bundle whose frame descriptors are trained on")] = DEFAULT,
    vcdb: Annotated[Path | None, typer.Option(help="Instead of folders: VCDB as convert-annotations wrote it")] = None,
    descriptors: Annotated[Path | None, typer.Option(help="Frame descriptors of VCDB's videos, by --bundle")] = None,
    copies: Annotated[int, typer.Option(min=1, help="Edited copies per video")] = 4,
    compares: Annotated[str, typer.Option(help="What is stored and compared: refined or frame")] = "refined",
    threshold: Annotated[float, typer.Option(help="Score at which a pair alerts")] = 0.5,
    basis: Annotated[str, typer.Option(help="How that threshold was found")] = "not calibrated",
) -> None:
    """Train an encoder on pairs of copies and write a bundle with it.

    The copies are made from folders of videos, or marked in VCDB.

    Under torchrun every GPU takes a share of each batch. An interrupted run resumes from its last checkpoint.
    """
    from tca_model.training.distributed import join_processes
    from tca_model.training.encoder import train_encoder, with_encoder
    from tca_model.training.pairs import Reader

    data = Data(folders or [], copies, vcdb, descriptors)
    source = load_bundle(bundle)
    check_place(output)
    if source.manifest.descriptor.compares != "frame" and vcdb is not None:
        raise UsageError(
            f"bundle {bundle} stores refined frame descriptors: describe VCDB with one that compares frame"
        )
    if vcdb is None and "shortest_piece" not in recipe.model_fields_set:
        recipe = recipe.model_copy(update={"shortest_piece": SHORTEST_MADE_PIECE})
    with resumable(work):
        descriptor = DescriptorConfig.model_validate(
            {"frame": source.manifest.descriptor.frame, "encoder": recipe.encoder, "compares": compares}
        )
        with join_processes() as processes, progress_bar() as progress:
            progress.disable = not processes.first
            pairs = data.pairs(source, work, recipe.seed, processes, progress)
            reader = Reader(pairs, source.model_version)
            trained, run = train_encoder(recipe, pairs, reader, work, processes, add_loss(progress, "training"))
            if not processes.first:
                return
            calibration = Calibration(alert_threshold=threshold, basis=basis)
            provenance = {"data": data.origin, **_provenance(recipe, pairs, run, processes)}
            result = with_encoder(source, output.name, trained, descriptor, calibration, provenance)
        save_bundle(result, output)
    error_console.print(f"wrote {output}, model version {result.model_version}", soft_wrap=True)


def _provenance(recipe: EncoderRecipe, pairs: "Pairs", run: "Run", processes: "Processes") -> dict[str, JsonValue]:
    from tca_model.training.bundling import hardware

    return {
        "command": command_line(),
        "pairs": len(pairs.positives),
        "distractors": len(pairs.distractors),
        **pairs.counts,
        "recipe": recipe.model_dump(mode="json"),
        "steps": run.done,
        "loss_at_start": mean(run.losses[:RECENT_STEPS]),
        "loss": mean(run.losses[-RECENT_STEPS:]),
        "seconds": run.seconds,
        **hardware(processes.device),
    }
