"""From decoded frames to frame descriptors, and on to segment descriptors; frames of several files share a batch."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import structlog
from numpy.typing import NDArray

from services.contracts.segments import DescribedSegment, SegmentRow
from services.ingest.job import FinishedSegment, FramesToDescribe
from services.ingest.ports import Extractor
from services.runtime import metrics
from services.runtime.interrupts import holding_interrupts
from tca_model.types import FloatArray, VideoDescriptor

log = structlog.get_logger(__name__)


class BatchDescriber:
    """Describes with an extractor that is loaded for the first frame.

    A run in which everything is described already never loads the model.
    """

    def __init__(self, load: Callable[[], Extractor]) -> None:
        self._load = load

    @cached_property
    def _extractor(self) -> Extractor:
        with holding_interrupts():
            return self._load()

    def warm_up(self) -> None:
        """Load the model now."""
        _ = self._extractor

    def describe_frames(self, chunks: Sequence[NDArray[np.uint8]]) -> list[FloatArray]:
        """Compute frame descriptors (N_i, D) for each chunk of frames (N_i, H, W, 3) in shared batches.

        A batch has at most the extractor's `batch_frames`.
        """
        if not chunks:
            return []
        together = np.concatenate(chunks)
        size = self._extractor.batch_frames
        batches = [self._batch(together[start : start + size]) for start in range(0, max(1, len(together)), size)]
        return np.split(np.concatenate(batches), np.cumsum([len(chunk) for chunk in chunks])[:-1])

    def describe_and_cut(self, tracked: Sequence[FramesToDescribe]) -> list[FinishedSegment]:
        """Describe these frames together. Returns the segments that they complete."""
        frames = [one for one in tracked if len(one.images)]
        if not frames:
            return []
        with metrics.time_stage("describe"), holding_interrupts():
            described = self.describe_frames([one.images for one in frames])
        return [finished for one, vectors in zip(frames, described, strict=True) for finished in one.cut(vectors)]

    def _batch(self, images: NDArray[np.uint8]) -> FloatArray:
        metrics.batch_frames.observe(len(images))
        metrics.frames_encoded.inc(len(images))
        try:
            return self._extractor.describe(images)
        except RuntimeError as error:
            import torch  # already imported with the model

            if not isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            # Permanently smaller: whatever else uses the device will need its memory again.
            self._extractor.batch_frames = max(1, self._extractor.batch_frames // 2)
            log.warning("smaller batches", batch_frames=self._extractor.batch_frames)
            torch.cuda.empty_cache()
        return self._extractor.describe(images)

    def encode_segments(
        self, rows: Sequence[SegmentRow], descriptors: Sequence[VideoDescriptor]
    ) -> list[DescribedSegment]:
        """Compute what the index stores for each segment; one without informative frames gets a zero vector."""
        if not rows:
            return []
        described = [descriptor for descriptor in descriptors if len(descriptor)]
        with holding_interrupts():
            encoded = iter(self._extractor.encode([descriptor.frames for descriptor in described]))
        result = []
        for row, descriptor in zip(rows, descriptors, strict=True):
            if len(descriptor) == 0:
                vector = np.zeros(descriptor.frames.shape[1], dtype=np.float32)
            else:
                frames, vector = next(encoded)
                descriptor = VideoDescriptor(descriptor.timestamps_s, frames)
            result.append(DescribedSegment(row, descriptor, vector))
        return result
