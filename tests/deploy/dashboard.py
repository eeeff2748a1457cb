"""The queries of the dashboards, as Grafana would send them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
# Grafana's value: at least four scrapes, at any zoom.
_RATE_INTERVAL: Final = "1m"


@dataclass(frozen=True, slots=True)
class Query:
    panel: str
    expr: str


def queries(rate_interval: str = _RATE_INTERVAL) -> list[Query]:
    """Every query of every panel, with its variables filled in."""
    return [
        Query(panel["title"], target["expr"].replace("$__rate_interval", rate_interval))
        for dashboard in dashboards()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def dashboards() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The panels that show data, which rows do not."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panels(panel)
        else:
            yield panel
