"""A small bundle, made by hand."""

from typing import Any

import numpy as np

from tca_model.bundle import Bundle, Manifest
from tca_model.config import DescriptorConfig, FrameConfig, RandomWeights
from tca_model.matching.calibration import Calibration


def descriptor(*, frame: dict[str, Any] | None = None, **changes: Any) -> DescriptorConfig:
    frame_config = FrameConfig.model_validate(
        {"backbone": "resnet18", "weights": RandomWeights(seed=0), "input_px": 64, "dimension": 16} | (frame or {})
    )
    return DescriptorConfig(frame=frame_config, **changes)


def small_bundle(*, config: DescriptorConfig | None = None, **changes: Any) -> Bundle:
    rng = np.random.default_rng(0)
    values: dict[str, Any] = {
        "name": "small",
        "descriptor": config or descriptor(),
        "calibration": Calibration(alert_threshold=0.5, basis="none"),
        "provenance": {"command": "by hand", "images": 3, "nested": {"list": [1, 2.5, None, True]}},
    }
    tensors: dict[str, Any] = {
        "whitening.mean": rng.normal(size=6).astype(np.float32),
        "whitening.projection": np.asfortranarray(rng.normal(size=(6, 4)).astype(np.float32)),
        "encoder.layers.0.weight": rng.normal(size=(4, 4)).astype(np.float16),
        "backbone.bn1.num_batches_tracked": np.array(7),
        "noise_bank.frames": rng.normal(size=(2, 4)).astype(np.float32),
    }
    return Bundle(Manifest(**values | changes), tensors)


def with_tensor(bundle: Bundle, name: str, tensor: Any) -> Bundle:
    return Bundle(bundle.manifest, bundle.tensors | {name: tensor})
