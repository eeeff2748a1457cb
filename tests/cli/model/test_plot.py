"""`copydetect model plot` as a user runs it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from services.cli.errors import CommandFailed
from services.cli.files import find_videos
from services.cli.model.app import app
from services.cli.model.plot import group_files
from services.contracts.errors import UsageError
from tca_model.api import Describer
from tca_model.bundle import Bundle, load_bundle, save_bundle
from tca_model.config import EncoderConfig
from tca_model.evaluation import plots
from tca_model.networks.encoder import build_encoder
from tca_model.synthetic.clips import write_clip
from tca_model.types import FloatArray, Frame
from tca_model.video.decode import sample_frames
from tests.clips import four_corners, steady, write_parted_clip
from tests.clips import write_clip as write_pictures

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")


def plot(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["plot", *map(str, arguments)])


def is_png(path: Path) -> bool:
    with Image.open(path) as image:
        return image.format == "PNG" and min(image.size) > 300


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for group, seed in (("cats", 1), ("cats", 2), ("dogs", 3), ("dogs", 4), ("dogs", 5)):
        (folder / group).mkdir(exist_ok=True)
        write_clip(folder / group / f"{seed}.mp4", seed, duration_s=3, size=(160, 90), fps=5)
    return folder


@pytest.fixture(scope="module")
def tca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with an untrained TCA encoder."""
    bundle = load_bundle("bootstrap")
    config = EncoderConfig(heads=4, feed_forward=16, layers=2)
    torch.manual_seed(0)
    encoder = build_encoder(bundle.manifest.descriptor.frame.dimension, config)
    descriptor = bundle.manifest.descriptor.model_copy(update={"encoder": config, "compares": "refined"})
    weights = {f"encoder.{name}": tensor.numpy() for name, tensor in encoder.state_dict().items()}
    manifest = bundle.manifest.model_copy(update={"name": "untrained", "descriptor": descriptor})
    folder = tmp_path_factory.mktemp("bundles") / "untrained"
    save_bundle(Bundle(manifest, dict(bundle.tensors) | weights), folder)
    return folder


def test_segments_of_a_folder_are_drawn(videos: Path, tmp_path: Path) -> None:
    ended = plot("segments", videos, "--output", tmp_path / "s.png")
    assert ended.exit_code == 0, ended.output
    assert is_png(tmp_path / "s.png")


def test_a_video_that_cannot_be_described_is_reported_and_the_rest_is_drawn(videos: Path, tmp_path: Path) -> None:
    copied = tmp_path / "videos"
    copied.mkdir()
    for path in videos.rglob("*.mp4"):
        (copied / path.name).write_bytes(path.read_bytes())
    (copied / "text.mp4").write_text("no video")
    ended = plot("segments", copied, "--output", tmp_path / "s.png")
    assert ended.exit_code == 1
    assert "not a video" in " ".join(ended.output.split())
    assert is_png(tmp_path / "s.png")


