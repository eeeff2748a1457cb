"""What waits in the topics for each service, as a table."""

from collections.abc import Sequence

from rich import box
from rich.table import Column, Table

from services.cli.console import console
from services.runtime.group_lag import GroupLag

MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def print_waiting(lags: Sequence[GroupLag], now_s: float) -> None:
    """Print lag, age of the oldest record that is not committed, and partitions without an owner, of each group."""
    table = Table(
        Column("group", overflow="fold"),
        Column("topic", overflow="fold"),
        Column("not committed", justify="right", no_wrap=True),
        Column("oldest", justify="right", no_wrap=True),
        Column("partitions without an owner", overflow="fold"),
        title="Records waiting",
        box=box.HORIZONTALS,
    )
    for lag in lags:
        unowned = lag.unowned_partitions
        table.add_row(
            lag.group,
            lag.topic,
            str(lag.lag),
            to_age(lag.oldest_age_s(now_s)) if lag.lag else "",
            "all" if len(unowned) == len(lag.partitions) else ", ".join(map(str, unowned)),
        )
    console.print(table)


def to_age(seconds: float) -> str:
    """The time in its largest unit that is not below two: 90 s, 3 min, 26 h, 4 d."""
    for unit, unit_s in (("d", DAY_S), ("h", HOUR_S), ("min", MINUTE_S)):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"
