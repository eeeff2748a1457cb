"""Fits the PCA whitening of a backbone's pooled vectors on folders of images, and makes a bundle with it.

One pass in constant memory: the paper's 997,090 frames only take longer.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from pydantic import JsonValue

from tca_model.bundle import Bundle
from tca_model.config import BundleWeights, DescriptorConfig
from tca_model.matching.calibration import Calibration
from tca_model.networks.backbone import load_backbone
from tca_model.networks.frame_descriptor import FrameDescriptor
from tca_model.networks.whitening import CovarianceAccumulator, Whitening
from tca_model.training.bundling import hardware, make_bundle
from tca_model.training.images import find_images, read_images

BATCH_IMAGES = 32


def fit_whitening(
    name: str,
    config: DescriptorConfig,
    folders: Sequence[Path],
    calibration: Calibration,
    *,
    command: str,
    advance: Callable[[int, int], None],
) -> Bundle:
    """A bundle with whitening fitted on all images below the folders; unreadable ones are counted in its provenance.

    `advance(done, total)` gets numbers of images.

    Raises FileNotFoundError without images, ValueError for fewer images than the dimension needs or for weights in a
    bundle, WeightsError without the backbone's weights.
    """
    started = time.monotonic()
    paths = find_images(folders)
    frame = config.frame
    if isinstance(frame.weights, BundleWeights):
        raise ValueError("a bundle's own weights cannot be whitened before there is a bundle: name a file or a package")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone = load_backbone(frame.backbone, frame.weights, {})
    pooled = FrameDescriptor(frame, backbone, whitening=None).eval().to(device)
    statistics = CovarianceAccumulator(sum(backbone.channels))
    broken = done = 0
    with torch.inference_mode():
        for images, unreadable in read_images(paths, frame.input_px, BATCH_IMAGES):
            statistics.update(pooled(torch.from_numpy(images).to(device)))
            broken += unreadable
            done += len(images) + unreadable
            advance(done, len(paths))
    pooled.whitening = Whitening.fit(statistics, frame.dimension)
    provenance: dict[str, JsonValue] = {
        "command": command,
        "images": statistics.count,
        "images_unreadable": broken,
        "folders": [folder.name for folder in folders],
        "seconds": round(time.monotonic() - started, 1),
        **hardware(device),
    }
    return make_bundle(name, config, pooled, calibration, provenance)
