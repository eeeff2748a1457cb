"""Writes the overview dashboard: run `python -m deploy.grafana.dashboard` after a change of its panels.

Grafana reads 1600 lines of JSON; panels.py and failures.py contain the part that people edit.
"""

import json
from itertools import count
from pathlib import Path
from typing import Any, Final

from deploy.grafana.panel import Panel
from deploy.grafana.panels import ROWS

FILE: Final = Path(__file__).parent / "dashboards" / "overview.json"
WIDTH: Final = 24  # columns of Grafana's grid
HEIGHT: Final = 8
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana's JSON."""
    ids = count(1)
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append(
            {"id": next(ids), "type": "row", "title": title, "gridPos": _place(0, top, WIDTH, 1), "panels": []}
        )
        top, left, height = top + 1, 0, 0
        for panel in row:
            width = WIDTH // 6 if panel.small else WIDTH // 3
            if left + width > WIDTH:
                top, left = top + height, 0
            height = HEIGHT // 2 if panel.small else HEIGHT
            panels.append(_panel(next(ids), panel, _place(left, top, width, height)))
            left += width
        top += height
    return {
        "uid": "copydetect-overview",
        "title": "copydetect",
        "description": "The services, their flow and their dependencies. Written by deploy/grafana/dashboard.py.",
        "tags": ["copydetect"],
        "editable": False,
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "graphTooltip": 1,  # a shared cross-hair in all graphs
        "annotations": {"list": []},
        "links": [],
        "templating": {
            "list": [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}],
        },
        "panels": panels,
    }


def _place(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    steps += [{"color": color, "value": at} for color, at in zip(("orange", "red"), panel.limits, strict=False)]
    custom = {} if panel.small else {"custom": {"fillOpacity": 10, "showPoints": "never"}}
    options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    if panel.small:
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name", "graphMode": "area"}
    return {
        "id": number,
        "type": "stat" if panel.small else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}, **custom},
            "overrides": [],
        },
        "options": options,
        "targets": [
            {"refId": letter, "datasource": DATASOURCE, "expr": expr, "legendFormat": legend, "range": True}
            for letter, (expr, legend) in zip("ABCDEFGH", panel.queries, strict=False)
        ],
    }


def text() -> str:
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
