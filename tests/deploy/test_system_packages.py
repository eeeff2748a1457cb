"""Which system packages each target asks for."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "system-packages.sh"


@pytest.mark.parametrize(("purpose", "wants_browser"), [("servers", False), ("test", True)])
def test_the_local_servers_need_neither_browser_nor_prometheus(purpose: str, wants_browser: bool) -> None:
    done = subprocess.run(
        ["/bin/sh", SCRIPT, purpose], env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False
    )
    assert {"redis-server", "maven"} <= set(done.stderr.split())
    assert ("chromium" in done.stderr) == wants_browser
    assert ("prometheus" in done.stderr) == wants_browser
    assert done.returncode == (0 if purpose == "test" else 1), "tests are skipped; servers are not"
