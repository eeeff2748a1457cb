"""The builds of the manifests, as a parametrized fixture."""

import pytest

from tests.k8s.manifests import BUILDS, Build
from tests.servers.process import Unavailable


@pytest.fixture(scope="session", params=BUILDS)
def build(request: pytest.FixtureRequest) -> Build:
    try:
        return Build(request.param)
    except Unavailable as reason:
        pytest.skip(str(reason))
