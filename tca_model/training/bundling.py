"""Makes a bundle with provenance from a trained frame descriptor."""

import torch
from pydantic import JsonValue

from tca_model.bundle import Bundle, Manifest
from tca_model.config import BundleWeights, DescriptorConfig
from tca_model.matching.calibration import Calibration
from tca_model.networks.frame_descriptor import FrameDescriptor


def make_bundle(
    name: str,
    config: DescriptorConfig,
    model: FrameDescriptor,
    calibration: Calibration,
    provenance: dict[str, JsonValue],
) -> Bundle:
    """A bundle with the mean aggregator; it contains the backbone's weights if the configuration says so."""
    parts = {"whitening": model.whitening.state_dict() if model.whitening else {}}
    if isinstance(config.frame.weights, BundleWeights):
        parts["backbone"] = model.backbone.stages.state_dict()
    tensors = {f"{part}.{key}": t.detach().cpu().numpy() for part, state in parts.items() for key, t in state.items()}
    return Bundle(Manifest(name=name, descriptor=config, calibration=calibration, provenance=provenance), tensors)


def hardware(device: torch.device) -> dict[str, JsonValue]:
    """The machine, as provenance records it."""
    on_gpu = device.type == "cuda"
    what = torch.cuda.get_device_name(device) if on_gpu else f"cpu, {torch.get_num_threads()} threads"
    return {"hardware": what, "torch": torch.__version__}
