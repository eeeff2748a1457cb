"""Which pairs there are: of other footage always, held out on both sides or on none, shared only where said."""

from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from bench.alike import plan
from bench.alike.clips import Camera, DevClip, read_clips, watch_camera
from bench.alike.pairs import AlikePair, Footage, Maker, pair_drawings, pair_looks, pair_takes
from bench.alike.plan import Plan, choose_kinds, choose_pictures, pair_long_videos, read_cameras
from bench.alike.shared import KINDS, pair_shared
from bench.alike.stored import name_of
from bench.alike.videos import MadeVideo, Part
from tca_model.data.held_out import ORIGINALS
from tca_model.synthetic.writer import write_video
from tests.clips import time_in, write_clip

HEADER = "clip,group,family,relation,duration_s"


def clip(name: str, family: str = "", group: str = "", relation: str = "", duration_s: float = 9.0) -> DevClip:
    return DevClip(Path(f"{name}.mp4"), group or name, family or name, relation, duration_s)


CLIPS = [
    *(clip(f"open{number}", f"room{number % 9}") for number in range(36)),
    *(clip(name, name) for name in ORIGINALS),
]


def test_takes_pieces_families_and_faces_are_kinds() -> None:
    clips = [
        clip("a1", "a", "a", "same scene, different take"),
        clip("a2", "a", "a", "same scene, different take"),
        clip("a3", "a", "other"),
        clip("b1", "b", "b", "excerpt of one video"),
        clip("b2", "b", "b", "excerpt of one video"),
        clip("liveportrait-x1"),
        clip("liveportrait-x2"),
        clip("liveportrait-d11"),
        clip("still"),
        clip("moving"),
        clip("cutting"),
    ]
    cameras = {"still": Camera(False, True), "moving": Camera(False, False), "cutting": Camera(True, True)}
    pairs = list(pair_takes(clips, cameras))

    assert Counter(pair.kind for pair in pairs) == {
        "other take": 1,
        "same family, other scene": 2,
        "other excerpt": 1,
        "other face": 1,
        "other piece, still camera": 1,
        "other piece, moving camera": 1,
    }
    (faces,) = (pair for pair in pairs if pair.kind == "other face")
    assert {faces.query.label, faces.reference.label} == {"liveportrait-x1", "liveportrait-x2"}, "d11 is held out"
    (still,) = (pair for pair in pairs if pair.kind == "other piece, still camera")
    assert (still.query.label, still.reference.label) == ("still 0.0-4.0 s", "still 5.0-9.0 s")


