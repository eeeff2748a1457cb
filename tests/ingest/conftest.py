"""Fixtures for the tests of ingest."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.ingest.decode.pool import DecodePool
from tca_model.video.decode import DecodeLimits
from tests.clips import steady, write_clip
from tests.ingest.decode.decoding import SIZE, TIMEOUT_S
from tests.ingest.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
def make_pool() -> Iterator[Callable[..., DecodePool]]:
    pools = []

    def make(**changes: object) -> DecodePool:
        settings = {"workers": 1, "size": SIZE, "every_s": 1.0, "limits": DecodeLimits(), "deadline_s": TIMEOUT_S}
        pools.append(DecodePool(**(settings | changes)))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", steady(40, 10))
