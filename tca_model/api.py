"""The entry point of the library: describe a video file as the service does, and compare two described videos.

    from tca_model import compare, describe
    result = compare(describe("copy.mp4"), describe("original.mp4"))
    if result.is_copy:
        print(result.probability, result.intervals)

`describe` decodes in this process, within DecodeLimits. For files of strangers the service does the same in child
processes, because a decoder's crash ends its process.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tca_model.bundle import DEFAULT, Bundle, find_bundle, load_bundle
from tca_model.errors import NOTHING_SHOWN, DecodeError
from tca_model.matching.calibration import Calibration
from tca_model.matching.evidence import join, observe
from tca_model.matching.similarity import similarity_matrix
from tca_model.networks.extractor import DescriptorExtractor
from tca_model.types import FloatArray, Frame, Match, Times, VideoDescriptor
from tca_model.video.decode import DecodeLimits, sample_frames
from tca_model.video.segments import CutSegment, SegmentCutter
from tca_model.video.stills import Stills

T = TypeVar("T")

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

    def __repr__(self) -> str:
        return f"Segment({self.start_s:.1f}-{self.end_s:.1f} s, {_count(len(self.descriptor), 'frame')})"


@dataclass(frozen=True, slots=True, eq=False)
class DescribedVideo:
    """What the service stores of a video, and the calibration of the bundle that described it."""

    segments: tuple[Segment, ...]
    duration_s: float
    model_version: str
    calibration: Calibration

    def __repr__(self) -> str:
        segments = _count(len(self.segments), "segment")
        frames = _count(sum(len(segment.descriptor) for segment in self.segments), "frame")
        return f"DescribedVideo({self.duration_s:.1f} s, {segments}, {frames}, model {self.model_version})"

    @property
    def descriptor(self) -> VideoDescriptor:
        """The frame descriptors (T, D) of all segments."""
        return VideoDescriptor.concatenate([segment.descriptor for segment in self.segments])


@dataclass(frozen=True, slots=True)
class PairComparison:
    """How likely one video copies the other, and what is copied.

    `joined_score`: score of the evidence of all segments. `probability`: that score calibrated, None if the bundle has
    no calibration curve. `is_copy`: whether the bundle's alert threshold is reached. `intervals`: the aligned
    stretches, copied if `is_copy`.
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

        `segment_s`: length of the segments, infinite for one that holds the whole file. Raises BundleError if the
        bundle cannot be read or used, ValueError for a `segment_s` that is not positive.
        """
        if not segment_s > 0:
            raise ValueError(f"segment_s must be positive, got {segment_s}")
        self._bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
        self._extractor = DescriptorExtractor(self._bundle)
        self._segment_s, self._panels, self._limits = segment_s, panels, limits

    @property
    def extractor(self) -> DescriptorExtractor:
        """The bundle's network."""
        return self._extractor

    def __call__(self, path: str | Path) -> DescribedVideo:
        """Describe a file. Raises DecodeError if it is not a readable video, OSError if it cannot be opened.

        Both name the file.
        """
        cut = _Returning(self.iter_segments(path))
        try:
            segments = tuple(self._encode(segment) for segment in cut)
        except DecodeError as error:
            raise DecodeError(f"{path}: {error}") from error
        return DescribedVideo(segments, cut.result, self._bundle.model_version, self._bundle.manifest.calibration)

    def iter_segments(self, path: str | Path) -> Generator[CutSegment, None, float]:
        """Yield the segments of a file with their frame descriptors before the encoder, for training and plots.

        The generator's return value is the duration in seconds. Raises as a call does, then possibly after some
        segments, but a DecodeError does not name the file.
        """
        cutter, stills = self._new_cutter(), Stills()
        with Path(path).open("rb") as file:
            sampled = _Returning(self._sample(file))
            frames = iter(sampled)
            while batch := list(islice(frames, self._extractor.batch_frames)):
                times_s = np.array([frame.timestamp_s for frame in batch])
                yield from self._add(cutter, stills, times_s, np.stack([frame.image for frame in batch]))
        yield cutter.finish(sampled.result)
        return sampled.result

    def describe_frames(self, path: str | Path) -> VideoDescriptor:
        """The frame descriptors (T, D) of a file before the encoder; T is 0 if nothing distinctive is shown.

        Raises as `iter_segments` does.
        """
        return VideoDescriptor.concatenate([segment.descriptor for segment in self.iter_segments(path)])

    def describe_images(self, times_s: Times, images: NDArray[np.uint8]) -> VideoDescriptor:
        """As `describe_frames`, of frames (N, H, W, 3) at the input size that have been edited after decoding.

        `times_s`: their times (N,) in a video, ascending; N is at least 1. No panels are looked for.
        """
        cutter = self._new_cutter()
        cuts = [*self._add(cutter, Stills(), times_s, images), cutter.finish(float(times_s[-1]))]
        return VideoDescriptor.concatenate([cut.descriptor for cut in cuts])

    def _new_cutter(self) -> SegmentCutter:
        return SegmentCutter(dimension=self._extractor.config.frame.dimension, segment_s=self._segment_s)

    def _add(
        self, cutter: SegmentCutter, stills: Stills, times_s: Times, images: NDArray[np.uint8]
    ) -> Iterator[CutSegment]:
        return cutter.add(times_s, self._extractor.describe(images), stills.track(times_s, images))

    def _sample(self, file: BinaryIO) -> Generator[Frame, None, float]:
        frame = self._extractor.config.frame
        return sample_frames(
            file,
            every_s=frame.sample_every_s,
            size=self._extractor.input_size,
            remove_bars=frame.remove_bars,
            panels=self._panels,
            limits=self._limits,
        )

    def _encode(self, cut: CutSegment) -> Segment:
        frames, vector = cut.descriptor, np.zeros(cut.descriptor.frames.shape[1], np.float32)
        if len(frames):
            [(stored, vector)] = self._extractor.encode([frames.frames])
            frames = VideoDescriptor(frames.timestamps_s, stored)
        return Segment(cut.start_s, cut.end_s, frames, vector)


