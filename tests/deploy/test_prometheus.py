"""Rules and configuration pass Prometheus's own checker; each alert has a test that fires and one that does not."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.dashboard import queries
from tests.deploy.metric_names import problems
from tests.servers.process import Unavailable
from tests.servers.prometheus_server import find_promtool

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"


def check(*arguments: str, cwd: Path = FOLDER) -> str:
    try:
        program = find_promtool()
    except Unavailable as reason:
        pytest.skip(str(reason))
    done = subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_configuration_is_valid() -> None:
    assert "rule files found" in check("check", "config", "prometheus.yml")


def test_the_rules_are_valid() -> None:
    check("check", "rules", "rules.yml")


def test_the_rules_pass_their_own_tests() -> None:
    check("test", "rules", "rules_test.yml")


def test_each_alert_has_a_test_that_fires_and_one_that_does_not() -> None:
    fires: set[str] = set()
    silent: set[str] = set()
    for group in yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]:
        for case in group["alert_rule_test"]:
            if case["exp_alerts"]:
                fires.add(case["alertname"])
                # The case has more than one series, and not all of them fire: the others test the silent case.
                if len(group["input_series"]) > len(case["exp_alerts"]):
                    silent.add(case["alertname"])
            else:
                silent.add(case["alertname"])
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert fires == alerts
    assert silent == alerts


def test_alerts_have_a_severity_and_a_description() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
            assert {"summary", "description"} == set(rule["annotations"]), rule["alert"]
            assert rule["for"], rule["alert"]


def test_rules_name_metrics_and_labels_that_are_exported() -> None:
    assert [problem for rule in rules() for problem in problems(rule["expr"])] == []


def test_every_recorded_series_is_used_by_its_name() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {name for rule in rules() for name in re.findall(r"copydetect:\w+:\w+", rule["expr"])}
    assert used == recorded


def test_the_latency_goal_is_a_bucket_bound() -> None:
    from services.runtime.metrics import alert_latency

    bounds = {str(bound) for bound in alert_latency._upper_bounds}
    used = {le for rule in rules() for le in re.findall(r'le="([^"]+)"', rule["expr"])}
    used |= {le for query in queries() for le in re.findall(r'le="([^"]+)"', query.expr)}
    assert used
    assert used <= bounds


def test_every_query_of_the_dashboards_parses(tmp_path: Path) -> None:
    found = [{"record": f"query:{number}", "expr": query.expr} for number, query in enumerate(queries())]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "queries", "rules": found}]}))
    assert f"{len(found)} rules found" in check("check", "rules", "--lint=none", "queries.yml", cwd=tmp_path)


def test_dashboards_and_rules_name_the_same_alerts() -> None:
    panels = (Path(__file__).parents[2] / "deploy" / "grafana" / "panels.py").read_text()
    named = set(re.findall(r"\bCopydetect[A-Z]\w+", panels))
    assert named
    assert named <= {rule.get("alert") for rule in rules()}
