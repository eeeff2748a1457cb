"""`copydetect model calibrate`: the alert threshold of a bundle, and its figures, from a run of the benchmark."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.console import error_console
from services.contracts.errors import UsageError
from tca_model.bundle import Calibration, find_bundle, load_bundle, save_bundle

STEP = 0.01  # thresholds are multiples of it


def calibrate(
    bundle: Annotated[str, typer.Argument(help="Shipped name or folder; its bundle.json is written anew")],
    quality: Annotated[Path, typer.Argument(help="What `python -m bench.quality --json FILE` wrote")],
) -> None:
    """Set a bundle's alert threshold above every pair that is no copy in the benchmark, and note its figures.

    The model version stays: no index has to be made again.
    """
    loaded = load_bundle(bundle)
    figures = _figures(quality, loaded.model_version)
    threshold = (math.floor(figures["highest_other"] / STEP) + 1) * STEP
    before = loaded.manifest.calibration
    recall = figures["recall_before_false_positive"]
    calibration = Calibration(
        version=before.version + 1,
        alert_threshold=round(threshold, 6),
        basis=f"above every pair that is no copy in `make bench-quality`; recall {recall}",
    )
    folder = find_bundle(bundle)
    manifest = loaded.manifest.model_copy(
        update={
            "name": folder.name,
            "calibration": calibration,
            "provenance": {**loaded.manifest.provenance, "metrics": figures},
        }
    )
    save_bundle(replace(loaded, manifest=manifest), folder)
    error_console.print(f"{folder}: alerts from a score of {threshold:.2f} (was {before.alert_threshold:.2f})")


def _figures(path: Path, version: str) -> dict[str, Any]:
    """The figures of that model version, rounded. Raises UsageError when the file does not hold them."""
    try:
        judged = json.loads(path.read_bytes())
        found = next((one["quality"] for one in judged if one["version"] == version), None)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not what `python -m bench.quality --json FILE` writes: {error}") from error
    if found is None:
        raise UsageError(f"{path} holds no figures of model version {version}: run the bench on that bundle")
    return dict(_rounded(found))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, 4) if isinstance(value, float) else value
