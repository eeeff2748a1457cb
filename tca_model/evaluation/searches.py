"""Searches of queries in a score table: their mean figures, and the report with missing videos."""

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tca_model.evaluation.ranking import average_precision
from tca_model.evaluation.scoring import ScoreTable

AveragePrecision = Callable[[NDArray[np.float32], NDArray[np.bool_], int], float]


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over queries (for VSC2022, a micro-AP), in [0, 1]."""

    name: str
    mean: float | None  # None: there is no query
    at_least: float  # with missing queries and missing videos counted as not found
    queries: int  # number of queries in `mean`


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a protocol, and the annotated videos that could not be compared."""

    benchmark: str
    figures: tuple[Figure, ...]
    queries: int  # annotated
    database: int
    missing_queries: tuple[str, ...]
    missing_videos: tuple[str, ...]  # of the database
    missing_relevant: int  # pairs of a query and a missing video that it should find
    without_frames: tuple[str, ...]  # the missing ones that are stored without a frame


@dataclass(frozen=True, slots=True)
class Search:
    """What one query should find, and among which videos."""

    query: str
    relevant: Set[str]
    ignored: Set[str] = frozenset()  # not ranked
    among: Set[str] | None = None  # the ranked videos; None: the whole database


class SearchTable:
    """A score table in which videos are looked up by id."""

    def __init__(self, table: ScoreTable) -> None:
        self._table = table
        self._rows = places(table.queries)
        self._columns = places(table.database)

    def mean(
        self,
        name: str,
        searches: Iterable[Search],
        *,
        measure: AveragePrecision = average_precision,
        missing_is_not_found: bool = False,
    ) -> Figure:
        """The mean of `measure` over the queries that have anything to find.

        With `missing_is_not_found` a missing database video lowers both figures, otherwise only `at_least`.
        """
        means: list[float] = []
        at_least: list[float] = []
        for search in searches:
            if not search.relevant:
                continue  # nothing to find: neither good nor bad
            if search.query not in self._rows:
                at_least.append(0.0)
                continue
            scores, is_relevant = self._select_ranked(search)
            found, wanted = int(is_relevant.sum()), len(search.relevant)
            strict = measure(scores, is_relevant, wanted)
            at_least.append(strict)
            if found == wanted or missing_is_not_found:
                means.append(strict)
            elif found:
                means.append(measure(scores, is_relevant, found))
        return Figure(name, mean(means), mean(at_least) or 0.0, len(means))

    def _select_ranked(self, search: Search) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The scores of the ranked videos, and which of them are relevant."""
        row = self._table.scores[self._rows[search.query]]
        ranked = np.full(len(row), search.among is None)
        ranked[self._of(search.among or ())] = True
        ranked[self._of(search.ignored)] = False
        relevant = np.zeros(len(row), dtype=bool)
        relevant[self._of(search.relevant)] = True
        return row[ranked], relevant[ranked]

    def _of(self, videos: Iterable[str]) -> list[int]:
        return [self._columns[video] for video in videos if video in self._columns]

    def report(
        self,
        benchmark: str,
        queries: Collection[str],
        database: Collection[str],
        figures: Iterable[Figure],
        searches: Iterable[Search],
    ) -> Report:
        """The report with its missing videos; `searches` are those of the most inclusive figure."""
        return Report(
            benchmark=benchmark,
            figures=tuple(figures),
            queries=len(queries),
            database=len(database),
            missing_queries=tuple(query for query in queries if query not in self._rows),
            missing_videos=tuple(video for video in database if video not in self._columns),
            missing_relevant=sum(video not in self._columns for search in searches for video in search.relevant),
            without_frames=self._table.empty,
        )


def places(videos: Iterable[str]) -> Mapping[str, int]:
    """The position of each video in the list."""
    return {video: place for place, video in enumerate(videos)}


def mean(values: Collection[float]) -> float | None:
    """The mean, or None without values."""
    return sum(values) / len(values) if values else None
