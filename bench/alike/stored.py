"""What is described once and kept: descriptors of videos as the service stores them, and of panned still pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image

from tca_model.api import SEGMENT_S, Describer
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.evaluation.benchmark import Advance
from tca_model.matching.evidence import JoinedEvidence, join, observe
from tca_model.matching.similarity import similarity_matrix
from tca_model.types import FloatArray, Image, VideoDescriptor

SHOT_S = 10  # seconds, and frames, of a still picture that is panned and zoomed
WINDOWS = (0.85, 0.7)  # share of the picture's sides that is in view at the begin and at the end


def describe_videos(videos: Sequence[Path], describer: Describer, folder: DescriptorFolder, advance: Advance) -> None:
    """Store the missing descriptors of these files, by their names without suffix, as the service stores them.

    Raises DecodeError for a damaged video.
    """
    for done, path in enumerate(videos, start=1):
        if path.stem not in folder:
            folder.write(path.stem, describer(path).descriptor, describer.extractor.model_version)
        advance(done, len(videos))


def describe_shots(pictures: Sequence[Path], describer: Describer, folder: DescriptorFolder, advance: Advance) -> None:
    """Store the missing descriptors of still pictures, each as a shot of SHOT_S seconds, by folder and name.

    Only its first and its last frame are described; those between lie on the arc between the two. A picture that shows
    nothing distinctive is stored without frames.
    """
    for done, path in enumerate(pictures, start=1):
        name = name_of(path)
        if name not in folder:
            ends = describer.describe_images(np.array([0.0, SHOT_S - 1.0]), cut_ends(path, describer))
            folder.write(name, spread_out(ends), describer.extractor.model_version)
        advance(done, len(pictures))


def name_of(picture: Path) -> str:
    """The id of a still picture in a DescriptorFolder: two folders have pictures of one name."""
    return f"{picture.parent.name}-{picture.stem}"


def cut_ends(picture: Path, describer: Describer) -> Image:
    """The first and the last frame (2, H, W, 3) of the shot, at the input size; the name decides the camera's way."""
    rng = np.random.default_rng(list(name_of(picture).encode()))
    begin = rng.uniform(0, 1, 2)
    frames = []
    with PIL.Image.open(picture) as opened:
        image = opened.convert("RGB")
    for share, place in zip(WINDOWS, (begin, 1 - begin), strict=True):
        width, height = image.width * share, image.height * share
        left, top = place * [image.width - width, image.height - height]
        box = (left, top, left + width, top + height)
        frames.append(image.resize(describer.extractor.input_size, PIL.Image.Resampling.BILINEAR, box))
    return np.stack([np.asarray(frame) for frame in frames])


def spread_out(ends: VideoDescriptor) -> VideoDescriptor:
    """A descriptor of SHOT_S frames, a second apart, between two frames; without frames if one is missing."""
    if len(ends) < 2:
        return VideoDescriptor(np.empty(0), np.empty((0, ends.frames.shape[1]), np.float32))
    share = np.linspace(0, 1, SHOT_S, dtype=np.float32)[:, np.newaxis]
    rows = (1 - share) * ends.frames[0] + share * ends.frames[1]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return VideoDescriptor(np.arange(SHOT_S, dtype=np.float64), rows.astype(np.float32))


def cut_out(video: VideoDescriptor, start_s: float, end_s: float) -> VideoDescriptor:
    """The frames from `start_s` until before `end_s`, with times from 0."""
    inside = (video.timestamps_s >= start_s) & (video.timestamps_s < end_s)
    return VideoDescriptor(video.timestamps_s[inside] - start_s, video.frames[inside])


def lay_in_a_row(videos: Sequence[VideoDescriptor], durations_s: Sequence[float]) -> VideoDescriptor:
    """One video after another, each as long as stated."""
    starts = np.cumsum([0.0, *durations_s])
    parts = [
        VideoDescriptor(video.timestamps_s + start_s, video.frames)
        for video, start_s in zip(videos, starts[:-1], strict=True)
    ]
    return VideoDescriptor.concatenate(parts)


def compare_stored(query: VideoDescriptor, reference: VideoDescriptor, segment_s: float = SEGMENT_S) -> JoinedEvidence:
    """The evidence of a pair as `tca_model.compare` gathers it: segment by segment of the query, then joined.

    Only times that end at the videos' ends can differ from it, as durations are not stored. Raises ValueError if one of
    them has no frames.
    """
    numbers, firsts = np.unique(segments_of(query, segment_s), return_index=True)
    ends = [*firsts[1:], len(query)]
    of_reference = segments_of(reference, segment_s)
    evidence = []
    for number, first, end in zip(numbers, firsts, ends, strict=True):
        similarity: FloatArray = similarity_matrix(query.frames[first:end], reference.frames)
        times = query.timestamps_s[first:end]
        evidence.append(observe(int(number), similarity, times, reference.timestamps_s, of_reference))
    return join(evidence)


def segments_of(video: VideoDescriptor, segment_s: float = SEGMENT_S) -> np.ndarray:
    """The number (T,) of the segment in which each frame lies."""
    return (video.timestamps_s // segment_s).astype(np.int64)