def test_looks_and_shared_stretches_never_mix_what_is_held_out_or_a_family(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    families = {one.path: one.family for one in CLIPS}
    held_out = {one.path: one.is_held_out for one in CLIPS}
    pairs: list[AlikePair] = [*pair_looks(maker, CLIPS), *pair_shared(maker, CLIPS)]
    videos = {video.path.stem: video for video in maker.videos}
    assert len(videos) == len(maker.videos) == 2 * len(pairs)
    for pair in pairs:
        sides = [
            {path for part in videos[side.names[0]].parts for path in part.clips}
            for side in (pair.query, pair.reference)
        ]
        assert all(held_out[path] == pair.is_held_out for side in sides for path in side)
        own = [side - (sides[0] & sides[1]) for side in sides]
        assert all(own)
        assert not {families[path] for path in own[0]} & {families[path] for path in own[1]}
        expected = KINDS[pair.kind].clips if pair.kind in KINDS else 0
        assert len(sides[0] & sides[1]) == expected, "only a shared stretch is shared"
    assert {pair.is_held_out for pair in pairs if pair.kind == "blurred"} == {True, False}


def test_the_truth_of_a_shared_stretch_is_where_both_videos_show_it(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    pairs = list(pair_shared(maker, CLIPS))
    videos = {video.path.stem: video for video in maker.videos}
    assert {pair.kind for pair in pairs} == set(KINDS)
    for pair in pairs:
        query, reference = (videos[side.names[0]].parts for side in (pair.query, pair.reference))
        shared = [part for part in query if part in reference]
        assert sum(part.duration_s for part in shared) == pytest.approx(KINDS[pair.kind].shared_s)
        for parts, start_s in ((query, pair.truth.query_start_s), (reference, pair.truth.reference_start_s)):
            assert sum(part.duration_s for part in parts[: parts.index(shared[0])]) == pytest.approx(start_s)


def test_each_drawing_is_compared_with_two_others_of_its_template(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    pairs = list(pair_drawings(maker))
    assert set(Counter(pair.kind for pair in pairs).values()) == {3}
    assert len({pair.kind for pair in pairs}) >= 25
    seeds = {video.path.stem: video.parts[0].seed for video in maker.videos}
    assert all(seeds[pair.query.names[0]] != seeds[pair.reference.names[0]] for pair in pairs)


def test_other_parts_make_another_file_wherever_the_clips_are(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    names = [
        maker.plan("one two", *parts).names[0]
        for parts in (
            [Part(2.0, (Path("/a/clip.mp4"),))],
            [Part(2.0, (Path("/b/clip.mp4"),))],
            [Part(3.0, (Path("/a/clip.mp4"),))],
        )
    ]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("one-two-")


def test_long_videos_show_other_pictures_and_clips_on_each_side() -> None:
    pictures = [Path(f"images/{number:05}.webp") for number in range(50)]
    pairs = pair_long_videos(pictures, CLIPS)
    lengths = {"stills, 10 minutes": 60, "stills, 2 hours": 720}
    assert Counter(pair.kind for pair in pairs).keys() == {*lengths, "clips, up to 10 minutes"}
    for pair in pairs:
        assert not set(pair.query.names) & set(pair.reference.names)
        if pair.kind in lengths:
            assert len(pair.query.names) == len(pair.reference.names) == lengths[pair.kind]
            shown = Counter(pair.query.names)
            assert max(shown.values()) - min(shown.values()) <= 1, "each picture as often as the others"


def test_some_kinds_need_only_what_they_show(tmp_path: Path) -> None:
    maker = Maker(tmp_path)
    alike, shared = list(pair_drawings(maker)), list(pair_shared(maker, CLIPS))
    pictures = tuple(Path(f"images/{number:05}.webp") for number in range(4))
    alike += pair_long_videos(pictures, CLIPS)
    whole = Plan(tuple(alike), tuple(shared), tuple(maker.videos), tuple(CLIPS), pictures)

    some = choose_kinds(whole, ["clock", "intro"])
    assert {pair.kind for pair in some.alike} == {"clock"}
    assert {pair.kind for pair in some.shared} == {"intro"}
    assert len(some.videos) == 3 + 4
    assert not some.pictures
    assert set(choose_kinds(whole, ["stills, 2 hours"]).pictures) == set(pictures)
    with pytest.raises(ValueError, match="there is no kind 'opera'; there are slides, code editor"):
        choose_kinds(whole, ["clock", "opera"])


def test_the_manifest_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no manifest"):
        read_clips(tmp_path)
    (tmp_path / "manifest.csv").write_text(f"{HEADER}\na.mp4,g,liveportrait-d11,,4.5\nb.mp4,g,free,same scene,9\n")
    held_out, free = read_clips(tmp_path)
    assert (held_out.is_held_out, free.is_held_out, free.duration_s) == (True, False, 9.0)
    (tmp_path / "manifest.csv").write_text("clip,family\na.mp4,f\n")
    with pytest.raises(ValueError, match="has no column group"):
        read_clips(tmp_path)


def test_pictures_come_from_both_folders_and_fewer_are_the_first_of_more(tmp_path: Path) -> None:
    for folder, number in product(("images", "photos"), range(5)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{number}.webp").touch()
    chosen = choose_pictures(tmp_path, 6)
    assert choose_pictures(tmp_path, 4) == chosen[:4]
    assert {name_of(path)[:6] for path in chosen} == {"images", "photos"}
    assert len(set(choose_pictures(tmp_path, 10))) == 10
    (tmp_path / "images" / "manifest.csv").write_text("file,kind\n0.webp,meme template\n1.webp,natural photo\n")
    assert "images-0" not in {name_of(path) for path in choose_pictures(tmp_path, 9)}
    for count in (1, 10):
        with pytest.raises(ValueError, match=rf"{count} still pictures were asked for; .* has 9"):
            choose_pictures(tmp_path, count)


def make_ground(seed: int) -> np.ndarray:
    return np.kron(np.random.default_rng(seed).integers(0, 255, (9, 16, 3), np.uint8), np.ones((20, 20, 1), np.uint8))


def test_cameras_stand_move_and_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = make_ground(1), make_ground(2)
    still = []
    for index in range(20):
        picture = one.copy()
        picture[40:80, 10 * index : 10 * index + 30] = 255  # something moves before it
        still.append(picture)
    moving = [np.roll(one, 4 * index, axis=1) for index in range(20)]
    for name, images in {"still": still, "moving": moving, "cutting": [one] * 10 + [other] * 10}.items():
        write_video(tmp_path / f"{name}.mp4", images, fps=5)
    found = {name: watch_camera(tmp_path / f"{name}.mp4") for name in ("still", "moving", "cutting")}
    assert found == {"still": Camera(False, True), "moving": Camera(False, False), "cutting": Camera(True, True)}

    clips = [clip("still"), clip("moving", duration_s=5.0)]
    watched: list[Path] = []

    def watch(path: Path) -> Camera:
        watched.append(path)
        return Camera(False, True)

    monkeypatch.setattr(plan, "watch_camera", watch)
    for _ in range(2):
        assert read_cameras(clips, tmp_path, lambda _done, _total: None) == {"still": Camera(False, True)}
    assert watched == [Path("still.mp4")], "once, and only clips that are long enough"


def test_a_made_video_has_its_parts_in_a_row_and_is_made_once(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "source.mp4", [index / 10 for index in range(100)])
    video = MadeVideo(tmp_path / "made.mp4", (Part(1.0, drawing="chess"), Part(2.0, (source,), start_s=4.0)))
    video.make()
    stamp = video.path.stat().st_mtime_ns
    video.make()
    assert video.path.stat().st_mtime_ns == stamp

    images = [image for part in video.parts for image in part.iter_images()]
    assert len(images) == 6
    assert [time_in(image) for image in images[2::2]] == pytest.approx([4.0, 5.0], abs=0.5)
    assert len(list(Part(9.0, (source,), start_s=8.0).iter_images())) == 4, "a clip may end before"
    assert Footage(("a", "b")).label == "a and 1 more"
