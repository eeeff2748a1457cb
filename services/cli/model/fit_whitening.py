"""`copydetect model fit-whitening`: a bundle of a frozen backbone and a whitening fitted on pictures."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import add_counter, error_console, progress_bar
from services.cli.errors import translating_errors
from services.cli.model.training import command_line
from tca_model.bundle import check_place, save_bundle
from tca_model.matching.calibration import Calibration


def fit_whitening(  # one parameter per option
    images: Annotated[list[Path], typer.Argument(help="Folders of images, searched recursively")],
    output: Annotated[Path, typer.Option(help="Folder of the bundle")],
    backbone: Annotated[str, typer.Option(help="torchvision or timm model name")] = "tf_efficientnet_lite0",
    weights: Annotated[
        str, typer.Option(help="'package', 'torchvision:NAME', 'random:SEED', or a file with the backbone's state dict")
    ] = "package",
    input_px: Annotated[int, typer.Option(help="Side of the square to which frames are squashed")] = 160,
    pooling: Annotated[str, typer.Option(help="Pooling of the stage maps: l3-irmac or l3-imac")] = "l3-irmac",
    dimension: Annotated[int, typer.Option(help="Dimensions that the whitening keeps")] = 496,
    threshold: Annotated[float, typer.Option(help="Score at which a pair alerts")] = 0.5,
    basis: Annotated[str, typer.Option(help="How that threshold was found")] = "not calibrated",
) -> None:
    """Fit the whitening of a backbone on images.

    Writes a bundle with the mean aggregator.
    """
    from tca_model.config import DescriptorConfig, EncoderConfig, FrameConfig
    from tca_model.networks.backbone import normalisation
    from tca_model.training import whitening
    from tca_model.training.weights import weight_source

    check_place(output)
    with translating_errors():
        source = weight_source(weights, backbone)
        mean, std = normalisation(backbone)
        frame = {"backbone": backbone, "weights": source, "input_px": input_px, "mean": mean, "std": std}
        config = DescriptorConfig(
            frame=FrameConfig.model_validate({**frame, "pooling": pooling, "dimension": dimension}),
            encoder=EncoderConfig(aggregator="mean"),
            compares="frame",
        )
        with progress_bar() as progress:
            bundle = whitening.fit_whitening(
                output.name,
                config,
                images,
                Calibration(alert_threshold=threshold, basis=basis),
                command=command_line(),
                advance=add_counter(progress, "fitting"),
            )
        save_bundle(bundle, output)
    error_console.print(f"wrote {output}, model version {bundle.model_version}", soft_wrap=True)
