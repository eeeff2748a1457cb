"""FIVR-200K and FIVR-5K: which videos show the same incident as a query, and how closely.

Kordopatis-Zilos et al., "FIVR: Fine-grained Incident Video Retrieval", IEEE TMM 2019, arXiv 1809.04094; files of
MKLab-ITI/FIVR-200K (`dataset/annotation.json`, `dataset/youtube_ids.txt`: 100 queries, 225,960 videos). FIVR-5K is
the subset of ViSiL (Kordopatis-Zilos et al., ICCV 2019): 50 queries, 5,000 videos, in the `fivr.pickle` of its code.
"""

from pathlib import Path
from typing import Literal

from tca_model.data.annotations import Annotations, distinct, entry, from_public, read_ids, read_json
from tca_model.data.restricted_pickle import load_restricted

Label = Literal["ND", "DS", "CS", "IS", "DA"]

# The labels that count in each task (README of MKLab-ITI/FIVR-200K). DA is about audio and counts in none.
TASKS: dict[str, tuple[Label, ...]] = {
    "DSVR": ("ND", "DS"),  # duplicate scenes
    "CSVR": ("ND", "DS", "CS"),  # and complementary ones: another camera
    "ISVR": ("ND", "DS", "CS", "IS"),  # and others of the same incident
}


class FivrAnnotations(Annotations):
    benchmark: Literal["FIVR-200K"] = "FIVR-200K"
    labels: dict[str, dict[Label, tuple[str, ...]]]  # query -> label -> videos, some not in the database

    def relevant(self, query: str, task: str) -> set[str]:
        """The videos that `query` should find, in the database or not. One query is labelled with itself: left out."""
        labels = self.labels.get(query, {})
        return {video for label in TASKS[task] for video in labels.get(label, ())} - {query}


def convert_fivr(source: Path, database: Path | None, subset: str = "200k") -> FivrAnnotations:
    """Annotations from `annotation.json` with the ids of the database, or from ViSiL's `fivr.pickle`.

    With a JSON file, `database` is the file of ids, and only queries in it are used; with a pickle, `subset` is "200k"
    or "5k". Raises ValueError if a file has another content, OSError if it cannot be read.
    """
    if source.suffix == ".json":
        if database is None:
            raise ValueError("annotation.json does not name the database: give the file of its video ids (--database)")
        ids, labels = read_ids(database), read_json(source)
        inside = set(ids)
        queries = [query for query in labels if query in inside] if isinstance(labels, dict) else []
    else:
        raw = load_restricted(source)
        labels, part = entry(source, raw, "annotation"), entry(source, raw, subset)
        queries = sorted(entry(source, part, "queries"))
        ids = sorted(entry(source, part, "database")) if database is None else read_ids(database)
    if not queries:
        raise ValueError(f"none of the queries of {source} is in the database")
    return from_public(source, FivrAnnotations, {"queries": queries, "database": distinct(ids), "labels": labels})
