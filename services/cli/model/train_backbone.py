"""`copydetect model train-backbone`: a bundle whose frame descriptor is trained to distinguish copies from others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import JsonValue

from services.cli.console import add_counter, add_loss, error_console, progress_bar
from services.cli.model.recipe_options import recipe_options
from services.cli.model.training import RECENT_STEPS, command_line, mean, resumable
from tca_model.bundle import check_place, save_bundle
from tca_model.config import BundleWeights, DescriptorConfig, EncoderConfig, FrameConfig
from tca_model.matching.calibration import Calibration
from tca_model.training.recipes import BackboneRecipe

if TYPE_CHECKING:
    from tca_model.training.backbone import TrainedBackbone
    from tca_model.training.pictures import Pictures


@recipe_options("recipe", BackboneRecipe, names={"input_px": "training_px"})
def train_backbone(  # one parameter per option
    folders: Annotated[
        list[Path], typer.Argument(help="Folders of images and videos; those that the benchmark holds out are skipped")
    ],
    *,
    recipe: BackboneRecipe,
    work: Annotated[
        Path, typer.Option(help="Folder of the run: checkpoints, log.csv, loss.png; run again to resume it")
    ],
    output: Annotated[Path, typer.Option(help="Folder of the bundle")],
    backbone: Annotated[str, typer.Option(help="torchvision or timm model name")] = "tf_efficientnet_lite0",
    weights: Annotated[
        str, typer.Option(help="First weights: 'package', 'torchvision:NAME', 'random:SEED', or a file")
    ] = "package",
    input_px: Annotated[int, typer.Option(help="Side of the bundle's square input in pixels")] = 160,
    dimension: Annotated[int, typer.Option(help="Dimensions of a frame descriptor")] = 496,
    threshold: Annotated[float, typer.Option(help="Score at which a pair alerts")] = 0.5,
    basis: Annotated[str, typer.Option(help="How that threshold was found")] = "not calibrated",
) -> None:
    """Train a backbone on pictures without labels and write a bundle with it.

    The bundle has the mean aggregator.

    Under torchrun every GPU takes a share of each batch. An interrupted run resumes from its last checkpoint.
    """
    from tca_model.training.backbone import train_backbone
    from tca_model.training.bundling import hardware, make_bundle
    from tca_model.training.distributed import join_processes
    from tca_model.training.pictures import gather

    check_place(output)
    with resumable(work):
        start = _start(backbone, weights, input_px, dimension)
        with join_processes() as processes, progress_bar() as progress:
            progress.disable = not processes.first
            pictures = gather(folders, work, processes, add_counter(progress, "reading"))
            trained = train_backbone(start, recipe, pictures, work, processes, add_loss(progress, "training"))
            if not processes.first:
                return
            provenance = _provenance(start, recipe, folders, pictures, trained)
            bundle = make_bundle(
                output.name,
                DescriptorConfig(
                    frame=start.model_copy(update={"weights": BundleWeights()}),
                    encoder=EncoderConfig(aggregator="mean"),
                    compares="frame",
                ),
                trained.descriptor,
                Calibration(alert_threshold=threshold, basis=basis),
                {**provenance, **hardware(processes.device)},
            )
        save_bundle(bundle, output)
    error_console.print(f"wrote {output}, model version {bundle.model_version}", soft_wrap=True)


def _start(backbone: str, weights: str, input_px: int, dimension: int) -> FrameConfig:
    """The frame descriptor before the training.

    Raises WeightsError if the first weights cannot be used: better now than when all pictures have been read.
    """
    from tca_model.networks.backbone import load_backbone, normalisation
    from tca_model.training.weights import weight_source

    mean_colour, std = normalisation(backbone)
    source = weight_source(weights, backbone)
    load_backbone(backbone, source, {})
    return FrameConfig(
        backbone=backbone,
        weights=source,
        input_px=input_px,
        mean=mean_colour,
        std=std,
        dimension=dimension,
    )


def _provenance(
    start: FrameConfig, recipe: BackboneRecipe, folders: list[Path], pictures: "Pictures", trained: "TrainedBackbone"
) -> dict[str, JsonValue]:
    return {
        "command": command_line(),
        "pictures": len(pictures),
        "unreadable": pictures.unreadable,
        "videos_held_out": pictures.held_out,
        "folders": [folder.name for folder in folders],
        "started_from": start.weights.model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json"),
        "bfloat16": trained.bfloat16,
        "steps": trained.run.done,
        "loss": mean(trained.run.losses[-RECENT_STEPS:]),
        "seconds": trained.run.seconds,
    }
