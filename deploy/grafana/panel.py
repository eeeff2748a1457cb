"""What the panels of the dashboard are made of."""

from dataclasses import dataclass
from typing import Final

RATE: Final = "[$__rate_interval]"


@dataclass(frozen=True)
class Panel:
    """A graph of queries, each with its legend. `small` panels show one number, six per row."""

    title: str
    description: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    small: bool = False
    limits: tuple[float, ...] = ()  # where green ends, and where orange ends


def quantiles(metric: str, by: str = "") -> tuple[tuple[str, str], ...]:
    labels, legend = (f"le, {by}", f"{{{{{by}}}}} ") if by else ("le", "")
    return tuple(
        (f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{RATE})))", f"{legend}p{share * 100:g}")
        for share in (0.5, 0.99)
    )


def share(part: str, whole: str) -> str:
    """The ratio of two rates; no value, instead of NaN, while nothing happens."""
    return f"sum(rate({part}{RATE})) / (sum(rate({whole}{RATE})) > 0)"
