"""Pairs of videos that share one stretch only: only that is to be found, and no title card and no colour bars."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.alike.clips import DevClip
from bench.alike.pairs import AlikePair, Maker, draw_groups
from bench.alike.videos import Part
from tca_model.types import Match

CONTENT_S = (9.0, 11.4)  # seconds of query and reference that are their own, before and after what is shared
CRF = (23, 30)  # the two are encoded differently


@dataclass(frozen=True, slots=True)
class SharedPair(AlikePair):
    """Two videos with the only stretch that both show; `is_footage`: it is to be found."""

    truth: Match
    is_footage: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """How long what is shared lasts, where it stands, how many clips it is made of (0: it is drawn)."""

    shared_s: float
    place: str  # "first", "last" or "middle"
    clips: int = 1
    drawing: str = ""
    is_footage: bool = True


KINDS = {
    "intro": Kind(5.0, "first"),
    "outro": Kind(4.0, "last"),
    "jingle": Kind(4.0, "first", 0, "jingle"),
    "jingle in the middle": Kind(6.0, "middle", 0, "jingle"),
    "advertisement": Kind(15.0, "middle", 3),
    "stock shot of 3 s": Kind(3.0, "middle"),
    "stock shot of 6 s": Kind(6.0, "middle"),
    "title card": Kind(4.0, "first", 0, "card", is_footage=False),
    "colour bars": Kind(5.0, "first", 0, "colour bars", is_footage=False),
}


def pair_shared(maker: Maker, clips: Sequence[DevClip]) -> Iterator[SharedPair]:
    """One pair of each kind on each side of what is held out, of clips of different families."""
    for name, kind in KINDS.items():
        size = (kind.clips + 5) // 2  # half of a group: what is shared, and two clips for each side
        for seed, group in enumerate(draw_groups(name, clips, size)):
            yield _pair(maker, name, kind, group, seed)


def _pair(maker: Maker, name: str, kind: Kind, group: Sequence[DevClip], seed: int) -> SharedPair:
    if kind.clips:
        each_s = kind.shared_s / kind.clips
        shared = [Part(each_s, (clip.path,)) for clip in group[: kind.clips]]
    else:
        shared = [Part(kind.shared_s, drawing=kind.drawing, seed=seed)]
    own = group[kind.clips : kind.clips + 4]
    sides, starts = [], []
    for side, (before, after) in enumerate(((own[0], own[1]), (own[2], own[3]))):
        lengths = [min(CONTENT_S[side], clip.duration_s) for clip in (before, after)]
        contents = [Part(length_s, (clip.path,)) for length_s, clip in zip(lengths, (before, after), strict=True)]
        cut = {"first": 0, "middle": 1, "last": 2}[kind.place]
        starts.append(sum(lengths[:cut]))
        parts = [*contents[:cut], *shared, *contents[cut:]]
        sides.append(maker.plan(f"{name} {seed} {'ab'[side]}", *parts, crf=CRF[side]))
    truth = Match(starts[0], starts[0] + kind.shared_s, starts[1], starts[1] + kind.shared_s, 1.0)
    return SharedPair(name, sides[0], sides[1], group[0].is_held_out, truth, kind.is_footage)
