"""Fixtures that more than one folder of tests uses."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_videos() -> Path:
    """The folder of real clips, beside the repository or where COPYDETECT_TEST_DATA says."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "videos"
    folder = Path(os.environ.get("COPYDETECT_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real clips in {folder} (set COPYDETECT_TEST_DATA)")
    return folder
