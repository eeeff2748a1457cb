"""VCDB: 528 core videos of 28 queries whose copied parts were marked by hand, and distractors of the same site.

Jiang, Jiang and Wang, "VCDB: A large-scale database for partial copy detection in videos", ECCV 2014; annotations as
`vcdb.pickle` of xwen99/temporal_context_aggregation, which training and evaluation of TCA read.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from tca_model.config import Config
from tca_model.data.annotations import Annotations, distinct, entry, from_public, repeated
from tca_model.data.restricted_pickle import load_restricted

CORE_VIDEOS = 528  # the first ones of `index`


class CopiedPair(Config):
    """Two core videos that share content, in no order.

    `overlap` is kept as published, one number a video; most are shares of its length, but they reach 27.
    """

    videos: tuple[str, str]
    overlap: tuple[float, float]


class VcdbAnnotations(Annotations):
    benchmark: Literal["VCDB"] = "VCDB"
    pairs: tuple[CopiedPair, ...]
    distractors: tuple[str, ...]  # as published: 99,180, of which 4 are named twice

    @model_validator(mode="after")
    def _pairs_are_of_queries(self) -> Self:
        core = set(self.queries)
        strays = [pair.videos for pair in self.pairs if not core.issuperset(pair.videos) or len(set(pair.videos)) < 2]
        if strays:
            raise ValueError(f"the pair {strays[0]} is not of two core videos")
        return self

    def copies(self) -> dict[str, set[str]]:
        """For each query the videos that share content with it."""
        found: dict[str, set[str]] = {query: set() for query in self.queries}
        for pair in self.pairs:
            one, other = pair.videos
            found[one].add(other)
            found[other].add(one)
        return found


def convert_vcdb(source: Path) -> tuple[VcdbAnnotations, list[str]]:
    """Annotations of the public pickle, and remarks on what it names twice.

    Raises ValueError where it is another file, OSError where it cannot be read.
    """
    raw = load_restricted(source)
    index, distractors = entry(source, raw, "index"), entry(source, raw, "negs")
    values = {
        "queries": index[:CORE_VIDEOS],
        "database": distinct(index),
        "pairs": entry(source, raw, "video_pairs"),
        "distractors": distractors,
    }
    annotations = from_public(source, VcdbAnnotations, values)
    twice = repeated(distractors)
    return annotations, [f"{twice} distractors are named twice"] if twice else []