def test_the_title_counts_the_videos_that_are_drawn(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "videos"
    copied.mkdir()
    for path in videos.rglob("*.mp4"):
        (copied / path.name).write_bytes(path.read_bytes())
    write_clip(copied / "long.mp4", 6, duration_s=40, size=(160, 90), fps=5)
    (copied / "text.mp4").write_text("no video")
    titles: list[str] = []
    monkeypatch.setattr(plots, "plot_segments", lambda *_, title: titles.append(title))
    monkeypatch.setenv("COPYDETECT_MAX_FRAMES", "35")
    ended = plot("segments", copied, "--output", tmp_path / "s.png")
    assert ended.exit_code == 1
    assert "more than 35 sampled frames" in " ".join(ended.output.split())
    assert titles == ["6 segment descriptors of 6 videos, bundle default"]


def test_attention_over_a_clip_is_drawn(videos: Path, tca: Path, tmp_path: Path) -> None:
    ended = plot("attention", videos / "cats" / "1.mp4", "--output", tmp_path / "a.png", "--bundle", tca)
    assert ended.exit_code == 0, ended.output
    assert is_png(tmp_path / "a.png")


def test_attention_is_that_of_the_segment_at_a_time(tca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[FloatArray, Sequence[Frame]]] = []
    monkeypatch.setattr(plots, "plot_attention", lambda weights, clip, *_, **__: drawn.append((weights, clip)))
    write_clip(tmp_path / "long.mp4", 1, duration_s=40, size=(160, 90), fps=5)
    ended = plot("attention", tmp_path / "long.mp4", "--start", 33, "--output", tmp_path / "a.png", "--bundle", tca)
    assert ended.exit_code == 0, ended.output
    [(weights, clip)] = drawn
    stored = Describer(load_bundle(str(tca)))(tmp_path / "long.mp4").segments[1].descriptor
    assert [frame.timestamp_s for frame in clip] == stored.timestamps_s.tolist()
    assert weights.shape == (4, len(clip), len(clip))
    assert min(frame.timestamp_s for frame in clip) >= 32


def test_attention_over_parts_of_a_picture_shows_whole_frames(
    tca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Sequence[Frame]] = []
    monkeypatch.setattr(plots, "plot_attention", lambda _, clip, *__, **___: drawn.append(clip))
    video = write_parted_clip(tmp_path / "parted.mp4")
    ended = plot("attention", video, "--output", tmp_path / "a.png", "--bundle", tca)
    assert ended.exit_code == 0, ended.output
    [clip] = drawn
    with video.open("rb") as file:
        whole = {frame.timestamp_s: frame.image for frame in sample_frames(file, size=(160, 160), remove_bars=True)}
    assert len(clip) > len({frame.timestamp_s for frame in clip}), "parts are described too"
    for frame in clip:
        np.testing.assert_array_equal(frame.image, whole[frame.timestamp_s])


def test_attention_reads_within_the_limits_of_the_service(
    videos: Path, tca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []

    def sample(*arguments: Any, **options: Any) -> Any:
        limits.append(options["limits"].max_sampled_frames)
        return sample_frames(*arguments, **options)

    monkeypatch.setattr("tca_model.video.decode.sample_frames", sample)
    monkeypatch.setenv("COPYDETECT_MAX_FRAMES", "35")
    ended = plot("attention", videos / "cats" / "1.mp4", "--output", tmp_path / "a.png", "--bundle", tca)
    assert ended.exit_code == 0, ended.output
    assert set(limits) == {35}


def test_a_matrix_is_drawn(videos: Path, tmp_path: Path) -> None:
    video = videos / "dogs" / "3.mp4"
    ended = plot("matrix", video, video, "--output", tmp_path / "m.png")
    assert ended.exit_code == 0, ended.output
    assert is_png(tmp_path / "m.png")


def test_what_cannot_be_drawn_has_an_error_in_words(videos: Path, tca: Path, tmp_path: Path) -> None:
    video, output = videos / "cats" / "1.mp4", ["--output", tmp_path / "x.png"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    black = write_pictures(tmp_path / "black.mp4", steady(2, 5), images=[four_corners() * 0] * 10)
    with_tca = [*output, "--bundle", tca]
    for arguments, wrong in (
        (["attention", video, *output], "has the aggregator 'mean', which has no attention"),
        (["attention", tmp_path / "none.mp4", *with_tca], "none.mp4: No such file"),
        (["attention", tmp_path / "text.mp4", *with_tca], "not a video"),
        (["attention", video, "--start", 100, *with_tca], "ends at 3 s, before --start 100"),
        (["attention", black, *with_tca], "shows nothing distinctive from 0 to "),
        (["attention", video, "--output", tmp_path / "no" / "x.png"], "no folder"),
        (["matrix", video, video, "--output", tmp_path], "it is a folder"),
        (["segments", tmp_path / "empty", *output], "there are no videos in"),
        (["segments", videos / "cats", *output], "t-SNE needs 5 segments or more, and there are 2"),
        (["segments", tmp_path / "nowhere", *output], "there is no file or folder"),
        (["segments", video, *output], "is not a folder"),
    ):
        ended = plot(*arguments)
        assert isinstance(ended.exception, UsageError | CommandFailed), ended.output
        assert wrong in str(ended.exception)
    assert not (tmp_path / "x.png").exists()


def test_groups_come_from_the_manifest_or_else_the_sub_folders(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "deep/er/c.mp4", "deep/d.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files, _ = find_videos([tmp_path])
    names = {file.asset_id: Path(file.path).name for file in files}

    def group_by_name() -> dict[str, str]:
        return {names[asset_id]: group for asset_id, group in group_files(tmp_path, files).items()}

    assert group_by_name() == {"a.mp4": "(no group)", "b.mp4": "(no group)", "c.mp4": "deep", "d.mp4": "deep"}
    (tmp_path / "manifest.csv").write_text("group,clip\nfirst,a.mp4\n,b.mp4\nsecond,deep/d.mp4\n")
    assert group_by_name() == {"a.mp4": "first", "b.mp4": "(no group)", "c.mp4": "deep", "d.mp4": "second"}
    (tmp_path / "manifest.csv").write_text("file,label\na.mp4,first\n")
    with pytest.raises(UsageError, match=r"needs the columns `clip` .* and `group`"):
        group_by_name()
