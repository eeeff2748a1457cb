"""`copydetect model`: makes and inspects model bundles."""

from typing import Annotated

import typer

from services.cli.console import console
from services.cli.model import plot
from services.cli.model.ablate import ablate
from services.cli.model.calibrate import calibrate
from services.cli.model.convert_annotations import convert_annotations
from services.cli.model.describe import describe
from services.cli.model.evaluate import evaluate
from services.cli.model.fit_whitening import fit_whitening
from services.cli.model.plot_gradients import gradients
from services.cli.model.train_backbone import train_backbone
from services.cli.model.train_encoder import train_encoder
from tca_model.bundle import DEFAULT, load_bundle

app = typer.Typer(help="Make and inspect model bundles.", no_args_is_help=True, rich_markup_mode=None)
app.command("fit-whitening")(fit_whitening)
app.command("train-backbone")(train_backbone)
app.command("train-encoder")(train_encoder)
app.command("convert-annotations")(convert_annotations)
app.command("calibrate")(calibrate)
app.command("evaluate")(evaluate)
app.command("ablate")(ablate)
app.command("describe")(describe)
plot.app.command("gradients")(gradients)
app.add_typer(plot.app, name="plot")


@app.command()
def info(bundle: Annotated[str, typer.Argument(help="Shipped name or folder")] = DEFAULT) -> None:
    """Print a bundle's model version and manifest."""
    loaded = load_bundle(bundle)
    console.print(f"model version {loaded.model_version}")
    console.print_json(loaded.manifest.model_dump_json())
