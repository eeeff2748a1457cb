"""EVVE: videos of 13 events; a query should find the other videos of its event.

Revaud et al., "Event retrieval in large video collections with circulant temporal encoding", CVPR 2013; annotations as
`evve.pickle` of MKLab-ITI/visil and xwen99/temporal_context_aggregation (620 queries, 2,373 database videos).
"""

from pathlib import Path
from typing import Literal

from tca_model.config import Config
from tca_model.data.annotations import Annotations, distinct, entry, from_public
from tca_model.data.restricted_pickle import load_restricted


class Event(Config):
    queries: tuple[str, ...]
    positives: tuple[str, ...]
    undecided: tuple[str, ...]  # "null": may or may not show the event, so finding them neither helps nor hurts


class EvveAnnotations(Annotations):
    benchmark: Literal["EVVE"] = "EVVE"
    events: dict[str, Event]


def convert_evve(source: Path) -> EvveAnnotations:
    """Annotations of the public pickle. Raises ValueError if it is another file, OSError if it cannot be read."""
    raw = load_restricted(source)
    events = entry(source, raw, "annotation")
    try:
        named = {
            name: {"queries": sorted(queries), "positives": sorted(positives), "undecided": sorted(undecided)}
            for name, (queries, positives, undecided) in events.items()
        }
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{source} is not laid out as the public annotations: {error}") from error
    queries, database = entry(source, raw, "queries"), entry(source, raw, "database")
    values = {"queries": distinct(queries), "database": distinct(database), "events": named}
    return from_public(source, EvveAnnotations, values)
