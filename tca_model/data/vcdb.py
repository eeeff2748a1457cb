"""VCDB: 528 core videos of 28 queries with copied parts marked by hand, and distractors from the same site.

Jiang, Jiang and Wang, "VCDB: A large-scale database for partial copy detection in videos", ECCV 2014; annotations as
`vcdb.pickle` of xwen99/temporal_context_aggregation, used for training and evaluation of TCA.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from tca_model.config import Config
from tca_model.data.annotations import Annotations, count_repeats, distinct, entry, from_public
from tca_model.data.restricted_pickle import load_restricted

CORE_VIDEOS = 528  # the first ones of `index`


class CopiedPair(Config):
    """Two core videos that share content, in no particular order.

    `overlap` is kept as published, one number per video: mostly shares of its length, but values go up to 27.
    """

    videos: tuple[str, str]
    overlap: tuple[float, float]


class VcdbAnnotations(Annotations):
    benchmark: Literal["VCDB"] = "VCDB"
    pairs: tuple[CopiedPair, ...]
    distractors: tuple[str, ...]  # as published: 99,180 ids, 4 of them repeats

    @model_validator(mode="after")
    def _pairs_are_of_queries(self) -> Self:
        core = set(self.queries)
        strays = [pair.videos for pair in self.pairs if not core.issuperset(pair.videos) or len(set(pair.videos)) < 2]
        if strays:
            raise ValueError(f"the pair {strays[0]} is not of two core videos")
        return self

    def copies(self) -> dict[str, set[str]]:
        """The videos that share content with each query."""
        found: dict[str, set[str]] = {query: set() for query in self.queries}
        for pair in self.pairs:
            one, other = pair.videos
            found[one].add(other)
            found[other].add(one)
        return found


def convert_vcdb(source: Path) -> tuple[VcdbAnnotations, list[str]]:
    """Annotations of the public pickle, and remarks on repeats in it.

    Raises ValueError if it is another file, OSError if it cannot be read.
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
    repeats = count_repeats(distractors)
    return annotations, [f"{repeats} distractors are named twice"] if repeats else []
