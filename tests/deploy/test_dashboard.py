"""The dashboard file is current, uses only metrics that exist, and describes every panel."""

import re

import pytest

from deploy.grafana import dashboard as source
from tests.deploy.dashboard import Query, dashboards, panels, queries
from tests.deploy.metric_names import problems, series


def test_the_file_is_current() -> None:
    assert source.FILE.read_text() == source.text(), "run: python -m deploy.grafana.dashboard"


def test_the_queries_are_found() -> None:
    assert len(queries()) > 20
    assert {query.panel for query in queries()} == {panel["title"] for board in dashboards() for panel in panels(board)}


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.panel)
def test_a_query_names_metrics_and_labels_that_are_exported(query: Query) -> None:
    assert problems(query.expr) == []
    assert "$" not in query.expr


def test_the_check_sees_wrong_names() -> None:
    assert problems("rate(copydetect_record_total[1m])") == ["no metric copydetect_record_total"]
    assert problems('sum by (stages) (copydetect_retries_total{job="a", topics="b"})') != []


def test_every_metric_is_shown() -> None:
    shown = " ".join(query.expr for query in queries())
    families = {re.sub(r"_(total|bucket|count|sum|info)$", "", name) for name in series()}
    assert {family for family in families if not re.search(rf"\b{family}(_\w+)?\b", shown)} == set()


def test_dashboards_are_fit_for_provisioning() -> None:
    for board in dashboards():
        assert board["editable"] is False
        assert re.fullmatch(r"[a-z-]+", board["uid"])
        assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource"]
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        for panel in panels(board):
            assert panel["description"].endswith(".")
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["datasource"]["uid"] == "${datasource}"
            assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_panels_do_not_overlap() -> None:
    for board in dashboards():
        occupied: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not cells & occupied, panel["title"]
            assert max(x for x, _ in cells) < 24
            occupied |= cells
