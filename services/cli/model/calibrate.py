"""`copydetect model calibrate`: sets a bundle's calibration, alert threshold and figures from the benchmark."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from services.cli.console import console, error_console
from services.cli.drawing import check_drawing, drawing
from services.cli.tables import folding_table
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
# Pairs below are obviously not copies, and so many that they would hide any error of the rest.
DOUBTFUL = 0.01


def calibrate(
    bundle: Annotated[str, typer.Argument(help="Shipped name or folder; its bundle.json is replaced")],
    quality: Annotated[Path, typer.Argument(help="File that `python -m bench.quality --json FILE` wrote")],
    lookalikes: Annotated[
        Path | None,
        typer.Option(help="File that `python -m bench.lookalikes --json FILE` wrote: more pairs that are no copies"),
    ] = None,
    precision: Annotated[
        float, typer.Option(min=0.5, max=1, help="Share of copies among the pairs that reach the alert threshold")
    ] = 0.99,
    least: Annotated[float, typer.Option(min=0, max=1, help="Lowest alert threshold, whatever the precision")] = 0.9,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the reliability diagram into this PNG file (extra viz)")
    ] = None,
) -> None:
    """Calibrate a bundle on the results of the benchmark.

    Fits the probability of a copy at each score, chooses the alert threshold and stores the figures in the bundle. The
    probability is that among the pairs of these benchmarks: copies, pairs that have nothing in common, and, with
    --lookalikes, pairs that look alike. The calibration error is measured on families and kinds that the curve did not
    see. The model version stays the same, so indexes stay valid.
    """
    if plot is not None:
        check_drawing(plot)
    loaded = load_bundle(bundle)
    figures, families, scores, is_copy = _read_quality(quality, loaded.model_version)
    benches = "`make bench-quality`"
    if lookalikes is not None:
        kinds, alike = _read_lookalikes(lookalikes, loaded.model_version)
        families += kinds
        scores, is_copy = np.append(scores, alike), np.append(is_copy, np.zeros(len(alike), dtype=bool))
        benches += f" and {len(alike)} pairs of `make bench-lookalikes`"
    try:
        unseen = cross_fit(scores, is_copy, families)
        threshold = max(least, threshold_for(precision, unseen, is_copy))
        curve = fit(scores, is_copy)
    except ValueError as error:
        raise UsageError(f"{quality} cannot calibrate a bundle: {error}") from error
    bins, doubtful = reliability(unseen, is_copy), reliability(unseen[unseen >= DOUBTFUL], is_copy[unseen >= DOUBTFUL])
    errors = calibration_error(bins), calibration_error(doubtful)
    before = loaded.manifest.calibration
    calibration = Calibration(
        version=before.version + 1,
        alert_threshold=round(threshold, DIGITS),
        curve=curve.model_copy(
            update={"slope": round(curve.slope, DIGITS), "intercept": round(curve.intercept, DIGITS)}
        ),
        basis=f"{benches}: {precision:.0%} precision, at least {least:g}; expected calibration error on "
        f"unseen families {errors[0]:.4f}, {errors[1]:.4f} of the pairs with at least {DOUBTFUL:g}",
    )
    folder = find_bundle(bundle)
    provenance = {**loaded.manifest.provenance, "metrics": figures}
    changes = {"name": folder.name, "calibration": calibration, "provenance": provenance}
    save_bundle(replace(loaded, manifest=loaded.manifest.model_copy(update=changes)), folder)
    if plot:
        from tca_model.evaluation.plots import plot_reliability

        with drawing(plot):
            plot_reliability(doubtful, plot, title=f"{folder.name}, pairs with at least {DOUBTFUL:g}")
    _print_bins(doubtful)
    _print_errors(folder, calibration, errors)


def _print_errors(folder: Path, calibration: Calibration, errors: tuple[float, float]) -> None:
    console.print(f"expected calibration error: {errors[0]:.4f}; of these pairs only: {errors[1]:.4f}")
    threshold = calibration.alert_threshold
    error_console.print(
        f"{folder}: the alert threshold is a probability of {threshold:.4f}, a joined score of "
        f"{calibration.joined_score(threshold):.3f}",
        soft_wrap=True,
    )


def _print_bins(bins: list[Bin]) -> None:
    table = folding_table(f"Pairs with a probability of at least {DOUBTFUL:g}", "pairs", "probability", "copies")
    for one in bins:
        table.add_row(f"{one.pairs:,}", f"{one.probability:.3f}", f"{one.copies:.3f}")
    console.print(table)


def _read_quality(path: Path, version: str) -> tuple[dict[str, Any], list[str], np.ndarray, np.ndarray]:
    """The rounded figures of a model version, and the family, score and is-copy label of each pair.

    Raises UsageError if the file does not contain them.
    """
    try:
        found = _find_version(path, version)
        scored = [(str(pair["family"]), float(pair["score"]), bool(pair["is_copy"])) for pair in found["scored"]]
        families, scores, is_copy = zip(*scored, strict=True)
        return dict(_round(found["quality"])), list(families), np.array(scores), np.array(is_copy)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not what `python -m bench.quality --json FILE` writes: {error!r}") from error


def _read_lookalikes(path: Path, version: str) -> tuple[list[str], np.ndarray]:
    """Kind and joined score of each pair of look-alikes. Raises UsageError if the file does not contain them."""
    try:
        pairs = _find_version(path, version)["pairs"]
        scored = [
            (str(pair["kind"]), float(pair["joined_score"])) for pair in pairs if pair["joined_score"] is not None
        ]
        kinds, scores = zip(*scored, strict=True)
        return list(kinds), np.array(scores)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not what `python -m bench.lookalikes --json FILE` writes: {error!r}") from error


def _find_version(path: Path, version: str) -> dict[str, Any]:
    found = next((one for one in json.loads(path.read_bytes()) if one["version"] == version), None)
    if found is None:
        raise UsageError(f"{path} has no figures of model version {version}: run the bench on that bundle")
    return dict(found)


def _round(value: Any) -> Any:
    """The value with all floats in it rounded."""
    if isinstance(value, dict):
        return {key: _round(one) for key, one in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value
