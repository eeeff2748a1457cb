"""All drawings by name, those that are for judging only, and what pairs may share: an animated logo, a card, bars."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL.Image import Image as Picture

from bench.alike import broadcast, games, patterns, screens
from bench.alike.words import BLACK, WHITE, Drawing, load_font, make_canvas, make_colour, make_words


def draw_jingle(seed: int) -> Drawing:
    """A logo that grows and turns before a patterned ground."""
    rng = np.random.default_rng(seed)
    tints, name, corners = [make_colour(rng) for _ in range(4)], make_words(rng, 1).upper(), int(rng.integers(3, 9))

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas(tints[0])
        for stripe in range(-2, 9):
            left = 48 * stripe + 12 * time_s
            pen.polygon((left, 0, left + 20, 0, left + 70, 180, left + 50, 180), tints[1])
        pen.regular_polygon((160, 80, 24 + 9 * time_s), corners, round(20 * time_s), tints[2])
        pen.regular_polygon((160, 80, 12 + 4 * time_s), corners + 1, round(-30 * time_s), tints[3])
        pen.text((160, 152), name, WHITE, load_font(26), anchor="mm", stroke_width=2, stroke_fill=BLACK)
        return picture

    return draw


def draw_card(seed: int) -> Drawing:
    """A line of text on black, still."""
    text = make_words(np.random.default_rng(seed), 2).title()

    def draw(_time_s: float) -> Picture:
        picture, pen = make_canvas(BLACK)
        pen.text((160, 90), text, WHITE, load_font(18), anchor="mm")
        return picture

    return draw


def draw_colour_bars(_seed: int) -> Drawing:
    """The colour bars that stand before many a tape, still."""

    def draw(_time_s: float) -> Picture:
        picture, pen = make_canvas(BLACK)
        for number, bar in enumerate(patterns.BARS):
            pen.rectangle((46 * number, 0, 46 * number + 45, 140), bar)
        for number, bar in enumerate(reversed(patterns.BARS)):
            pen.rectangle((46 * number, 141, 46 * number + 45, 180), tuple(level // 2 for level in bar))
        return picture

    return draw


DRAWINGS: Mapping[str, Callable[[int], Drawing]] = MappingProxyType(
    {
        "slides": screens.draw_slides,
        "code editor": screens.draw_editor,
        "terminal": screens.draw_terminal,
        "desktop": screens.draw_desktop,
        "phone chat": screens.draw_chat,
        "phone feed": screens.draw_phone_feed,
        "spreadsheet": screens.draw_spreadsheet,
        "whiteboard": screens.draw_whiteboard,
        "chess": games.draw_chess,
        "tetris": games.draw_tetris,
        "gem puzzle": games.draw_puzzle,
        "game of life": games.draw_life,
        "table of results": games.draw_scores,
        "route on a map": games.draw_route,
        "bar chart race": broadcast.draw_bar_race,
        "countdown": broadcast.draw_countdown,
        "lyrics over a still": broadcast.draw_lyrics,
        "karaoke": broadcast.draw_karaoke,
        "rolling credits": broadcast.draw_credits,
        "weather map": broadcast.draw_weather,
        "clock": broadcast.draw_clock,
        "cartoon speaker": broadcast.draw_speaker,
        "static": patterns.draw_static,
        "gradients": patterns.draw_gradients,
        "test pattern": patterns.draw_test_pattern,
        "starfield": patterns.draw_starfield,
        "fireworks": patterns.draw_fireworks,
        "music bars": patterns.draw_waves,
    }
)
# Rules may be fitted on the other kinds, and are judged on these.
HELD_OUT_DRAWINGS = frozenset(
    ("terminal", "phone feed", "chess", "gem puzzle", "route on a map", "karaoke", "weather map", "clock", "gradients")
)
SHARED_DRAWINGS: Mapping[str, Callable[[int], Drawing]] = MappingProxyType(
    {"jingle": draw_jingle, "card": draw_card, "colour bars": draw_colour_bars}
)


def find_drawing(name: str) -> Callable[[int], Drawing]:
    """The drawing of this name. Raises KeyError for an unknown one."""
    return DRAWINGS[name] if name in DRAWINGS else SHARED_DRAWINGS[name]
