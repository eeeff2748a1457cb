"""What bench.candidates measured, counted by group and shown."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Column, Table

from services.matcher.candidates import CandidateLimits

STAGES: Mapping[str, CandidateLimits] = {
    "default": CandidateLimits(),
    "one round, no references": CandidateLimits(references=0, rounds=0),
    "segment vectors": CandidateLimits(per_frame=0),
    "frame vectors": CandidateLimits(segments=0),
}


@dataclass(frozen=True, slots=True)
class Sought:
    """A copy with its original, and what each stage found of the pair: whether at all, and how many of its segments."""

    group: str
    crowd: str
    is_chamfers: bool
    wanted: int
    assets: Mapping[str, bool]
    segments: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Recall:
    """Shares in [0, 1] by stage; None where there is nothing to find."""

    pairs: int
    chamfers: int  # of the pairs, true ones of exhaustive chamfer
    of_chamfers: Mapping[str, float | None]
    of_all: Mapping[str, float | None]
    of_segments: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds per query segment."""

    frames: int  # in the index
    stages_ms: Mapping[str, float]
    compared_ms: float  # the candidates of the default stage, frame by frame, with alignment
    exhaustive_ms: float  # everything
    candidates: float


def recalls(sought: Sequence[Sought]) -> dict[str, Recall]:
    """All queries, those that are crowded, and each group."""
    groups: dict[str, list[Sought]] = defaultdict(list)
    for one in sought:
        groups["all"].append(one)
    for one in sought:
        if one.crowd:
            groups[f"  {one.crowd}"].append(one)
    for one in sought:
        groups[one.group].append(one)
    return {name: recall(group) for name, group in groups.items()}


def recall(group: Sequence[Sought]) -> Recall:
    chamfers = [one for one in group if one.is_chamfers]
    return Recall(
        pairs=len(group),
        chamfers=len(chamfers),
        of_chamfers={name: _share(sum(one.assets[name] for one in chamfers), len(chamfers)) for name in STAGES},
        of_all={name: _share(sum(one.assets[name] for one in group), len(group)) for name in STAGES},
        of_segments={
            name: _share(sum(one.segments[name] for one in group), sum(one.wanted for one in group)) for name in STAGES
        },
    )


def table(recalls: Mapping[str, Recall]) -> Table:
    """Three figures per stage: share of exhaustive chamfer's true pairs, of all pairs, of pairs of segments."""
    shown = Table(
        Column("queries"),
        Column("pairs", justify="right"),
        Column("chamfer's", justify="right"),
        *(Column(name, justify="right") for name in STAGES),
        title="found: of chamfer's true pairs, of all pairs, of their segments",
    )
    for name, one in recalls.items():
        shares = (
            "  ".join(_figure(shares[stage]) for shares in (one.of_chamfers, one.of_all, one.of_segments))
            for stage in STAGES
        )
        shown.add_row(name, str(one.pairs), str(one.chamfers), *shares)
    return shown


def build_cost_table(costs: Sequence[Cost]) -> Table:
    """A column for each size of the index; ratios are to comparing everything in the same index."""
    shown = Table(Column("ms per query segment"), *(Column(f"{one.frames:,} frames", justify="right") for one in costs))
    for name in STAGES:
        shown.add_row(
            f"candidates, {name}",
            *(f"{one.stages_ms[name]:.1f}  {one.stages_ms[name] / one.exhaustive_ms:.2f}" for one in costs),
        )
    shown.add_row(
        "comparing the candidates", *(f"{c.compared_ms:.1f}  {c.compared_ms / c.exhaustive_ms:.2f}" for c in costs)
    )
    shown.add_row("comparing everything", *(f"{one.exhaustive_ms:.1f}  1.00" for one in costs))
    shown.add_row("candidates per query segment", *(f"{one.candidates:.0f}" for one in costs))
    return shown


def _share(found: int, wanted: int) -> float | None:
    return found / wanted if wanted else None


def _figure(share: float | None) -> str:
    return "   - " if share is None else f"{share:.3f}"
