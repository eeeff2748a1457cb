"""Model bundles: a folder of bundle.json (the manifest) and weights.safetensors, nothing pickled.

The model version is a short hash of the descriptor configuration and the weights that make descriptors; the
calibration has a version of its own, so that a new threshold orphans no index. The manifest is read without torch.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tca_model.config import Config, DescriptorConfig
from tca_model.errors import BundleError
from tca_model.files import replacing
from tca_model.matching.calibration import Calibration

SHIPPED = Path(__file__).parent / "bundles"
DEFAULT = "default"
MANIFEST = "bundle.json"
WEIGHTS = "weights.safetensors"
VERSION_DIGITS = 12  # 48 bits: two of a thousand bundles share a version with a chance of 2e-9

# Where weights are stored and how an encoder was trained; sha256 and bytes already say which weights they are.
# `clusters` was added after bundles were shipped and must not change their version: the weights' shapes show it too.
WITHOUT_EFFECT: Any = {
    "frame": {"weights": {"path": True, "package": True, "file": True, "licence": True}},
    "encoder": {"dropout": True, "clusters": True},
}

Tensors = dict[str, NDArray[Any]]


class Manifest(Config):
    """Everything in a bundle but its tensors: what the descriptors are, what scores mean, how it was made."""

    format_version: Literal[1] = 1
    name: str
    descriptor: DescriptorConfig
    calibration: Calibration
    provenance: dict[str, JsonValue]  # data, command, seed, time, hardware, metrics


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A manifest with its tensors, by names such as `backbone.layer1.0.conv1.weight`."""

    manifest: Manifest
    tensors: Tensors

    @property
    def model_version(self) -> str:
        """Hash of the descriptor configuration, less WITHOUT_EFFECT, and of backbone, whitening and encoder tensors.

        Backbone weights outside the bundle count by their sha256 or name, which the configuration states.
        """
        descriptor = self.manifest.descriptor.model_dump(mode="json", exclude=WITHOUT_EFFECT)
        digest = hashlib.sha256(json.dumps(descriptor, sort_keys=True).encode())
        for name, tensor in sorted(self.tensors.items()):
            if name.startswith(("backbone.", "whitening.", "encoder.")):
                digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
                digest.update(np.ascontiguousarray(tensor).tobytes())
        return digest.hexdigest()[:VERSION_DIGITS]

    def part(self, prefix: str) -> Tensors:
        """The tensors under `prefix.`, without it."""
        return {name.removeprefix(f"{prefix}."): t for name, t in self.tensors.items() if name.startswith(f"{prefix}.")}


def find_bundle(name_or_path: str) -> Path:
    """The folder of a shipped bundle by name, or the folder at a path. Raises BundleError if there is none."""
    for folder in (SHIPPED / name_or_path, Path(name_or_path)):
        if (folder / MANIFEST).is_file():
            return folder
    shipped = ", ".join(sorted(p.parent.name for p in SHIPPED.glob(f"*/{MANIFEST}"))) or "none"
    raise BundleError(
        f"no bundle {name_or_path!r}: give a shipped name ({shipped}) or a folder with {MANIFEST} and {WEIGHTS}"
    )


def load_bundle(name_or_path: str = DEFAULT) -> Bundle:
    """The bundle of that name or in that folder. Raises BundleError when missing, damaged or of another format."""
    folder = find_bundle(name_or_path)
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        tensors = load((folder / WEIGHTS).read_bytes())
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise BundleError(f"{folder / MANIFEST} is not a bundle of format 1: {wrong}") from error
    except SafetensorError as error:
        raise BundleError(
            f"{folder / WEIGHTS} is damaged or not safetensors ({error}); a bundle holds no pickle"
        ) from error
    except OSError as error:
        raise BundleError(f"cannot read {error.filename}: {error.strerror}") from error
    return Bundle(manifest, tensors)


def check_place(folder: Path) -> None:
    """Raise BundleError if a bundle cannot be written here; also called before training, to fail early."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        others = (
            [path.name for path in folder.iterdir() if path.name not in (MANIFEST, WEIGHTS)] if folder.exists() else []
        )
    except OSError as error:
        raise BundleError(f"cannot write a bundle to {folder}: {error.strerror}") from error
    if others:
        raise BundleError(f"{folder} holds more than a bundle ({others[0]}): give it a folder of its own")


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """Write the bundle to a temporary folder and move it into place: an interrupted run leaves the old one or none.

    Raises BundleError if the folder holds anything else or cannot be made, ValueError for weights that are not finite.
    """
    check_place(folder)
    broken = [name for name, tensor in bundle.tensors.items() if not np.isfinite(tensor).all()]
    if broken:
        raise ValueError(f"{broken[0]} holds values that are not finite: the bundle is unusable")
    with replacing(folder) as new:
        new.mkdir()
        (new / MANIFEST).write_text(bundle.manifest.model_dump_json(indent=2) + "\n")
        (new / WEIGHTS).write_bytes(save({name: np.asarray(t, order="C") for name, t in bundle.tensors.items()}))
