"""The entry point of the library: describe a video file as the service does, and compare two described videos.

    from tca_model import compare, describe
    result = compare(describe("copy.mp4"), describe("original.mp4"))
    print(result.probability, result.intervals)

`describe` decodes in this process, within DecodeLimits. For files of strangers the service does the same in child
processes, because a decoder's crash ends its process.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tca_model.bundle import DEFAULT, Bundle, load_bundle
from tca_model.matching.calibration import Calibration
from tca_model.matching.evidence import join, observe
from tca_model.matching.similarity import similarity_matrix
from tca_model.networks.extractor import DescriptorExtractor
from tca_model.types import FloatArray, Frame, Match, VideoDescriptor
from tca_model.video.decode import DecodeLimits, sample_frames
from tca_model.video.segments import CutSegment, SegmentCutter
from tca_model.video.stills import Stills

LIMITS = DecodeLimits()
SEGMENT_S = 32.0  # the service's default, COPYDETECT_SEGMENT_S


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A half-open interval of a video in seconds, with its frame descriptors (T, D) and its segment descriptor (D,).

    If it shows nothing distinctive, it has no frames and `vector` is zero.
    """

    start_s: float
    end_s: float
    descriptor: VideoDescriptor
    vector: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class DescribedVideo:
    """What the service stores of a video, and the calibration of the bundle that described it."""

    segments: tuple[Segment, ...]
    duration_s: float
    model_version: str
    calibration: Calibration

    @property
    def descriptor(self) -> VideoDescriptor:
        """The frame descriptors (T, D) of all segments."""
        return VideoDescriptor.concatenate([segment.descriptor for segment in self.segments])


@dataclass(frozen=True, slots=True)
class PairComparison:
    """How likely one video copies the other, and what is copied.

    `joined_score`: score of the evidence of all segments. `probability`: that score calibrated, None if the bundle has
    no calibration curve. `is_copy`: whether the bundle's alert threshold is reached. `intervals`: the copied stretches.
    """

    joined_score: float
    probability: float | None
    is_copy: bool
    intervals: tuple[Match, ...]


class Describer:
    """Describes video files with one bundle, whose network is loaded once."""

    def __init__(
        self,
        bundle: Bundle | str = DEFAULT,
        *,
        segment_s: float = SEGMENT_S,
        panels: bool = True,
        limits: DecodeLimits = LIMITS,
    ) -> None:
        """`bundle`: a shipped name, a folder, or one that is loaded. `panels`: describe pictures in the picture too.

        Raises BundleError if the bundle cannot be read or used.
        """
        self._bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
        self._extractor = DescriptorExtractor(self._bundle)
        self._segment_s, self._panels, self._limits = segment_s, panels, limits

    def __call__(self, path: str | Path) -> DescribedVideo:
        """Describe a file. Raises DecodeError if it is not a readable video, OSError if it cannot be opened."""
        cutter = SegmentCutter(dimension=self._extractor.config.frame.dimension, segment_s=self._segment_s)
        stills = Stills()
        segments: list[CutSegment] = []
        with Path(path).open("rb") as file:
            frames = self._sample(file)
            while batch := list(islice(frames, self._extractor.batch_frames)):
                times = np.array([frame.timestamp_s for frame in batch])
                images = np.stack([frame.image for frame in batch])
                segments += cutter.add(times, self._extractor.describe(images), stills.first_shown_at(times, images))
        segments.append(cutter.finish(frames.duration_s))
        return DescribedVideo(
            tuple(self._encode(segment) for segment in segments),
            frames.duration_s,
            self._bundle.model_version,
            self._bundle.manifest.calibration,
        )

    def _sample(self, file: BinaryIO) -> "_SampledFrames":
        frame = self._extractor.config.frame
        return _SampledFrames(
            sample_frames(
                file,
                every_s=frame.sample_every_s,
                size=self._extractor.input_size,
                remove_bars=frame.remove_bars,
                panels=self._panels,
                limits=self._limits,
            )
        )

    def _encode(self, cut: CutSegment) -> Segment:
        frames, vector = cut.descriptor, np.zeros(cut.descriptor.frames.shape[1], np.float32)
        if len(frames):
            [(stored, vector)] = self._extractor.encode([frames.frames])
            frames = VideoDescriptor(frames.timestamps_s, stored)
        return Segment(cut.start_s, cut.end_s, frames, vector)


def describe(path: str | Path, bundle: str = DEFAULT) -> DescribedVideo:
    """Describe a video file as the service does by default. The network is loaded at the first call only.

    Raises DecodeError if it is not a readable video, OSError if it cannot be opened.
    """
    return _load_describer(bundle)(path)


def compare(query: DescribedVideo, reference: DescribedVideo) -> PairComparison:
    """Whether `query` copies `reference`, as the matcher decides it with `reference` as the older video.

    Raises ValueError if different models described them, or if one of them shows nothing that can be compared.
    """
    if query.model_version != reference.model_version:
        raise ValueError(f"described by different models: {query.model_version} and {reference.model_version}")
    mine = [segment for segment in query.segments if len(segment.descriptor)]
    theirs = [segment for segment in reference.segments if len(segment.descriptor)]
    if not mine or not theirs:
        side = "reference" if mine else "query"
        raise ValueError(f"the {side} shows nothing that can be compared: it is black, plain or a still")
    whole = reference.descriptor
    of_segment = np.repeat(np.arange(len(theirs)), [len(segment.descriptor) for segment in theirs])
    evidence = []
    for number, segment in enumerate(mine):
        similarity = similarity_matrix(segment.descriptor.frames, whole.frames)
        times = segment.descriptor.timestamps_s
        evidence.append(observe(number, similarity, times, whole.timestamps_s, of_segment))
    joined = join(evidence)
    calibration = query.calibration
    alert_score = calibration.alert_score(joined.joined_score)
    return PairComparison(
        joined_score=joined.joined_score,
        probability=alert_score if calibration.curve else None,
        is_copy=alert_score >= calibration.alert_threshold,
        intervals=joined.intervals,
    )


class _SampledFrames:
    """Iterates over frames, and knows the video's duration when they have ended."""

    def __init__(self, frames: Generator[Frame, None, float]) -> None:
        self._frames = frames
        self.duration_s = 0.0

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        try:
            return next(self._frames)
        except StopIteration as end:
            if end.value is not None:  # a generator that has ended returns None when asked again
                self.duration_s = end.value
            raise


@cache
def _load_describer(bundle: str) -> Describer:
    return Describer(bundle)
