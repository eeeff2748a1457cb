"""The figures of a bundle as tables and sentences."""

from collections.abc import Sequence

from rich.table import Column, Table

from bench.alike.judging import KindFigures, Scored, SharedFigures
from bench.alike.unrelated import Rate, Tails


def draw_kinds(name: str, kinds: Sequence[KindFigures]) -> Table:
    """A row for each kind, the held-out pairs apart."""
    numbers = ("pairs", "alerts", "held out", "alerts", "probability", "joined score")
    shown = Table(Column(f"kind ({name})"), *(Column(number, justify="right") for number in numbers))
    for kind in kinds:
        shown.add_row(
            kind.kind,
            str(kind.pairs - kind.held_out_pairs),
            str(kind.alerts - kind.held_out_alerts),
            str(kind.held_out_pairs),
            str(kind.held_out_alerts),
            _figure(kind.highest_alert_score),
            _figure(kind.highest_joined_score),
        )
    return shown


def draw_shared(shared: Sequence[SharedFigures]) -> Table:
    """A row for each pair that shares one stretch."""
    shown = Table(
        Column("shared"), "held out", Column("probability", justify="right"), "found", "IoU", "error in s", "others"
    )
    for one in shared:
        shown.add_row(
            one.kind,
            "yes" if one.is_held_out else "no",
            _figure(one.alert_score),
            ("yes" if one.is_alert else "no") + ("" if one.is_right else " (wrong)"),
            f"{one.iou:.2f}",
            "-" if one.error_s is None else f"{one.error_s:.1f}",
            str(one.others),
        )
    return shown


def say_silence(kinds: Sequence[KindFigures]) -> str:
    """The share of kinds, and of pairs, without an alert; among what is held out too."""
    apart = [kind for kind in kinds if kind.held_out_pairs]
    silent, held_out = sum(not kind.alerts for kind in kinds), sum(not kind.held_out_alerts for kind in apart)
    pairs, alerts = sum(kind.pairs for kind in kinds), sum(kind.alerts for kind in kinds)
    unknown = sum(kind.not_comparable for kind in kinds)
    return (
        f"silent: {silent} of {len(kinds)} kinds ({silent / len(kinds):.2f}); of those with held-out pairs, "
        f"{held_out} of {len(apart)}, by these pairs alone. Alerts: {alerts} of {pairs} pairs"
        + (f"; {unknown} have a side that shows nothing to compare" if unknown else "")
    )


def say_all_against_all(alerts: Sequence[Scored], pairs: int) -> str:
    """How many pairs of the clips alert."""
    apart = sum(one.is_held_out for one in alerts)
    return f"all clips against all: {len(alerts)} of {pairs} pairs alert, {apart} of them held out"


def say_rates(tails: Tails, threshold: float) -> list[str]:
    """What the fit says, a line for each number of references."""
    lines = [
        f"unrelated: {tails.pairs:,} pairs of {tails.videos} clips and panned stills, {tails.scored:,} of them scored; "
        f"highest joined score {tails.highest[0][2]:.3f}; the tail begins at {tails.exponential.threshold:.3f}, the "
        f"alert threshold is a joined score of {threshold:.3f}",
        f"of {tails.sampled} that are not near, {tails.missed} score above the begin of the tail; shape "
        f"{tails.pareto.shape:.2f} ({tails.shape_interval[0]:.2f} to {tails.shape_interval[1]:.2f}), scale "
        f"{tails.exponential.scale:.4f} without it",
    ]
    lines += [
        f"false alerts of an upload against {one.references:.0e} references: {_rate(one)}; with shape {_rate(other)}"
        for one, other in zip(tails.rates, tails.rates_with_shape, strict=True)
    ]
    return lines


def _rate(one: Rate) -> str:
    return f"{one.expected:.2g} ({one.low:.2g} to {one.high:.2g})"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
