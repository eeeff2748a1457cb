"""Checks what a run left behind against the truth of its plan. Each problem is a sentence that names what it is about.

The checks are apart from how anything was read, so that each can be shown to fail (test_check_*.py).
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from tests.chaos.check_alerts import check_alerts
from tests.chaos.check_log import check_log
from tests.chaos.check_rows import check_rows
from tests.chaos.check_verdicts import check_verdicts
from tests.chaos.observed import Observed
from tests.chaos.problems import Problem
from tests.chaos.steps import Asset, Step
from tests.chaos.truth import find_truth


def check_run(steps: Sequence[Step], observed: Observed, started_at: datetime) -> list[Problem]:
    """Every problem of a run that began at `started_at`, when the times of its plan were 0."""
    truth = find_truth(steps)
    claimed = {asset: started_at + timedelta(seconds=final.uploaded_s) for asset, final in truth.assets.items()}
    return [
        *check_log(steps, observed),
        *check_rows(truth, observed, claimed),
        *check_alerts(truth, observed, claimed),
        *check_verdicts(
            truth,
            observed,
            last_published(steps, observed),
            Counter(steps[one.step].asset for one in observed.inputs),
        ),
    ]


def last_published(steps: Sequence[Step], observed: Observed) -> dict[Asset, datetime]:
    """When the last record of each asset was published."""
    last: dict[Asset, datetime] = {}
    for one in observed.inputs:
        asset = steps[one.step].asset
        last[asset] = max(one.published_at, last.get(asset, one.published_at))
    return last
