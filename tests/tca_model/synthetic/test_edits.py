"""Every edit as a file, and every temporal edit with a source whose brightness shows the time."""

from pathlib import Path

import av
import numpy as np
import pytest

from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import EDITS, Truth, apply_edit
from tca_model.synthetic.writer import write_video
from tca_model.types import Image, Match

FPS = 10.0
SOURCE_S = 6.0
OTHER_S = 4.0
SIZE = (96, 64)
# The clock: frame k of the source is gray of level DARKEST + STEP k; the other video is blue.
DARKEST, STEP = 20, 3
FRAME_S = 1 / FPS
SAME_PICTURE = 1.0  # mean difference in levels of 255 that different encoder builds may cause

Files = tuple[Path, Path]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "source.mp4", 1, duration_s=3.0, size=SIZE, fps=FPS)
    write_clip(folder / "other.mp4", 2, duration_s=2.0, size=(80, 80), fps=FPS)
    return folder / "source.mp4", folder / "other.mp4"


@pytest.fixture(scope="module")
def clocks(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("clocks")
    width, height = SIZE
    levels = range(DARKEST, DARKEST + STEP * round(SOURCE_S * FPS), STEP)
    gray = (np.full((height, width, 3), level, np.uint8) for level in levels)
    write_video(folder / "source.mp4", gray, fps=FPS, crf=8)
    blue = np.zeros((height, width, 3), np.uint8)
    blue[..., 2] = 220
    write_video(folder / "other.mp4", (blue for _ in range(round(OTHER_S * FPS))), fps=FPS)
    return folder / "source.mp4", folder / "other.mp4"


def read(path: Path) -> list[tuple[float, Image]]:
    with av.open(str(path)) as container:
        return [
            (frame.time or 0.0, np.asarray(frame.to_ndarray(format="rgb24"))) for frame in container.decode(video=0)
        ]


def difference(one: Image, two: Image) -> float:
    """Mean difference in levels of 255; infinite for pictures of different sizes."""
    if one.shape != two.shape:
        return np.inf
    return float(np.abs(one.astype(float) - two.astype(float)).mean())


def test_there_are_enough_edits_for_a_benchmark() -> None:
    assert len(EDITS) >= 25
    assert all(edit.summary for edit in EDITS.values())


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_is_as_long_as_its_truth_says_and_reproducible(clips: Files, tmp_path: Path, name: str) -> None:
    source, other = clips
    truth = apply_edit(name, source, tmp_path / "a.mp4", seed=5, other=other)
    frames = read(tmp_path / "a.mp4")
    spacing_s = 1 / (EDITS[name].fps or FPS)
    assert frames[-1][0] + spacing_s == pytest.approx(truth.duration_s, abs=0.01)
    assert {image.shape for _, image in frames} == {frames[0][1].shape}
    assert apply_edit(name, source, tmp_path / "b.mp4", seed=5, other=other) == truth
    pairs = zip(frames, read(tmp_path / "b.mp4"), strict=True)
    assert max(difference(one, two) for (_, one), (_, two) in pairs) < SAME_PICTURE


@pytest.mark.parametrize("name", ["crop", "logo", "rotation", "colour", "trim", "sped_up", "insert", "noise"])
def test_another_seed_gives_another_copy(clips: Files, tmp_path: Path, name: str) -> None:
    source, other = clips
    for seed in (0, 1, 2):
        apply_edit(name, source, tmp_path / f"{seed}.mp4", seed=seed, other=other)
    first, *others = (read(tmp_path / f"{seed}.mp4") for seed in (0, 1, 2))
    assert any(
        len(copy) != len(first)
        or any(difference(one, two) > SAME_PICTURE for (_, one), (_, two) in zip(copy, first, strict=True))
        for copy in others
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "name", ["flip", "low_frame_rate", "sped_up", "slowed_down", "trim", "reorder", "loop", "insert"]
)
def test_the_truth_states_which_source_frame_is_on_screen(clocks: Files, tmp_path: Path, name: str, seed: int) -> None:
    source, other = clocks
    truth = apply_edit(name, source, tmp_path / "a.mp4", seed=seed, other=other)
    checked = 0
    for time_s, image in read(tmp_path / "a.mp4"):
        red, _, blue = image.mean(axis=(0, 1))
        for match in truth.matches:
            if not match.query_start_s - 1e-3 <= time_s < match.query_end_s - 1e-3:
                continue
            pace = (match.reference_end_s - match.reference_start_s) / (match.query_end_s - match.query_start_s)
            source_s = match.reference_start_s + (time_s - match.query_start_s) * pace
            # a frame stays on screen until the next one; compression moves the level by one or two of STEP
            assert (red - DARKEST) / STEP == pytest.approx(np.floor(source_s * FPS + 0.01), abs=0.9)
            checked += 1
            break
        else:
            assert blue - red > 100, f"{time_s:.2f} s shows the source and the truth does not know"
    assert checked == pytest.approx(
        sum(match.query_end_s - match.query_start_s for match in truth.matches) * (EDITS[name].fps or FPS), abs=1
    )


def test_a_container_without_stream_lengths_gives_the_same_truth(clocks: Files, tmp_path: Path) -> None:
    with av.open(str(clocks[0])) as container, av.open(str(tmp_path / "source.mkv"), "w") as copy:
        stream = copy.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    expected = apply_edit("trim", clocks[0], tmp_path / "a.mp4", seed=3)
    assert apply_edit("trim", tmp_path / "source.mkv", tmp_path / "b.mp4", seed=3) == expected
    pairs = zip(read(tmp_path / "a.mp4"), read(tmp_path / "b.mp4"), strict=True)
    assert all(difference(one, two) < STEP / 2 for (_, one), (_, two) in pairs)


def test_temporal_edits_copy_the_stated_share(clocks: Files, tmp_path: Path) -> None:
    source, other = clocks
    truths = {
        name: apply_edit(name, source, tmp_path / "a.mp4", seed=1, other=other)
        for name in ("crop", "trim", "sped_up", "slowed_down", "insert", "loop", "reorder")
    }
    assert truths["crop"] == Truth(SOURCE_S, (Match(0, SOURCE_S, 0, SOURCE_S, 1.0),))
    assert 0.5 * SOURCE_S - FRAME_S <= truths["trim"].duration_s <= 0.6 * SOURCE_S + FRAME_S
    assert 1.2 <= SOURCE_S / truths["sped_up"].duration_s <= 1.55
    assert 0.65 <= SOURCE_S / truths["slowed_down"].duration_s <= 0.85
    # the source is shorter than ten seconds, so all of it is inserted in all of the other video
    assert truths["insert"].duration_s == pytest.approx(SOURCE_S + OTHER_S, abs=2 * FRAME_S)
    first, second = truths["loop"].matches
    assert (first.reference_start_s, first.reference_end_s) == (second.reference_start_s, second.reference_end_s)
    starts = [match.reference_start_s for match in truths["reorder"].matches]
    assert len(starts) == 3
    assert starts != sorted(starts)


def test_ten_seconds_of_a_long_source_are_inserted(tmp_path: Path) -> None:
    for name, duration_s in (("source", 30), ("other", 40)):
        images = (np.full((16, 16, 3), index % 250, np.uint8) for index in range(duration_s * 4))
        write_video(tmp_path / f"{name}.mp4", images, fps=4)
    truth = apply_edit("insert", tmp_path / "source.mp4", tmp_path / "a.mp4", other=tmp_path / "other.mp4")
    (match,) = truth.matches
    assert match.query_end_s - match.query_start_s == pytest.approx(10)
    assert 30 <= truth.duration_s <= 40
    assert match.query_start_s > 2
    assert truth.duration_s - match.query_end_s > 2


def test_recompress_makes_fewer_pixels_and_bytes(clips: Files, tmp_path: Path) -> None:
    apply_edit("recompress", clips[0], tmp_path / "a.mp4")
    assert read(tmp_path / "a.mp4")[0][1].shape == (32, 48, 3)
    assert (tmp_path / "a.mp4").stat().st_size < clips[0].stat().st_size / 2


@pytest.mark.parametrize("name", ["insert", "picture_in_picture", "side_by_side"])
def test_an_edit_that_needs_another_video_rejects_none(clips: Files, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' needs another video"):
        apply_edit(name, clips[0], tmp_path / "a.mp4")


def test_the_error_for_an_unknown_edit_lists_the_names(clips: Files, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no edit 'mirror'.*recompress.*flip"):
        apply_edit("mirror", clips[0], tmp_path / "a.mp4")


@pytest.mark.parametrize("content", [None, b"", b"no video" * 100])
def test_the_error_for_an_unreadable_source_names_it(tmp_path: Path, content: bytes | None) -> None:
    source = tmp_path / "source.mp4"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(ValueError, match=r"source\.mp4 cannot be read as a video"):
        apply_edit("flip", source, tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()


def test_the_error_for_a_source_without_pictures_names_it(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match=r"sound\.mp4 holds no video"):
        apply_edit("flip", tmp_path / "sound.mp4", tmp_path / "a.mp4")


@pytest.mark.parametrize("matches", [(), (Match(0, 5, 0, 5, 1.0),)])
def test_a_truth_has_a_copy_that_ends_within_the_video(matches: tuple[Match, ...]) -> None:
    with pytest.raises(ValueError, match=r"must hold a piece|ends after the video"):
        Truth(4.0, matches)
