"""The manifests of k8s/ as kustomize builds them."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tests.deploy.tools import kustomize

FOLDER: Final = Path(__file__).parents[2] / "k8s"
BUILDS: Final = ("base", "overlays/dev", "overlays/prod")
Manifest = dict[str, Any]


@cache
def text(build: str) -> str:
    """The YAML of a build. Raises Unavailable without kustomize."""
    done = subprocess.run(
        [kustomize(), "build", str(FOLDER / build)], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Build:
    """All manifests of one build."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.manifests: list[Manifest] = list(yaml.safe_load_all(text(name)))

    def of(self, kind: str) -> dict[str, Manifest]:
        return {found["metadata"]["name"]: found for found in self.manifests if found["kind"] == kind}

    def workloads(self) -> Iterator[tuple[str, Manifest]]:
        """Everything that creates pods, with the specification of the pods."""
        for found in self.manifests:
            if found["kind"] in {"Deployment", "StatefulSet", "Job"}:
                yield found["metadata"]["name"], found["spec"]["template"]["spec"]

    def services(self) -> dict[str, Manifest]:
        """The long-running services."""
        return {name: pod for name, pod in self.workloads() if name != "copydetect-topics"}

    @property
    def settings(self) -> dict[str, str]:
        """The variables of all pods."""
        [found] = self.of("ConfigMap").values()
        data: dict[str, str] = found["data"]
        return data


def container(pod: Manifest) -> Manifest:
    [only] = pod["containers"]
    found: Manifest = only
    return found


def quantity(text: str) -> float:
    """Parse a quantity of bytes or cores."""
    for suffix, factor in {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "m": 1e-3}.items():
        if text.endswith(suffix):
            return float(text.removesuffix(suffix)) * factor
    return float(text)
