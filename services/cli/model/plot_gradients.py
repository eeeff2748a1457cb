"""`copydetect model plot gradients`: why softmax losses mine hard negatives by themselves."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import console
from services.cli.drawing import check_drawing, drawing


def gradients(
    output: Annotated[Path, typer.Option(help="PNG file to write")],
    negatives: Annotated[int, typer.Option(min=2, help="Negatives of the one anchor")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Of the vectors drawn")] = 0,
) -> None:
    """Draw how strongly InfoNCE, Circle and triplet push each negative of a batch, against its similarity."""
    check_drawing(output)
    from tca_model.training.gradients import draw_gradients

    with drawing(output):
        draw_gradients(output, count=negatives, seed=seed)
    console.print(f"gradients: {output}", soft_wrap=True)
