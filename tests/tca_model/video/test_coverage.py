"""How much of a file could be decoded is counted, said, and too little of it fails."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tca_model.errors import DecodeError
from tca_model.video.checkpoint import Checkpoint
from tca_model.video.coverage import Coverage
from tca_model.video.decode import Sampled, SampleOptions, sample_with_checkpoints
from tests.clips import drifting, steady, write_clip

SECONDS = 20


def make_coverage(expected: list[int], shown: list[int], *, most: int = 100) -> Coverage:
    """Stamps of a tenth of a second, steps of a second."""
    coverage = Coverage(Fraction(1, 10), Fraction(1), most)
    for stamp in expected:
        coverage.expect(stamp, is_keyframe=True)
    for stamp in shown:
        coverage.show(stamp)
    return coverage


def test_the_share_is_of_seconds_and_not_of_packets() -> None:
    assert make_coverage([0, 5, 10, 15, 20, 25], [5, 10, 29]).share == 1.0
    assert make_coverage([0, 5, 10, 15, 20, 25], [5, 10]).share == pytest.approx(2 / 3)
    assert make_coverage([0, 10], [0, 10, 20, 30]).share == 1.0


def test_what_nothing_was_expected_of_is_whole() -> None:
    assert make_coverage([], []).share == 1.0
    coverage = Coverage(Fraction(1, 10), Fraction(1), 100)
    for stamp in (None, 0, 10, 20):
        coverage.expect(stamp, is_keyframe=stamp == 20)
    coverage.show(20)
    assert coverage.share == 1.0, "nothing is expected before the first keyframe"


def test_the_number_of_steps_is_bounded() -> None:
    coverage = make_coverage(list(range(0, 10_000, 10)), [], most=5)
    assert len(coverage._expected) == 5


def spoil(source: Path, target: Path, first: int, count: int) -> Path:
    """A copy in which these packets hold nothing that can be decoded."""
    with av.open(str(source)) as film, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(film.streams.video[0])
        for n, packet in enumerate(film.demux(film.streams.video[0])):
            if packet.size:
                if first <= n < first + count:
                    empty = av.Packet(bytes(packet.size))
                    empty.pts, empty.dts, empty.time_base = packet.pts, packet.dts, packet.time_base
                    empty.stream = stream
                    copy.mux(empty)
                else:
                    packet.stream = stream
                    copy.mux(packet)
    return target


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures a second, each of which stands alone."""
    path = tmp_path_factory.mktemp("films") / "a.mov"
    images = drifting(1, 2 * SECONDS, (64, 48))
    return write_clip(path, steady(SECONDS, 2), images=images, codec="png", pix_fmt="rgb24")


def sample(path: Path, resume: Checkpoint | None = None) -> tuple[list[Checkpoint], Sampled]:
    with path.open("rb") as file:
        sampling = sample_with_checkpoints(file, SampleOptions(size=(32, 24)), checkpoint_s=4, resume=resume)
        checkpoints: list[Checkpoint] = []
        while True:
            try:
                yielded = next(sampling)
            except StopIteration as end:
                return checkpoints, end.value
            if isinstance(yielded, Checkpoint):
                checkpoints.append(yielded)


def test_a_file_says_how_much_of_it_could_be_decoded(film: Path, tmp_path: Path) -> None:
    assert sample(film)[1].decoded_share == 1.0
    damaged = spoil(film, tmp_path / "b.mov", first=10, count=12)
    _, whole = sample(damaged)
    assert whole.duration_s == pytest.approx(SECONDS, abs=0.5)
    assert whole.decoded_share == pytest.approx((SECONDS - 6) / SECONDS)


def test_a_file_of_which_too_little_can_be_decoded_fails(film: Path, tmp_path: Path) -> None:
    damaged = spoil(film, tmp_path / "b.mov", first=10, count=28)
    with pytest.raises(DecodeError, match="only 30% of it could be decoded"):
        sample(damaged)


def test_the_share_is_the_same_after_an_interruption(film: Path, tmp_path: Path) -> None:
    damaged = spoil(film, tmp_path / "b.mov", first=10, count=12)
    checkpoints, whole = sample(damaged)
    assert [one.time_s for one in checkpoints] == [4, 11, 15, 19]
    for one in checkpoints:
        assert sample(damaged, Checkpoint.from_bytes(one.to_bytes()))[1] == whole


def test_frames_that_are_skipped_or_reordered_are_not_missed(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (150, 48, 64, 3), np.uint8)
    for name, codec in (("a.mp4", "libx264"), ("a.ts", "libx264"), ("a.mkv", "mpeg4"), ("a.avi", "mpeg4")):
        path = write_clip(tmp_path / name, steady(6, 25), images=noise, codec=codec, options={"bf": "3", "g": "50"})
        assert sample(path)[1].decoded_share == 1.0, name


def test_a_recording_that_begins_between_keyframes_is_whole(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.ts", steady(8, 25), options={"g": "75"})
    data = path.read_bytes()
    later = tmp_path / "b.ts"
    later.write_bytes(data[: 2 * 188] + data[len(data) // 4 // 188 * 188 :])
    _, whole = sample(later)
    assert whole.duration_s < 7
    assert whole.decoded_share == 1.0
