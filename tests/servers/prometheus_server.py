"""Prometheus, with a test's own targets and rules."""

import json
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from tests.servers.process import Server, find_program


class PrometheusServer(Server):
    """A server that scrapes `targets` (host:port) and evaluates `rules` every second; its address is http://host:port."""

    name: ClassVar[str] = "prometheus"
    address_start: ClassVar[str] = "http://"

    def __init__(self, folder: Path, *, targets: Sequence[str] = (), rules: Sequence[Path] = ()) -> None:
        super().__init__(folder)
        self._targets = list(targets)
        self._rules = [str(file.absolute()) for file in rules]

    def prepare(self) -> None:
        self._program = find_program("prometheus", "prometheus")
        settings = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": self._rules,
            "scrape_configs": [{"job_name": "copydetect", "static_configs": [{"targets": self._targets}]}],
        }
        (self.folder / "prometheus.yml").write_text(json.dumps(settings))  # JSON is YAML

    def command(self) -> list[str]:
        return [
            self._program,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    def answers(self) -> bool:
        with urllib.request.urlopen(f"{self.address}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The resulting series, each with its labels as `metric` and its `value`, a pair of time and text."""
        parameters = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.address}/api/v1/query?{parameters}", timeout=10) as answer:
            return list(json.load(answer)["data"]["result"])


def find_promtool() -> str:
    """The path of promtool, which checks rules. Raises Unavailable."""
    return find_program("promtool", "prometheus")
