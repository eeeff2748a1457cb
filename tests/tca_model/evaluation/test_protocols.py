"""Protocols, compared with a slow walk through the rankings."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tca_model.data.cc_web_video import CcWebVideoAnnotations
from tca_model.data.evve import Event, EvveAnnotations
from tca_model.data.fivr import FivrAnnotations
from tca_model.data.vcdb import CopiedPair, VcdbAnnotations
from tca_model.data.vsc2022 import CopiedPart, Vsc2022Annotations
from tca_model.evaluation.protocols import (
    evaluate_cc_web_video,
    evaluate_evve,
    evaluate_fivr,
    evaluate_vcdb,
    evaluate_vsc2022,
)
from tca_model.evaluation.searches import Figure
from tests.tca_model.evaluation.reports import Similarities, figure, table_of

seeds = st.integers(0, 2**32 - 1).map(random.Random)

few = settings(max_examples=40)


def random_scores(rng: random.Random, queries: list[str], database: list[str]) -> Similarities:
    """Distinct scores of the existing queries and videos; about a quarter is missing, but never all."""
    there = [video for video in queries if rng.random() < 0.75] or queries[:1]
    present = [video for video in database if rng.random() < 0.75] or database[:1]
    return {
        query: dict(zip(present, rng.sample([step / 64 for step in range(64)], len(present)), strict=True))
        for query in there
    }


def ranking(row: dict[str, float]) -> list[str]:
    return sorted(row, key=lambda video: row[video], reverse=True)


def precision_sum(ranked: list[str], relevant: set[str]) -> float:
    found = total = 0.0
    for rank, video in enumerate(ranked, 1):
        if video in relevant:
            found += 1
            total += found / rank
    return total


def check(found: Figure, means: list[float], at_least: list[float]) -> None:
    assert found.queries == len(means)
    assert found.mean == (pytest.approx(sum(means) / len(means)) if means else None)
    assert found.at_least == pytest.approx(sum(at_least) / max(1, len(at_least)))


def left_out(
    wanted: dict[str, set[str]], similarities: Similarities, ignored: dict[str, set[str]]
) -> tuple[list[float], list[float]]:
    """AP of each query over existing videos, and with missing videos as not found: the rule of FIVR and VCDB."""
    means, at_least = [], []
    for query, relevant in wanted.items():
        if not relevant:
            continue
        row = similarities.get(query, {})
        total = precision_sum([video for video in ranking(row) if video not in ignored[query]], relevant)
        at_least.append(total / len(relevant))
        if relevant & row.keys():
            means.append(total / len(relevant & row.keys()))
    return means, at_least


@given(seeds)
@few
def test_fivr(rng: random.Random) -> None:
    queries = ["q0", "q1", "q2"]
    database = [*queries, *(f"v{number}" for number in range(12))]
    pool = [*database, "outside"]
    labels = {
        query: {label: tuple(rng.sample(pool, rng.randint(0, 3))) for label in ("ND", "DS", "CS", "IS", "DA")}
        for query in queries
    }
    similarities = random_scores(rng, queries, database)
    report = evaluate_fivr(
        FivrAnnotations.model_validate({"queries": queries, "database": database, "labels": labels}),
        table_of(similarities),
    )
    for task, counted in (("DSVR", "ND DS"), ("CSVR", "ND DS CS"), ("ISVR", "ND DS CS IS")):
        wanted = {
            query: {video for label in counted.split() for video in labels[query][label]} & set(database) - {query}
            for query in queries
        }
        check(figure(report, task), *left_out(wanted, similarities, {query: {query} for query in queries}))


@given(seeds)
@few
def test_vcdb(rng: random.Random) -> None:
    queries = ["q0", "q1", "q2", "q3"]
    database = [*queries, "d0", "d1", "d2"]
    every = [(one, other) for one in queries for other in queries if one < other]
    pairs = rng.sample(every, rng.randint(1, len(every)))
    similarities = random_scores(rng, queries, database)
    annotations = VcdbAnnotations(
        queries=tuple(queries),
        database=tuple(database),
        pairs=tuple(CopiedPair(videos=pair, overlap=(1, 1)) for pair in pairs),
        distractors=("d0", "d1", "d2"),
    )
    wanted = {query: {video for pair in pairs if query in pair for video in pair} - {query} for query in queries}
    expected = left_out(wanted, similarities, {query: {query} for query in queries})
    check(figure(evaluate_vcdb(annotations, table_of(similarities)), "VCDB"), *expected)


@given(seeds)
@few
def test_cc_web_video(rng: random.Random) -> None:
    queries = ["q0", "q1"]
    database = [*queries, *(f"v{number}" for number in range(12))]
    labels = {
        query: {query: "E", **{video: rng.choice("ESVLMXx") for video in rng.sample(database[2:], 7)}}
        for query in queries
    }
    excluded = {query: tuple(rng.sample(database[2:], 3)) for query in queries}
    similarities = random_scores(rng, queries, database)
    report = evaluate_cc_web_video(
        CcWebVideoAnnotations(queries=tuple(queries), database=tuple(database), labels=labels, excluded=excluded),
        table_of(similarities),
    )
    for name in ("cc_web", "cc_web*", "cc_webc", "cc_webc*"):
        means = []
        for query, row in similarities.items():
            without = set(excluded[query]) if "c" in name.removeprefix("cc_web") else set()
            positives = {video for video, label in labels[query].items() if label in "ESVLM"} - without
            ranked = [video for video in ranking(row) if video not in without]
            if not name.endswith("*"):
                ranked = [video for video in ranked if video in labels[query]]
            means.append(precision_sum(ranked, positives) / len(positives))
        check(figure(report, name), means, means + [0.0] * (len(queries) - len(means)))


@given(seeds)
@few
def test_evve(rng: random.Random) -> None:
    queries, database = ["q0", "q1", "q2"], [f"v{number}" for number in range(12)]
    shuffled = rng.sample(database, len(database))
    events = {
        "fire": Event(queries=("q0", "q1"), positives=tuple(shuffled[:4]), undecided=tuple(shuffled[4:6])),
        "flood": Event(queries=("q2",), positives=tuple(shuffled[6:9]), undecided=()),
    }
    similarities = random_scores(rng, queries, database)
    report = evaluate_evve(
        EvveAnnotations(queries=tuple(queries), database=tuple(database), events=events), table_of(similarities)
    )
    means: dict[str, list[float]] = {name: [] for name in events}
    at_least: dict[str, list[float]] = {name: [] for name in events}
    for name, event in events.items():
        for query in event.queries:
            ranked = [video for video in ranking(similarities.get(query, {})) if video not in event.undecided]
            found = total = 0.0
            for rank, video in enumerate(ranked):
                if video in event.positives:
                    total += ((found / rank if rank else 1) + (found + 1) / (rank + 1)) / 2
                    found += 1
            at_least[name].append(total / len(event.positives))
            if found:
                means[name].append(total / found)
    for name in events:
        check(figure(report, name), means[name], at_least[name])
    check(figure(report, "EVVE"), [*means["fire"], *means["flood"]], [*at_least["fire"], *at_least["flood"]])
    over_events = [sum(of_event) / len(of_event) for of_event in means.values() if of_event]
    assert figure(report, "mean of events").mean == (
        pytest.approx(sum(over_events) / len(over_events)) if over_events else None
    )


@given(seeds)
@few
def test_vsc2022(rng: random.Random) -> None:
    queries, database = ["Q0", "Q1", "Q2", "Q3"], ["R0", "R1", "R2", "R3", "R4"]
    copied = rng.sample([(query, video) for query in queries for video in database], 6)
    parts = [
        CopiedPart(query=q, reference=r, query_start_s=0, query_end_s=1, reference_start_s=0, reference_end_s=1)
        for q, r in [*copied, copied[0]]  # a pair may share two parts
    ]
    similarities = random_scores(rng, queries, database)
    report = evaluate_vsc2022(
        Vsc2022Annotations(queries=tuple(queries), database=tuple(database), parts=tuple(parts)),
        table_of(similarities),
    )
    pairs = sorted(((score, q, r) for q, row in similarities.items() for r, score in row.items()), reverse=True)
    # Between queries scores may tie: every pair that reaches a true pair's score ranks with it.
    total = 0.0
    for score, query, video in pairs:
        if (query, video) in copied:
            reaching = [pair for pair in pairs if pair[0] >= score]
            total += sum((q, r) in copied for _, q, r in reaching) / len(reaching)
    assert figure(report, "micro-AP").mean == pytest.approx(total / 6)
