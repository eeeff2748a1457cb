"""`copydetect model calibrate`: probabilities, the alert threshold and the figures of a bundle, from the benchmark."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from services.cli.console import console, error_console
from services.cli.results import folding_table
from services.contracts.errors import UsageError
from tca_model.bundle import find_bundle, load_bundle, save_bundle
from tca_model.matching.calibration import (
    Bin,
    Calibration,
    calibration_error,
    cross_fit,
    fit,
    reliability,
    threshold_for,
)

DIGITS = 4
# Pairs below are no copies at a glance, and so many that they would hide any error of the rest.
DOUBTFUL = 0.01


def calibrate(
    bundle: Annotated[str, typer.Argument(help="Shipped name or folder; its bundle.json is written anew")],
    quality: Annotated[Path, typer.Argument(help="What `python -m bench.quality --json FILE` wrote")],
    precision: Annotated[
        float, typer.Option(min=0.5, max=1, help="Share of copies among the pairs from the alert threshold on")
    ] = 0.99,
    least: Annotated[
        float, typer.Option(min=0, max=1, help="No lower alert threshold than this probability, whatever the precision")
    ] = 0.9,
    plot: Annotated[Path | None, typer.Option(help="Draw the reliability diagram to this PNG (extra viz)")] = None,
) -> None:
    """Fit how probable a copy is at each score, choose the alert threshold, and note a bundle's figures.

    The calibration error is that of families that the curve did not see. The model version stays: no index has to be
    made again.
    """
    loaded = load_bundle(bundle)
    figures, families, scores, is_copy = _benchmark(quality, loaded.model_version)
    try:
        told = cross_fit(scores, is_copy, families)
        threshold = max(least, threshold_for(precision, told, is_copy))
        curve = fit(scores, is_copy)
    except ValueError as error:
        raise UsageError(f"{quality} does not calibrate a bundle: {error}") from error
    bins, doubtful = reliability(told, is_copy), reliability(told[told >= DOUBTFUL], is_copy[told >= DOUBTFUL])
    errors = calibration_error(bins), calibration_error(doubtful)
    before = loaded.manifest.calibration
    calibration = Calibration(
        version=before.version + 1,
        alert_threshold=round(threshold, DIGITS),
        curve=curve.model_copy(
            update={"slope": round(curve.slope, DIGITS), "intercept": round(curve.intercept, DIGITS)}
        ),
        basis=f"`make bench-quality`: {precision:.0%} precision, at least {least:g}; expected calibration error on "
        f"unseen families {errors[0]:.4f}, {errors[1]:.4f} of the pairs with at least {DOUBTFUL:g}",
    )
    folder = find_bundle(bundle)
    provenance = {**loaded.manifest.provenance, "metrics": figures}
    changes = {"name": folder.name, "calibration": calibration, "provenance": provenance}
    save_bundle(replace(loaded, manifest=loaded.manifest.model_copy(update=changes)), folder)
    _show(doubtful)
    if plot:
        from tca_model.evaluation.plots import plot_reliability

        plot_reliability(doubtful, plot, title=f"{folder.name}, pairs with at least {DOUBTFUL:g}")
    console.print(f"expected calibration error: {errors[0]:.4f}; of these pairs alone {errors[1]:.4f}")
    raw = calibration.joined_score(threshold)
    error_console.print(f"{folder}: alerts from {threshold:.4f} on, which is a score of {raw:.3f} before calibration")


def _show(bins: list[Bin]) -> None:
    table = folding_table(f"Pairs with a probability of at least {DOUBTFUL:g}", "pairs", "probability", "copies")
    for one in bins:
        table.add_row(f"{one.pairs:,}", f"{one.probability:.3f}", f"{one.copies:.3f}")
    console.print(table)


def _benchmark(path: Path, version: str) -> tuple[dict[str, Any], list[str], np.ndarray, np.ndarray]:
    """Figures of that model version, rounded, and of each pair the family, the score and whether it is a copy.

    Raises UsageError when the file does not hold them.
    """
    try:
        judged = json.loads(path.read_bytes())
        found = next((one for one in judged if one["version"] == version), None)
        if found is None:
            raise UsageError(f"{path} holds no figures of model version {version}: run the bench on that bundle")
        scored = [(str(pair["family"]), float(pair["score"]), bool(pair["is_copy"])) for pair in found["scored"]]
        families, scores, is_copy = zip(*scored, strict=True)
        return dict(_rounded(found["quality"])), list(families), np.array(scores), np.array(is_copy)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not what `python -m bench.quality --json FILE` writes: {error!r}") from error


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value
