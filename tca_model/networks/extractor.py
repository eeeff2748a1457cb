"""The only inference path from pixels to descriptors, used by the service, training and evaluation."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tca_model.bundle import Bundle
from tca_model.config import DescriptorConfig
from tca_model.errors import BundleError
from tca_model.networks.backbone import load_backbone
from tca_model.networks.encoder import build_encoder
from tca_model.networks.frame_descriptor import FrameDescriptor
from tca_model.networks.whitening import Whitening
from tca_model.types import FloatArray

BATCH_FRAMES = 32  # on 2 cores larger batches gain nothing and cost memory; use `batch_frames` of 256 on a GPU


class SegmentDescriptors(NamedTuple):
    frames: FloatArray  # (T, D) stored and compared
    vector: FloatArray  # (D,) the segment descriptor


class DescriptorExtractor:
    """Computes frame and segment descriptors of decoded frames with one bundle on one device."""

    def __init__(self, bundle: Bundle, *, device: str | None = None, batch_frames: int = BATCH_FRAMES) -> None:
        """Raises BundleError or WeightsError if the bundle's weights are not available or do not fit."""
        self.config: DescriptorConfig = bundle.manifest.descriptor
        self.model_version = bundle.model_version
        self.batch_frames = batch_frames
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        frame = self.config.frame
        backbone = load_backbone(frame.backbone, frame.weights, _as_torch(bundle, "backbone"))
        encoder = build_encoder(frame.dimension, self.config.encoder)
        try:
            encoder.load_state_dict(_as_torch(bundle, "encoder"))
            whitening = Whitening(**_as_torch(bundle, "whitening"))
        except (RuntimeError, TypeError, ValueError) as error:
            raise BundleError(
                f"the weights of bundle {bundle.manifest.name} do not fit its manifest: {error}"
            ) from error
        if whitening.projection.shape != (sum(backbone.channels), frame.dimension):
            raise BundleError(f"whitening of bundle {bundle.manifest.name} does not fit backbone {frame.backbone}")
        self._describe = FrameDescriptor(frame, backbone, whitening).eval().to(self.device)
        self._encode = encoder.eval().to(self.device)

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of the frames that `describe` expects."""
        return self.config.frame.input_px, self.config.frame.input_px

    @torch.inference_mode()
    def describe(self, images: NDArray[np.uint8]) -> FloatArray:
        """Frame descriptors (N, D), unit rows, of RGB frames (N, H, W, 3) at the input size; N may be 0."""
        parts = [
            self._describe(batch.to(self.device, non_blocking=True)).float().cpu() for batch in self._batches(images)
        ]
        empty = torch.empty(0, self.config.frame.dimension)
        return torch.cat([empty, *parts]).numpy()

    def _batches(self, images: NDArray[np.uint8]) -> Iterator[Tensor]:
        height, width = images.shape[1:3]
        if (width, height) != self.input_size or images.shape[3:] != (3,):
            raise ValueError(f"expected images (N, {self.input_size[1]}, {self.input_size[0]}, 3), got {images.shape}")
        yield from torch.split(torch.from_numpy(images), self.batch_frames) if len(images) else ()

    @torch.inference_mode()
    def encode(self, segments: Sequence[FloatArray]) -> list[SegmentDescriptors]:
        """The descriptors to store for each segment, from its frame descriptors (T_i, D); every T_i is at least 1."""
        if not segments:
            return []
        lengths = torch.tensor([len(frames) for frames in segments])
        padded = pad_sequence([torch.from_numpy(frames) for frames in segments], batch_first=True)  # (B, T, D)
        present = torch.arange(padded.shape[1]) < lengths.unsqueeze(1)  # (B, T)
        encoded = self._encode(padded.to(self.device), present.to(self.device))
        stored = encoded.refined.float().cpu().numpy() if self.config.compares == "refined" else padded.numpy()
        vectors = encoded.segment.float().cpu().numpy()
        return [
            SegmentDescriptors(frames[:length], vector)
            for frames, vector, length in zip(stored, vectors, lengths.tolist(), strict=True)
        ]


def _as_torch(bundle: Bundle, part: str) -> dict[str, Tensor]:
    return {name: torch.from_numpy(tensor) for name, tensor in bundle.part(part).items()}
