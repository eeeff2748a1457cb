"""What a query may contain: the series of services/runtime/metrics.py and their labels."""

import re
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from services.runtime import metrics

# Labels that Prometheus adds, or that a type of metric has.
_ALWAYS: Final = frozenset({"job", "instance", "le"})
_MODEL: Final = frozenset({"version", "bundle"})  # of an Info, by its values
_SUFFIXES: Final[dict[str | None, tuple[str, ...]]] = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
}


def series() -> dict[str, frozenset[str]]:
    """Every name that a query may use, with its labels."""
    found: dict[str, frozenset[str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            labels = frozenset(metric._labelnames) | (_MODEL if metric._type == "info" else frozenset())
            found |= {f"{metric._name}{suffix}": labels for suffix in _SUFFIXES[metric._type]}
    return found


def problems(expression: str) -> list[str]:
    """Names and labels of a query that no service exports."""
    known = series()
    wrong = []
    allowed = set(_ALWAYS)
    for name in re.findall(r"\bcopydetect_\w+", re.sub(r'"[^"]*"', '""', expression)):
        if name in known:
            allowed |= known[name]
        else:
            wrong.append(f"no metric {name}")
    labels = re.findall(r"[{,]\s*(\w+)\s*(?:=|!=|=~|!~)\s*\"", expression)
    for group in re.findall(r"\bby\s*\(([^)]*)\)", expression):
        labels += [label.strip() for label in group.split(",")]
    return wrong + [f"no label {label} in {expression}" for label in labels if label not in allowed]
