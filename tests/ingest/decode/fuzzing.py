"""Damaged files, made from a whole one: `python -m tests.ingest.decode.fuzzing COUNT FILE...` decodes COUNT of each.

Prints how they ended, and fails if one of them ended the decoder.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from services.ingest.decode.events import DecodeEvent, DecodeFailed, DecodeFinished
from services.ingest.decode.pool import DecodePool
from tca_model.video.decode import DecodeLimits

# What `explain_end` and the pool say of a decoder that did not end its file by itself.
DEATHS = ("crashed", "killed", "ended in the middle", "broke the protocol", "processor time", "sent no frame")
HEADER_BYTES = 600  # most of what a demuxer believes stands in the first bytes


def damage(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Variants of a file: truncated, and changed by bits, numbers, zeros, holes and doubles, half in the header."""
    rng = np.random.default_rng(seed)
    for n in range(count):
        changed = bytearray(data)
        header = min(HEADER_BYTES, len(data))
        places = rng.integers(0, header if n % 2 else len(data), 1 + n % 8)
        other = int(rng.integers(0, len(data)))
        span = int(rng.integers(1, 2000))
        match n % 7:
            case 0:
                del changed[max(1, other) :]
            case 1 | 2:
                for place in places:
                    changed[place] ^= 1 << int(rng.integers(0, 8))
            case 3:
                for place in places:
                    extreme = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
                    changed[place : place + 4] = bytes([extreme]) * len(changed[place : place + 4])
            case 4:
                changed[other : other + span] = bytes(len(changed[other : other + span]))
            case 5:
                del changed[other : other + span]
            case 6:
                changed[other:other] = changed[int(places[0]) : int(places[0]) + span]
        yield bytes(changed)


def decode_damaged(pool: DecodePool, folder: Path, whole: Path, count: int, seed: int = 0) -> list[DecodeEvent]:
    """How the decoding of `count` variants of a file ended."""
    ends: list[DecodeEvent] = []
    waiting = enumerate(damage(whole.read_bytes(), count, seed))
    submitted = 0
    while len(ends) < count:
        while pool.free and submitted < count:
            n, data = next(waiting)
            path = folder / f"{n}{whole.suffix}"
            path.write_bytes(data)
            pool.submit(f"{whole.name}:{n}", path.open("rb"))
            path.unlink()
            submitted += 1
        ends += [event for event in pool.poll(1.0) if isinstance(event, DecodeFinished | DecodeFailed)]
    return ends


def find_deaths(ends: list[DecodeEvent]) -> list[DecodeFailed]:
    """Those that ended the decoder."""
    failed = [end for end in ends if isinstance(end, DecodeFailed)]
    return [end for end in failed if any(death in end.reason for death in DEATHS)]


def main() -> None:
    count, *names = sys.argv[1:]
    deaths: list[DecodeFailed] = []
    for name in names:
        limits = DecodeLimits(max_cpu_s=60)
        with DecodePool(workers=2, size=(224, 224), every_s=1.0, limits=limits, deadline_s=120, panels=True) as pool:
            ends = decode_damaged(pool, Path("/dev/shm"), Path(name), int(count))
        reasons = Counter("decoded" if isinstance(end, DecodeFinished) else getattr(end, "reason", "") for end in ends)
        sys.stdout.write(f"{name}: {dict(reasons.most_common())}\n")
        deaths += find_deaths(ends)
    sys.exit("\n".join(map(str, deaths)) or None)


if __name__ == "__main__":
    main()
