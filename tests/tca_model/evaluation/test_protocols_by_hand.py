"""Protocols in small cases that are calculated by hand."""

import pytest

from tca_model.data.cc_web_video import CcWebVideoAnnotations
from tca_model.data.evve import Event, EvveAnnotations
from tca_model.data.fivr import FivrAnnotations
from tca_model.data.vcdb import CopiedPair, VcdbAnnotations
from tca_model.evaluation.protocols import evaluate_cc_web_video, evaluate_evve, evaluate_fivr, evaluate_vcdb
from tca_model.evaluation.searches import Figure
from tests.tca_model.evaluation.reports import figure, table_of

FIVR = FivrAnnotations.model_validate(
    {
        "queries": ["q", "lone"],
        "database": ["q", "lone", "a", "b", "c", "d"],
        "labels": {"q": {"ND": ["a", "q"], "DS": ["b"], "IS": ["c"], "DA": ["d"]}, "lone": {"DA": ["a"]}},
    }
)


def test_a_ranking_by_hand() -> None:
    row = {"q": 1.0, "lone": 0.1, "a": 0.9, "d": 0.8, "b": 0.7, "c": 0.6}
    report = evaluate_fivr(FIVR, table_of({"q": row, "lone": row}))
    # Of q's ranking a d b c lone (without itself) a and b count, 1/1 and 2/3; for ISVR c too, 3/4. lone has none.
    dsvr = figure(report, "DSVR")
    assert (dsvr.mean, dsvr.at_least, dsvr.queries) == pytest.approx(((1 + 2 / 3) / 2, (1 + 2 / 3) / 2, 1))
    assert figure(report, "CSVR").mean == dsvr.mean
    assert figure(report, "ISVR").mean == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert (report.missing_queries, report.missing_videos, report.missing_relevant) == ((), (), 0)


def test_ties_do_not_depend_on_the_order_of_the_database() -> None:
    row = {"q": 0.5, "lone": 0.5, "a": 0.5, "b": 0.5, "c": 0.5, "d": 0.5}
    for order in (list(row), list(reversed(row))):
        report = evaluate_fivr(FIVR, table_of({"q": {video: row[video] for video in order}}))
        assert figure(report, "DSVR").mean == pytest.approx(2 / 5)


def test_missing_videos_are_counted() -> None:
    report = evaluate_fivr(FIVR, table_of({"q": {"q": 1.0, "a": 0.9, "d": 0.8, "c": 0.7}}))
    assert figure(report, "DSVR") == Figure("DSVR", mean=1.0, at_least=0.5, queries=1)
    assert figure(report, "ISVR").at_least == pytest.approx((1 + 2 / 3) / 3)
    assert (report.queries, report.database) == (2, 6)
    assert (report.missing_queries, report.missing_videos) == (("lone",), ("lone", "b"))
    assert report.missing_relevant == 1


def test_a_missing_query_is_left_out_of_the_mean_and_scores_0_in_at_least() -> None:
    annotations = FivrAnnotations.model_validate(
        {**FIVR.model_dump(), "labels": {"q": {"ND": ["a"]}, "lone": {"ND": ["b"]}}}
    )
    report = evaluate_fivr(annotations, table_of({"q": {"q": 1.0, "a": 0.9, "b": 0.8}}))
    assert figure(report, "DSVR") == Figure("DSVR", mean=1.0, at_least=0.5, queries=1)


def test_without_a_query_there_is_no_mean() -> None:
    report = evaluate_fivr(FIVR, table_of({"q": {"q": 1.0, "d": 0.9}}))
    assert figure(report, "DSVR") == Figure("DSVR", mean=None, at_least=0.0, queries=0)


def test_excluded_labels_and_other_sets_change_only_the_variants_that_use_them() -> None:
    annotations = CcWebVideoAnnotations(
        queries=("q",),
        database=("q", "good", "wrong", "bad", "other"),
        labels={"q": {"q": "E", "good": "S", "wrong": "X", "bad": "X"}},
        excluded={"q": ("wrong",)},
    )
    ranked = {"q": 1.0, "other": 0.9, "wrong": 0.8, "good": 0.7, "bad": 0.6}
    report = evaluate_cc_web_video(annotations, table_of({"q": ranked}))
    expected = {"cc_web": 2 / 3, "cc_web*": 2 / 4, "cc_webc": 2 / 2, "cc_webc*": 2 / 3}
    for name, precision in expected.items():
        assert figure(report, name).mean == pytest.approx((1 + precision) / 2), name


def test_a_perfect_ranking_is_one_everywhere() -> None:
    pair = CopiedPair(videos=("q0", "q1"), overlap=(1, 1))
    vcdb = VcdbAnnotations(queries=("q0", "q1"), database=("q0", "q1", "d"), pairs=(pair,), distractors=("d",))
    similarities = {"q0": {"q0": 1.0, "q1": 0.9, "d": 0.1}, "q1": {"q0": 0.9, "q1": 1.0, "d": 0.1}}
    assert evaluate_vcdb(vcdb, table_of(similarities)).figures == (Figure("VCDB", 1.0, 1.0, 2),)
    event = Event(queries=("q0",), positives=("q1",), undecided=("q0",))
    evve = EvveAnnotations(queries=("q0",), database=("q0", "q1", "d"), events={"e": event})
    report = evaluate_evve(evve, table_of({"q0": similarities["q0"]}))
    assert [figure.mean for figure in report.figures] == [1.0, 1.0, 1.0]
