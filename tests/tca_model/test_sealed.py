"""A sealed value is read whole or refused."""

import pytest

from tca_model import sealed
from tca_model.sealed import seal, unseal


@pytest.mark.parametrize("body", [b"", b"body", bytes(10_000)])
def test_header_and_body_are_read(body: bytes) -> None:
    header = {"version": 3, "values": [1.5, None, "text"]}
    assert unseal(seal(header, body), version=3) == (header, body)


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 3, not 4"):
        unseal(seal({"version": 3}, b""), version=4)


def test_a_changed_or_truncated_value_is_refused() -> None:
    value = seal({"version": 1}, b"body")
    wrong = [value[:size] for size in range(len(value))]
    for place in range(len(value)):
        changed = bytearray(value)
        changed[place] ^= 1
        wrong.append(bytes(changed))
    for one in wrong:
        with pytest.raises(ValueError):  # noqa: PT011 - any of them
            unseal(one, version=1)


def test_a_body_that_inflates_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    value = seal({"version": 1}, bytes(100_000))
    assert len(value) < 1000
    monkeypatch.setattr(sealed, "MAX_BODY_BYTES", 99_999)
    with pytest.raises(ValueError, match="more than 99999 bytes"):
        unseal(value, version=1)
