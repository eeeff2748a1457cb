"""What decides on the result of each training besides its data. Free of PyTorch, so that a command line can read them.

A field's description is the help of its command line option, so every field has one.
"""

from typing import Annotated, Literal

from pydantic import Field

from tca_model.config import Config, EncoderConfig

SHARD = 16  # images that are edited together, with random numbers of their own: shards are shared by processes


class BackboneRecipe(Config):
    """Everything that decides on a trained backbone, besides the pictures and its first weights."""

    input_px: int = Field(128, description="Input while training: a fifth less than the bundle's is a third cheaper")
    epochs: float = Field(5, gt=0, description="Passes over the pictures")
    batch: int = Field(64, ge=SHARD, multiple_of=SHARD, description="Pictures per step, over all processes")
    learning_rate: float = Field(3e-4, gt=0, description="Learning rate at its peak")
    warmup: int = Field(50, ge=0, description="Steps until the learning rate has reached its peak")
    temperature: float = Field(0.05, gt=0, description="Temperature of InfoNCE")
    koleo: float = Field(2.0, ge=0, description="Weight of the regulariser that spreads descriptors")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Numbers of the network's inside; auto: what is faster here, measured when the run begins"
    )
    seed: int = Field(0, description="Seed of order and edits")


class EncoderRecipe(Config):
    """Everything that decides on a trained encoder, besides the pairs. Defaults are the paper's."""

    encoder: EncoderConfig = EncoderConfig()
    loss: Literal["info-nce", "circle", "triplet"] = Field("info-nce", description="Loss")
    temperature: float = Field(0.07, gt=0, description="Temperature of InfoNCE")
    gamma: float = Field(256.0, gt=0, description="Scale of Circle")
    margin: float = Field(0.25, ge=0, le=2, description="Margin of Circle and triplet")
    epochs: float = Field(40, gt=0, description="Passes over the pairs")
    batch: int = Field(64, ge=1, description="Pairs per step, over all processes")
    distractors: int = Field(16, ge=1, description="Distractors per pair, drawn again every step")
    bank: int = Field(4096, ge=1, description="Keys in the memory bank")
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="Momentum of a slow encoder of keys, such as 0.999; without it there is no slow encoder"
    )
    learning_rate: float = Field(1e-5, gt=0, description="Learning rate of Adam at the start; half a cosine to zero")
    frames: int = Field(64, ge=1, description="Frames of a video per step: a random crop of longer ones")
    shortest_piece: float = Field(1.0, gt=0, le=1, description="Smallest share of anchor and positive a crop keeps")
    seed: int = Field(0, ge=0, description="Seed of edits, order, crops and dropout")


class ComparatorRecipe(Config):
    """Everything that decides on a trained video comparator, besides the pairs."""

    steps: int = Field(400, ge=1, description="Steps of the video comparator's training")
    batch: int = Field(16, ge=2, description="Anchors per step")
    margin: float = Field(0.5, ge=0, le=2, description="Margin of the triplet loss")
    learning_rate: float = Field(1e-3, gt=0, description="Learning rate of Adam at the start; half a cosine to zero")
    frames: int = Field(64, ge=1, description="Frames of a video per step: a random crop of longer ones")
    shortest_piece: float = Field(0.5, gt=0, le=1, description="Smallest share of anchor and positive a crop keeps")
    seed: int = Field(0, ge=0, description="Seed of order and crops")
