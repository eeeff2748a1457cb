"""A real Prometheus finds everything that the dashboard shows in the running services."""

from contextlib import suppress
from pathlib import Path

import pytest

from services.contracts import topics
from services.contracts.ports import Message
from tests.deploy.dashboard import queries
from tests.e2e.cluster import Cluster, wait_for
from tests.servers.fixtures import StartServer
from tests.servers.prometheus_server import PrometheusServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yml"


def test_every_query_of_the_dashboard_returns_data(
    cluster: Cluster, clips: Path, start_server: StartServer, tmp_path: Path
) -> None:
    services = cluster.start_all()
    targets = [f"127.0.0.1:{service.port}" for service in services]
    prometheus = start_server(PrometheusServer(tmp_path, targets=targets, rules=[RULES]))
    waiting = queries()
    assert len(waiting) >= 10

    def all_have_data() -> bool:
        """A rate has data only while its counter changes, so a query that had data once counts."""
        waiting[:] = [query for query in waiting if not prometheus.query(query.expr)]
        return not waiting

    cluster.bus.publish([Message(topics.VIDEO_SEGMENTS, "wrong", b"{", {})])
    for name in ("original-0", "copy-crop", "copy-gray", "unrelated-0"):
        cluster.publish([cluster.upload(name, clips / f"{name}.mp4")])
        cluster.wait_for_verdicts([name])
        with suppress(AssertionError):
            wait_for(all_have_data, "the counters of this upload change", timeout_s=5, every_s=1)
    try:
        wait_for(all_have_data, "every query returns data", timeout_s=30, every_s=1)
    except AssertionError:
        raise AssertionError("\n".join(["no data:", *(f"{query.panel}: {query.expr}" for query in waiting)])) from None
