"""Everything that the dashboard shows, a real Prometheus finds in the running services."""

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
    services = cluster.start_both()
    targets = [f"127.0.0.1:{service.port}" for service in services]
    prometheus = start_server(PrometheusServer(tmp_path, targets=targets, rules=[RULES]))
    names = ["original-0", "copy-crop", "copy-gray", "unrelated-0"]
    for name in names:  # one after the other, so that rates see counters move
        cluster.publish([cluster.upload(name, clips / f"{name}.mp4")])
        cluster.wait_for_verdicts([name])
    cluster.bus.publish([Message(topics.VIDEO_SEGMENTS, "wrong", b"{", {})])
    wait_for(lambda: cluster.messages(topics.VIDEO_SEGMENTS + topics.DEAD_LETTER_SUFFIX), "a dead letter")

    wanted = queries()
    assert len(wanted) >= 10

    def silent() -> list[str]:
        return [f"{query.panel}: {query.expr}" for query in wanted if not prometheus.query(query.expr)]

    try:
        wait_for(lambda: not silent(), "every query returns data", timeout_s=40, every_s=2)
    except AssertionError:
        raise AssertionError("\n".join(["no data:", *silent()])) from None
