"""VSC2022: queries, some of them edited from parts of reference videos.

Pizzi et al., "The 2023 Video Similarity Dataset and Challenge", arXiv 2306.09489; files of facebookresearch/vsc2022:
a CSV of copied intervals (query_id, ref_id, query_start, query_end, ref_start, ref_end) and lists of video ids.
"""

import csv
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from tca_model.config import Config
from tca_model.data.annotations import Annotations, from_public, read_ids


class CopiedPart(Config):
    query: str
    reference: str
    query_start_s: float
    query_end_s: float
    reference_start_s: float
    reference_end_s: float


class Vsc2022Annotations(Annotations):
    benchmark: Literal["VSC2022"] = "VSC2022"
    parts: tuple[CopiedPart, ...]  # a pair of videos may have several

    @model_validator(mode="after")
    def _parts_are_of_listed_videos(self) -> Self:
        queries, references = set(self.queries), set(self.database)
        for part in self.parts:
            if part.query not in queries or part.reference not in references:
                raise ValueError(f"{part.query} or {part.reference} is not in the lists of ids")
        return self

    def pairs(self) -> set[tuple[str, str]]:
        """The pairs (query, reference) that share content."""
        return {(part.query, part.reference) for part in self.parts}


COLUMNS = {
    "query": "query_id",
    "reference": "ref_id",
    "query_start_s": "query_start",
    "query_end_s": "query_end",
    "reference_start_s": "ref_start",
    "reference_end_s": "ref_end",
}


def convert_vsc2022(source: Path, queries: Path, database: Path) -> Vsc2022Annotations:
    """Annotations from the ground truth's CSV and the lists of all query and reference ids.

    Raises ValueError if a column or the id of a copied video is missing, OSError if a file cannot be read.
    """
    with source.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        absent = [column for column in COLUMNS.values() if column not in (rows.fieldnames or ())]
        if absent:
            raise ValueError(f"{source} has no column {absent[0]}: expected {', '.join(COLUMNS.values())}")
        parts = [{name: row[column] for name, column in COLUMNS.items()} for row in rows]
    values = {"queries": read_ids(queries), "database": read_ids(database), "parts": parts}
    return from_public(source, Vsc2022Annotations, values)
