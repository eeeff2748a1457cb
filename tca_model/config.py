"""What a descriptor is: the frozen, validated configuration that a bundle carries and its version hashes."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BundleWeights(Config):
    """The backbone's weights lie in the bundle itself, under `backbone.`."""

    kind: Literal["bundle"] = "bundle"


class PackageWeights(Config):
    """A state dict inside an installed distribution, read with `weights_only` after its sha256 was checked.

    It is mapped onto the backbone in order: the packages here hold the same network under other names.
    """

    kind: Literal["package"] = "package"
    package: str
    file: str  # as the distribution's RECORD lists it
    sha256: Sha256
    licence: str


class FileWeights(Config):
    """A local safetensors or PyTorch state dict, with the backbone's own names."""

    kind: Literal["file"] = "file"
    path: str
    sha256: Sha256


class TorchvisionWeights(Config):
    """torchvision's pretrained weights by name (`IMAGENET1K_V1`); fetched by torchvision, needs the internet once."""

    kind: Literal["torchvision"] = "torchvision"
    name: str


class RandomWeights(Config):
    """Untrained, from a seed: for tests and as the floor of comparisons."""

    kind: Literal["random"] = "random"
    seed: int


BackboneWeights: TypeAlias = Annotated[
    BundleWeights | PackageWeights | FileWeights | TorchvisionWeights | RandomWeights, Field(discriminator="kind")
]


class FrameConfig(Config):
    """From pixels to one frame descriptor."""

    backbone: str = "resnet50"
    weights: BackboneWeights
    input_px: Annotated[int, Field(ge=32, le=1024)] = 224  # frames are squashed to this square
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    pooling: Literal["l3-irmac", "l3-imac"] = "l3-irmac"
    dimension: Annotated[int, Field(ge=1)] = 1024  # after PCA whitening
    sample_every_s: Annotated[float, Field(gt=0)] = 1.0
    remove_bars: bool = True  # black bars are removed before the squash, on copies and originals alike


class EncoderConfig(Config):
    """From the frame descriptors of a segment to refined ones and a segment descriptor."""

    aggregator: Annotated[
        Literal["tca", "mean", "netvlad", "lstm", "gru"], Field(description="Aggregator; mean has nothing to train")
    ] = "tca"
    layers: Annotated[int, Field(ge=1, description="Layers of tca, lstm and gru")] = 1
    heads: Annotated[int, Field(ge=1, description="Attention heads of tca")] = 8
    feed_forward: Annotated[int, Field(ge=1, description="Width inside tca's feed-forward layer")] = 2048
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout while training")] = 0.5
    clusters: Annotated[int, Field(ge=1, description="Clusters of netvlad")] = 64


class DescriptorConfig(Config):
    """Everything besides the weights that decides what a descriptor is; hashed into the model version."""

    frame: FrameConfig
    encoder: EncoderConfig = EncoderConfig()
    compares: Literal["frame", "refined"] = "refined"  # which descriptors are stored and compared

    @model_validator(mode="after")
    def _heads_divide_dimension(self) -> "DescriptorConfig":
        if self.encoder.aggregator == "tca" and self.frame.dimension % self.encoder.heads:
            raise ValueError(f"{self.encoder.heads} heads do not divide {self.frame.dimension} dimensions")
        return self