def describe(path: str | Path, bundle: str = DEFAULT) -> DescribedVideo:
    """Describe a video file as the service does by default. `bundle`: a shipped name, or a folder.

    The network is loaded at the first call, and again if the folder's files were replaced. Raises DecodeError if `path`
    is not a readable video, OSError if it cannot be opened, BundleError if the bundle cannot be read or used.
    """
    folder = find_bundle(bundle).resolve()
    found = [(file.name, file.stat()) for file in folder.iterdir()]
    stamps = frozenset((name, stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in found)
    return _load_describer(str(folder), stamps)(path)


def compare(query: DescribedVideo, reference: DescribedVideo) -> PairComparison:
    """Whether `query` copies `reference`, as the matcher decides it with `reference` as the older video.

    Raises ValueError if different models described them, or if one of them shows nothing that can be compared;
    TypeError for anything that `describe` did not return, such as a path.
    """
    sides: dict[str, object] = {"query": query, "reference": reference}
    for side, video in sides.items():
        if not isinstance(video, DescribedVideo):
            raise TypeError(f"the {side} is a {type(video).__name__}, not a DescribedVideo: call describe(path) first")
    if query.model_version != reference.model_version:
        raise ValueError(f"described by different models: {query.model_version} and {reference.model_version}")
    mine = [segment for segment in query.segments if len(segment.descriptor)]
    theirs = [segment for segment in reference.segments if len(segment.descriptor)]
    if not mine or not theirs:
        side = "reference" if mine else "query"
        raise ValueError(f"the {side} cannot be compared: {NOTHING_SHOWN}")
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
        intervals=tuple(match.limit(query.duration_s, reference.duration_s) for match in joined.intervals),
    )


class _Returning(Generic[T]):
    """Iterates over a generator, and holds its return value when it has ended."""

    result: float

    def __init__(self, generator: Generator[T, None, float]) -> None:
        self._generator = generator

    def __iter__(self) -> Iterator[T]:
        self.result = yield from self._generator


@lru_cache(maxsize=4)  # networks are large, and a program seldom uses more
def _load_describer(folder: str, _stamps: frozenset[tuple[str, int, int, int]]) -> Describer:
    return Describer(folder)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
