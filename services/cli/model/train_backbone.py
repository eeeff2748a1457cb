"""`copydetect model train-backbone`: a bundle whose frame descriptor is trained to tell copies from other works."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import INTERRUPTED, error_console, progress_bar
from services.contracts.errors import UsageError
from tca_model.bundle import check_place, save_bundle
from tca_model.config import BundleWeights, DescriptorConfig, EncoderConfig, FrameConfig
from tca_model.errors import TrainingError
from tca_model.matching.calibration import Calibration


def train_backbone(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders of images and videos; those that the benchmark holds out are left out")
    ],
    work: Annotated[Path, typer.Option(help="Folder of the run: checkpoints, log.csv, loss.png; run again to go on")],
    output: Annotated[Path, typer.Option(help="Folder of the bundle")],
    backbone: Annotated[str, typer.Option(help="torchvision or timm model name")] = "tf_efficientnet_lite0",
    weights: Annotated[
        str, typer.Option(help="To start from: 'package', 'torchvision:NAME', 'random:SEED', or a file")
    ] = "package",
    input_px: Annotated[int, typer.Option(help="Input of the bundle")] = 160,
    training_px: Annotated[int, typer.Option(help="Input while training: a fifth less is a third cheaper")] = 128,
    dimension: Annotated[int, typer.Option(help="Dimensions of a frame descriptor")] = 496,
    epochs: Annotated[float, typer.Option(help="Times that every picture is seen")] = 5,
    batch: Annotated[int, typer.Option(help="Pictures a step, over all processes; a multiple of 16")] = 64,
    learning_rate: Annotated[float, typer.Option(help="At its peak")] = 3e-4,
    temperature: Annotated[float, typer.Option(help="Of InfoNCE")] = 0.05,
    koleo: Annotated[float, typer.Option(help="Weight of the regulariser that spreads descriptors")] = 2.0,
    seed: Annotated[int, typer.Option(help="Of order and edits")] = 0,
    threshold: Annotated[float, typer.Option(help="Score from which a pair alerts")] = 0.5,
    basis: Annotated[str, typer.Option(help="How that threshold was found")] = "not calibrated",
) -> None:
    """Train a backbone on pictures without labels, and write a bundle with the mean aggregator.

    Under torchrun every GPU takes a share of each batch. Interrupted, it goes on from its last checkpoint.
    """
    from tca_model.networks.backbone import normalisation
    from tca_model.training.backbone import BackboneRecipe, train_backbone
    from tca_model.training.bundling import hardware, make_bundle
    from tca_model.training.distributed import join_processes
    from tca_model.training.pictures import gather
    from tca_model.training.weights import weight_source

    check_place(output)
    mean, std = normalisation(backbone)
    recipe_values = {
        "input_px": training_px,
        "epochs": epochs,
        "batch": batch,
        "learning_rate": learning_rate,
        "temperature": temperature,
        "koleo": koleo,
        "seed": seed,
    }
    try:
        recipe = BackboneRecipe.model_validate(recipe_values)
        start = FrameConfig(
            backbone=backbone,
            weights=weight_source(weights, backbone),
            input_px=input_px,
            mean=mean,
            std=std,
            dimension=dimension,
        )
        with join_processes() as processes, progress_bar() as progress:
            progress.disable = not processes.first
            reading = progress.add_task("reading", rate="", total=None)
            pictures = gather(
                folders, work, processes, lambda done, total: progress.update(reading, completed=done, total=total)
            )
            training = progress.add_task("training", rate="", total=None)
            trained = train_backbone(
                start,
                recipe,
                pictures,
                work,
                processes,
                lambda step, steps, loss: progress.update(
                    training, completed=step, total=steps, rate=f"loss {loss:.3f}"
                ),
            )
            if not processes.first:
                return
            bundle = make_bundle(
                output.name,
                DescriptorConfig(
                    frame=start.model_copy(update={"weights": BundleWeights()}),
                    encoder=EncoderConfig(aggregator="mean"),
                    compares="frame",
                ),
                trained.descriptor,
                Calibration(alert_threshold=threshold, basis=basis),
                {
                    "command": " ".join(["copydetect", *sys.argv[1:]]),
                    "pictures": len(pictures),
                    "unreadable": pictures.unreadable,
                    "videos_held_out": pictures.held_out,
                    "folders": [folder.name for folder in folders],
                    "started_from": start.weights.model_dump(mode="json"),
                    "recipe": recipe.model_dump(mode="json"),
                    "bfloat16": trained.bfloat16,
                    "steps": trained.run.done,
                    "loss": sum(trained.run.losses[-50:]) / len(trained.run.losses[-50:]),
                    "seconds": trained.run.seconds,
                    **hardware(processes.device),
                },
            )
        save_bundle(bundle, output)
    except (ValueError, OSError, TrainingError) as error:
        raise UsageError(str(error)) from error
    except KeyboardInterrupt:
        error_console.print(f"interrupted; run the same command to go on from the latest checkpoint in {work}")
        raise typer.Exit(INTERRUPTED) from None
    error_console.print(f"wrote {output}, model version {bundle.model_version}", soft_wrap=True)
