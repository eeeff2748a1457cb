"""Nothing that a child sends is trusted: a compromised child is killed."""

import socket
from pathlib import Path

import pytest

from services.ingest.decode.child import PREFIX
from services.ingest.decode.events import CheckpointReached, DecodeFailed
from tests.clips import picture
from tests.ingest.decode.decoding import SIZE, MakePool, child_of, drain_one


def message(header: bytes, payload: bytes = b"") -> bytes:
    return PREFIX.pack(len(header), len(payload)) + header + payload


PIXELS = picture(0, SIZE).tobytes()


@pytest.mark.parametrize(
    "sent",
    [
        PREFIX.pack(2**31, 0),
        PREFIX.pack(2, 2**31),
        message(b"not json"),
        message(b"[" * 10_000),
        message(b"[1]"),
        message(b'{"type": "os.system"}'),
        message(b'{"type": "frames", "timestamps_s": [0]}', PIXELS[:-1]),
        message(b'{"type": "frames", "timestamps_s": [NaN]}', PIXELS),
        message(b'{"type": "frames", "timestamps_s": [1, 0]}', PIXELS + PIXELS),
        message(b'{"type": "frames", "timestamps_s": [0, 1]}', PIXELS),
        message(b'{"type": "frames", "timestamps_s": []}'),
        message(b'{"type": "done", "duration_s": Infinity, "decoded_share": 1}'),
        message(b'{"type": "done"}'),
        message(b'{"type": "done", "duration_s": 9, "decoded_share": 1}'),
        message(b'{"type": "frames", "timestamps_s": [9]}', PIXELS)
        + message(b'{"type": "done", "duration_s": 8, "decoded_share": 1}'),
        message(b'{"type": "frames", "timestamps_s": [9]}', PIXELS) + message(b'{"type": "done", "duration_s": 10}'),
        message(b'{"type": "frames", "timestamps_s": [9]}', PIXELS)
        + message(b'{"type": "done", "duration_s": 10, "decoded_share": 1.5}'),
        message(b'{"type": "frames", "timestamps_s": [1e300]}', PIXELS),
        message(b'{"type": "checkpoint"}'),
        message(b'{"type": "checkpoint", "time_s": 1e300}'),
        message(b'{"type": "checkpoint", "time_s": NaN}'),
        message(b'{"type": "checkpoint", "time_s": 4.9}'),
        message(b'{"type": "frames", "timestamps_s": [9]}', PIXELS) + message(b'{"type": "checkpoint", "time_s": 8}'),
    ],
)
def test_a_child_that_breaks_the_protocol_is_killed(
    make_pool: MakePool, clip: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    pool = make_pool()
    pool.submit("job", clip.open("rb"), checkpoint_s=5)
    child = child_of(pool)
    ours, theirs = socket.socketpair()
    pool._selector.unregister(child.channel)
    child.channel.close()
    monkeypatch.setattr(child, "channel", ours)
    ours.setblocking(False)
    pool._selector.register(ours, 1, child)
    with theirs:
        theirs.sendall(sent)
        _, end = drain_one(pool)
    assert isinstance(end, DecodeFailed)
    assert end.reason.startswith("the decoder broke the protocol")
    assert child.process.returncode is not None


def test_a_child_cannot_flood_its_parent_with_checkpoints(make_pool: MakePool, clip: Path) -> None:
    pool = make_pool()
    pool.submit("job", clip.open("rb"), checkpoint_s=5)
    child = child_of(pool)
    for time_s in (5, 10, 15):
        event = pool._accept(child, {"type": "checkpoint", "time_s": time_s}, bytearray(b"x"))
        assert event == CheckpointReached("job", time_s, b"x")
    with pytest.raises(ValueError, match="too early"):
        pool._accept(child, {"type": "checkpoint", "time_s": 19}, bytearray(b"x"))


def test_a_child_without_checkpoints_cannot_send_one(make_pool: MakePool, clip: Path) -> None:
    pool = make_pool()
    pool.submit("job", clip.open("rb"))
    with pytest.raises(ValueError, match="too early"):
        pool._accept(child_of(pool), {"type": "checkpoint", "time_s": 1000}, bytearray(b"x"))
