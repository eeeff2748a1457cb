"""What a run says in the end."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.contracts.events import AssetRemovedAck, AssetVerdict
from tests.chaos.check_alerts import find_live
from tests.chaos.observed import Observed
from tests.chaos.problems import Kind, Problem


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """`faults`, `fail_points` and `ended`: how often each happened.

    `fail_points` are those that were reached. `ended` are processes that ended without having been told to.
    """

    problems: tuple[Problem, ...]
    observed: Observed
    faults: Mapping[str, int]
    fail_points: Mapping[str, int]
    ended: Mapping[str, int]
    took_s: float

    @property
    def is_clean(self) -> bool:
        return not self.problems

    def lines(self) -> Iterator[str]:
        """The report, line by line: problems last."""
        observed = self.observed
        verdicts = [one for one in observed.verdicts if isinstance(one, AssetVerdict)]
        removals = sum(isinstance(one, AssetRemovedAck) for one in observed.verdicts)
        assets = {(one.tenant, one.asset_id) for one in observed.verdicts}
        yield f"faults      {sum(self.faults.values())}: {_list(self.faults)}"
        yield f"fail points {sum(self.fail_points.values())} reached: {_list(self.fail_points)}"
        yield f"uploads     {len(observed.inputs)} records of {len(assets)} assets, {len(observed.dead_letters)} dead"
        yield f"alerts      {len(find_live(observed.alerts))} live, {len(observed.alerts)} revisions"
        yield f"verdicts    {len(verdicts)} revisions, {removals} removals acknowledged"
        yield f"index       {len(observed.rows)} segments"
        yield f"processes   {sum(self.ended.values())} ended by themselves: {_list(self.ended)}"
        yield f"took        {self.took_s:.0f} s"
        counts = Counter(problem.kind for problem in self.problems)
        yield "result      " + ", ".join(f"{counts[kind]} {kind}" for kind in Kind)
        yield from map(str, self.problems)


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
