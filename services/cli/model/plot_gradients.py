"""`copydetect model plot gradients`: shows why softmax losses mine hard negatives by themselves."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import console
from services.cli.drawing import check_drawing, drawing


def gradients(
    output: Annotated[Path, typer.Option(help="PNG file to write")],
    negatives: Annotated[int, typer.Option(min=2, help="Number of negatives")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the vectors")] = 0,
) -> None:
    """Draw how strongly losses push negatives away.

    Shows InfoNCE, Circle and triplet against the similarity of each negative to one anchor.
    """
    check_drawing(output)
    from tca_model.training.gradients import draw_gradients

    with drawing(output):
        draw_gradients(output, count=negatives, seed=seed)
    console.print(f"gradients: {output}", soft_wrap=True)
