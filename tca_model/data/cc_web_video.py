"""CC_WEB_VIDEO: 24 query sets of web videos, each video labelled by how it differs from the query.

Wu, Hauptmann and Ngo, "Practical elimination of near-duplicates from web video search", ACM MM 2007; annotations as
`cc_web_video.pickle` of MKLab-ITI/visil and xwen99/temporal_context_aggregation. Labels: E exactly the same, S similar,
V another version, M major change, L long version; X is another video. `excluded` are videos that are labelled wrongly
according to ViSiL's authors: the cleaned variants leave them out.
"""

from pathlib import Path
from typing import Any, Literal

from tca_model.data.annotations import Annotations, entry, from_public
from tca_model.data.restricted_pickle import load_restricted

POSITIVE_LABELS = frozenset("ESLMV")


class CcWebVideoAnnotations(Annotations):
    benchmark: Literal["CC_WEB_VIDEO"] = "CC_WEB_VIDEO"
    labels: dict[str, dict[str, str]]  # query -> video in its set -> label
    excluded: dict[str, tuple[str, ...]]  # query -> videos in any set


def convert_cc_web_video(source: Path) -> tuple[CcWebVideoAnnotations, list[str]]:
    """Annotations of the public pickle, and remarks on repeated and missing names.

    The pickle numbers the videos, and `index` maps numbers to names. Five names have two numbers: they become one video
    (ViSiL's code counts the second one of 4_160_Y as a video that no search can find). Raises ValueError if it is
    another file, OSError if it cannot be read.
    """
    raw = load_restricted(source)
    names, queries = entry(source, raw, "index"), entry(source, raw, "queries")
    sets, wrong = entry(source, raw, "ground_truth"), entry(source, raw, "excluded")
    try:
        labels = {query: _labels_by_name(names, labelled) for query, labelled in zip(queries, sets, strict=True)}
        excluded = {
            query: sorted(names[number] for number in numbers) for query, numbers in zip(queries, wrong, strict=True)
        }
        unnamed = sum(not names[number] for labelled in sets for number in labelled)
        twice = sum(len(labelled) for labelled in sets) - unnamed - sum(len(named) for named in labels.values())
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise ValueError(f"{source} is not laid out as the public annotations: {error}") from error
    remarks = [
        *([f"{unnamed} labelled videos have no name and are left out"] if unnamed else []),
        *([f"{twice} labelled videos are named twice and counted once"] if twice else []),
    ]
    database = [name for name in entry(source, raw, "vid2index") if name]
    values = {"queries": queries, "database": database, "labels": labels, "excluded": excluded}
    return from_public(source, CcWebVideoAnnotations, values), remarks


def _labels_by_name(names: list[str], labelled: dict[int, str]) -> dict[str, Any]:
    """The labels by name. Raises ValueError if a name has two labels."""
    named: dict[str, str] = {}
    for number, label in labelled.items():
        name = names[number]
        if name and named.setdefault(name, label) != label:
            raise ValueError(f"{name} is labelled {named[name]} and {label}")
    return named
