"""Fixtures for the tests of ingest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clips import steady, write_clip
from tests.ingest.decode.decoding import MakePool
from tests.ingest.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    make = MakePool()
    yield make
    make.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", steady(40, 10))
