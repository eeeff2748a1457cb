"""The published evaluation protocols: from a benchmark's annotations and a table of scores to a report.

Every protocol ranks the database's videos for each query and averages a figure over the queries. Benchmarks made of
links lose videos over time. These are counted, and every mean is reported twice: `mean` by the rule of the published
code (each protocol says what that leaves out), and `at_least`, where a missing query scores 0 and a missing video
counts as not found. Without missing videos both agree.

Checked against: MKLab-ITI/visil `datasets/__init__.py` (FIVR, CC_WEB_VIDEO, EVVE), MKLab-ITI/FIVR-200K `evaluation.py`,
xwen99/temporal_context_aggregation `data.py` (VCDB), EVVE's eval_evve.py (as kept in czxxjtu/evve),
facebookresearch/vsc2022 `vsc/metrics.py`. For equal scores, where these depend on a sort, see `ranking`.
"""

import numpy as np

from tca_model.data.cc_web_video import POSITIVE_LABELS, CcWebVideoAnnotations
from tca_model.data.evve import EvveAnnotations
from tca_model.data.fivr import TASKS, FivrAnnotations
from tca_model.data.vcdb import VcdbAnnotations
from tca_model.data.vsc2022 import Vsc2022Annotations
from tca_model.evaluation.ranking import micro_ap, trapezoid_average_precision
from tca_model.evaluation.scoring import ScoreTable
from tca_model.evaluation.searches import Figure, Report, Search, SearchTable, mean, places


def evaluate_fivr(annotations: FivrAnnotations, table: ScoreTable) -> Report:
    """mAP of DSVR, CSVR and ISVR. A query does not find itself; missing queries and missing videos are left out."""
    database = set(annotations.database)
    tasks = {
        task: [
            Search(query, annotations.relevant(query, task) & database, ignored={query})
            for query in annotations.queries
        ]
        for task in TASKS
    }
    searched = SearchTable(table)
    figures = [searched.mean(task, searches) for task, searches in tasks.items()]
    return searched.report(annotations.benchmark, annotations.queries, annotations.database, figures, tasks["ISVR"])


def evaluate_vcdb(annotations: VcdbAnnotations, table: ScoreTable) -> Report:
    """mAP of the core videos over core videos and distractors. Missing queries and missing videos are left out.

    A query does not find itself. TCA's code expects it to be found but removes it from the ranking, so no ranking
    reaches 1 there and its figures are lower than these.
    """
    copies = annotations.copies()
    searches = [Search(query, copies[query], ignored={query}) for query in annotations.queries]
    searched = SearchTable(table)
    figures = [searched.mean("VCDB", searches)]
    return searched.report(annotations.benchmark, annotations.queries, annotations.database, figures, searches)


def evaluate_cc_web_video(annotations: CcWebVideoAnnotations, table: ScoreTable) -> Report:
    """mAP of cc_web, cc_web*, cc_webc, cc_webc*. A missing video counts as not found, missing queries are left out.

    With the star the whole database is ranked, without it only the query's own set; c leaves out wrongly labelled
    videos. A query is in its own set, labelled E, and counts when it finds itself, as in the published figures.
    """
    searched = SearchTable(table)
    figures = []
    variants = {"cc_web": (False, False), "cc_web*": (True, False), "cc_webc": (False, True), "cc_webc*": (True, True)}
    for name, (whole, clean) in variants.items():
        searches = [_cc_web_search(annotations, query, whole=whole, clean=clean) for query in annotations.queries]
        figures.append(searched.mean(name, searches, missing_is_not_found=True))
    searches = [_cc_web_search(annotations, query, whole=True, clean=False) for query in annotations.queries]
    return searched.report(annotations.benchmark, annotations.queries, annotations.database, figures, searches)


def _cc_web_search(annotations: CcWebVideoAnnotations, query: str, *, whole: bool, clean: bool) -> Search:
    labels = annotations.labels.get(query, {})
    ignored = set(annotations.excluded.get(query, ())) if clean else set()
    relevant = {video for video, label in labels.items() if label in POSITIVE_LABELS} - ignored
    return Search(query, relevant, ignored, among=None if whole else labels.keys())


def evaluate_evve(annotations: EvveAnnotations, table: ScoreTable) -> Report:
    """mAP over all queries, its mean over events (avg-mAP), and of each event, with trapezoid average precision.

    Undecided videos are not ranked (the public pickle has none). Missing queries and missing videos are left out.
    """
    events = {
        name: [
            Search(query, set(event.positives) - set(event.undecided), ignored=set(event.undecided))
            for query in event.queries
        ]
        for name, event in annotations.events.items()
    }
    searched = SearchTable(table)
    searches = [search for of_event in events.values() for search in of_event]
    measure = trapezoid_average_precision
    of_events = [searched.mean(name, of_event, measure=measure) for name, of_event in events.items()]
    over_events = Figure(
        "mean of events",
        mean([figure.mean for figure in of_events if figure.mean is not None]),
        mean([figure.at_least for figure in of_events]) or 0.0,
        sum(figure.queries for figure in of_events),
    )
    figures = [searched.mean("EVVE", searches, measure=measure), over_events, *of_events]
    return searched.report(annotations.benchmark, annotations.queries, annotations.database, figures, searches)


def evaluate_vsc2022(annotations: Vsc2022Annotations, table: ScoreTable) -> Report:
    """micro-AP over all pairs of a query with a reference; a true pair with a missing video counts as not found.

    The challenge's descriptor track scores a pair by its two most similar frames and ranks 25 pairs per query; here
    every pair of the table is ranked by the table's score.
    """
    pairs = annotations.pairs()
    rows, columns = places(table.queries), places(table.database)
    there = [(rows[query], columns[video]) for query, video in pairs if query in rows and video in columns]
    is_copy = np.zeros(table.scores.shape, dtype=bool)
    is_copy[tuple(np.array(there, dtype=np.int64).reshape(-1, 2).T)] = True
    uap = micro_ap(table.scores.ravel(), is_copy.ravel(), positives=len(pairs))
    searched = SearchTable(table)
    of_query: dict[str, set[str]] = {}
    for query, video in pairs:
        of_query.setdefault(query, set()).add(video)
    searches = [Search(query, videos) for query, videos in of_query.items()]
    figures = [Figure("micro-AP", uap, uap, len(table.queries))]
    return searched.report(annotations.benchmark, annotations.queries, annotations.database, figures, searches)
