"""The values of the ports are checked when they are made."""

from dataclasses import replace

import numpy as np
import pytest

from tests.contracts.index_cases import request_for
from tests.vectors import unit_rows


@pytest.mark.parametrize("limit", [0, -1])
def test_a_search_needs_a_positive_limit(limit: int) -> None:
    with pytest.raises(ValueError, match="limit of 1 or more"):
        request_for(unit_rows(0), limit=limit)


def test_the_vectors_of_a_search_are_a_matrix() -> None:
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        request_for(unit_rows(0)[0])


def test_a_search_can_be_repeated_without_some_assets() -> None:
    request = request_for(unit_rows(0, 3), limit=2)
    again = replace(request, exclude_also=frozenset({"lecture"}))
    assert (again.limit, again.exclude_also) == (2, frozenset({"lecture"}))
    np.testing.assert_array_equal(again.vectors, request.vectors)
