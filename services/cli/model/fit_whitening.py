"""`copydetect model fit-whitening`: a bundle of a frozen backbone and the whitening that is fitted on its pictures."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import error_console, progress_bar
from services.contracts.errors import UsageError
from tca_model.bundle import check_place, save_bundle
from tca_model.matching.calibration import Calibration


def fit_whitening(
    images: Annotated[list[Path], typer.Argument(help="Folders of images, searched recursively")],
    output: Annotated[Path, typer.Option(help="Folder of the bundle")],
    backbone: Annotated[str, typer.Option(help="torchvision or timm model name")] = "tf_efficientnet_lite0",
    weights: Annotated[
        str, typer.Option(help="'package', 'torchvision:NAME', 'random:SEED', or a file of the backbone's state dict")
    ] = "package",
    input_px: Annotated[int, typer.Option(help="Frames are squashed to a square of this side")] = 160,
    pooling: Annotated[str, typer.Option(help="Of the stage maps: l3-irmac or l3-imac")] = "l3-irmac",
    dimension: Annotated[int, typer.Option(help="Dimensions kept by the whitening")] = 496,
    threshold: Annotated[float, typer.Option(help="Score from which a pair alerts")] = 0.5,
    basis: Annotated[str, typer.Option(help="How that threshold was found")] = "not calibrated",
) -> None:
    """Fit the PCA whitening of a backbone on images and write a bundle with the mean aggregator."""
    from tca_model.config import DescriptorConfig, EncoderConfig, FrameConfig
    from tca_model.networks.backbone import normalisation
    from tca_model.training import whitening
    from tca_model.training.weights import weight_source

    check_place(output)
    try:
        source = weight_source(weights, backbone)
        mean, std = normalisation(backbone)
        frame = {"backbone": backbone, "weights": source, "input_px": input_px, "mean": mean, "std": std}
        config = DescriptorConfig(
            frame=FrameConfig.model_validate({**frame, "pooling": pooling, "dimension": dimension}),
            encoder=EncoderConfig(aggregator="mean"),
            compares="frame",
        )
        with progress_bar() as progress:
            task = progress.add_task("fitting", rate="", total=None)
            bundle = whitening.fit_whitening(
                output.name,
                config,
                images,
                Calibration(alert_threshold=threshold, basis=basis),
                command=" ".join(["copydetect", *sys.argv[1:]]),
                advance=lambda done, total: progress.update(task, completed=done, total=total),
            )
        save_bundle(bundle, output)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    error_console.print(f"wrote {output}, model version {bundle.model_version}", soft_wrap=True)
