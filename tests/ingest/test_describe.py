"""Several files share a batch, and the model is loaded only when needed."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.contracts.events import Role
from services.contracts.segments import SegmentRow
from services.ingest.describe import BatchDescriber
from tca_model.types import FloatArray, VideoDescriptor
from tests.ingest.fakes import Encoded
from tests.vectors import unit

Images = NDArray[np.uint8]


class FakeExtractor:
    """Describes a frame by the direction of its first pixel's colour; a segment is refined to its frames, reversed."""

    def __init__(self, batch_frames: int = 64) -> None:
        self.batch_frames = batch_frames
        self.batches: list[int] = []
        self.segments: list[int] = []

    def describe(self, images: Images) -> FloatArray:
        self.batches.append(len(images))
        return unit(images[:, 0, 0].astype(np.float32) + 1)

    def encode(self, segments: Sequence[FloatArray]) -> list[Encoded]:
        self.segments += map(len, segments)
        return [Encoded(frames[::-1], frames[0]) for frames in segments]


def tag_images(*tags: int) -> Images:
    images = np.zeros((len(tags), 4, 4, 3), np.uint8)
    images[:, 0, 0, 0] = tags
    return images


def row(index: int, frames: int) -> SegmentRow:
    return SegmentRow("default", "a", index, Role.UPLOAD, index, index + 1, frames, "s", "/a", 0)


def descriptor(*tags: int) -> VideoDescriptor:
    frames = FakeExtractor().describe(tag_images(*tags)).reshape(-1, 3)
    return VideoDescriptor(np.arange(len(tags), dtype=np.float64), frames)


def test_chunks_of_several_files_share_a_batch() -> None:
    extractor = FakeExtractor()
    chunks = [tag_images(1, 2, 3), tag_images(), tag_images(4), tag_images(5, 6)]
    described = BatchDescriber(lambda: extractor).describe_frames(chunks)
    assert extractor.batches == [6]
    assert [len(frames) for frames in described] == [3, 0, 1, 2]
    for frames, chunk in zip(described, chunks, strict=True):
        np.testing.assert_array_equal(frames, FakeExtractor().describe(chunk))


def test_segments_are_stored_with_the_refined_descriptors_of_the_encoder() -> None:
    [segment] = BatchDescriber(FakeExtractor).encode_segments([row(0, 3)], [descriptor(1, 2, 3)])
    np.testing.assert_array_equal(segment.descriptor.frames, descriptor(3, 2, 1).frames)
    np.testing.assert_array_equal(segment.descriptor.timestamps_s, [0, 1, 2])
    np.testing.assert_array_equal(segment.vector, descriptor(1).frames[0])


def test_a_segment_without_frames_gets_a_zero_vector_and_does_not_shift_the_others() -> None:
    extractor = FakeExtractor()
    rows = [row(0, 1), row(1, 0), row(2, 2)]
    segments = BatchDescriber(lambda: extractor).encode_segments(rows, [descriptor(1), descriptor(), descriptor(2, 3)])
    assert extractor.segments == [1, 2], "the empty one is not encoded"
    assert [segment.row for segment in segments] == rows
    np.testing.assert_array_equal(segments[1].vector, np.zeros(3, np.float32))
    np.testing.assert_array_equal(segments[2].vector, descriptor(2).frames[0])


def test_the_extractor_is_loaded_once_and_only_for_the_first_frame() -> None:
    loaded: list[FakeExtractor] = []

    def load() -> FakeExtractor:
        loaded.append(FakeExtractor())
        return loaded[-1]

    describer = BatchDescriber(load)
    assert describer.describe_frames([]) == []
    assert describer.encode_segments([], []) == []
    assert loaded == []
    describer.describe_frames([tag_images(1)])
    describer.encode_segments([row(0, 1)], [descriptor(1)])
    assert len(loaded) == 1


def test_a_batch_never_exceeds_batch_frames() -> None:
    extractor = FakeExtractor(batch_frames=3)
    chunks = [tag_images(1, 2), tag_images(3, 4, 5, 6), tag_images(7)]
    described = BatchDescriber(lambda: extractor).describe_frames(chunks)
    assert extractor.batches == [3, 3, 1]
    for frames, chunk in zip(described, chunks, strict=True):
        np.testing.assert_array_equal(frames, FakeExtractor().describe(chunk))


class SmallDevice(FakeExtractor):
    """Has memory for `fits` frames at once; splits larger input into batches as the real one does."""

    fits = 4

    def describe(self, images: Images) -> FloatArray:
        if min(self.batch_frames, len(images)) > self.fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return super().describe(images)


def test_batches_that_the_device_cannot_hold_are_halved_permanently_but_only_once() -> None:
    device = SmallDevice(batch_frames=8)
    [described] = BatchDescriber(lambda: device).describe_frames([tag_images(*range(20))])
    np.testing.assert_array_equal(described, FakeExtractor().describe(tag_images(*range(20))))
    assert device.batch_frames == 4
    tiny = SmallDevice(batch_frames=16)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        BatchDescriber(lambda: tiny).describe_frames([tag_images(*range(20))])


def test_another_error_of_the_model_is_not_retried() -> None:
    class Broken(FakeExtractor):
        def describe(self, images: Images) -> FloatArray:
            super().describe(images)
            raise RuntimeError("a defect")

    extractor = Broken()
    with pytest.raises(RuntimeError, match="a defect"):
        BatchDescriber(lambda: extractor).describe_frames([tag_images(1)])
    assert extractor.batches == [1]


def test_warming_up_loads_the_extractor() -> None:
    loaded: list[FakeExtractor] = []

    def load() -> FakeExtractor:
        loaded.append(FakeExtractor())
        return loaded[-1]

    describer = BatchDescriber(load)
    describer.warm_up()
    describer.warm_up()
    describer.describe_frames([tag_images(1)])
    assert len(loaded) == 1
