"""Drawn screens: one template each, other content for every seed. Functions seed -> Drawing."""

import numpy as np
from PIL import ImageDraw
from PIL.Image import Image as Picture

from bench.alike.words import BLACK, WHITE, Colour, Drawing, load_font, make_canvas, make_colour, make_words

CODE_COLOURS: tuple[Colour, ...] = ((197, 134, 192), (86, 156, 214), (206, 145, 120), (212, 212, 212), (106, 153, 85))


def draw_slides(seed: int) -> Drawing:
    """A deck of one template: title, bullet points, a chart on some slides; another slide every four seconds."""

    def draw(time_s: float) -> Picture:
        slide = int(time_s // 4)
        rng = np.random.default_rng((seed, slide))
        picture, pen = make_canvas(WHITE)
        pen.rectangle((0, 0, 320, 34), (20, 60, 120))
        pen.text((12, 8), make_words(rng, 3).title(), WHITE, load_font(16))
        for line in range(int(rng.integers(3, 6))):
            pen.ellipse((14, 51 + 22 * line, 19, 56 + 22 * line), (20, 60, 120))
            pen.text((26, 46 + 22 * line), make_words(rng, int(rng.integers(2, 5))), (40, 40, 40), load_font(11))
        if rng.random() < 0.6:
            for bar in range(5):
                height = int(rng.integers(10, 90))
                pen.rectangle((210 + 20 * bar, 150 - height, 224 + 20 * bar, 150), (230, 140, 40))
        pen.rectangle((0, 168, 320, 180), (220, 225, 235))
        pen.text((276, 168), f"{slide + 1} / 24", (60, 60, 60), load_font(9))
        return picture

    return draw


def draw_editor(seed: int) -> Drawing:
    """A code editor with a list of files; a line is typed every second, and the page scrolls."""
    rng = np.random.default_rng(seed)
    files = [make_words(rng, 1) + ".py" for _ in range(9)]
    lines = [[make_words(rng, 1) for _ in range(int(rng.integers(1, 6)))] for _ in range(60)]
    indents, tints = rng.integers(0, 4, 60), rng.integers(0, len(CODE_COLOURS), (60, 6))

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((30, 30, 30))
        pen.rectangle((0, 0, 70, 180), (37, 37, 38))
        for row, name in enumerate(files):
            pen.text((6, 14 + 13 * row), name, (190, 190, 190), load_font(8))
        first = int(time_s) + 1
        for row in range(13):
            number, x = first + row, 92 + 10 * int(indents[first + row])
            pen.text((74, 6 + 13 * row), str(number), (110, 110, 110), load_font(8))
            for word, tint in zip(lines[number], tints[number], strict=False):
                pen.text((x, 6 + 13 * row), word, CODE_COLOURS[tint], load_font(9))
                x += int(pen.textlength(word + " ", load_font(9)))
        return picture

    return draw


def draw_terminal(seed: int) -> Drawing:
    """A terminal that scrolls two lines a second."""
    rng = np.random.default_rng(seed)
    lines = [("$ " if rng.random() < 0.2 else "") + make_words(rng, int(rng.integers(2, 8))) for _ in range(90)]

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((12, 12, 12))
        first = int(time_s * 2)
        for row in range(15):
            pen.text((5, 2 + 12 * row), lines[first + row], (80, 220, 100), load_font(9))
        return picture

    return draw


def draw_desktop(seed: int) -> Drawing:
    """A desktop with a task bar and two or three windows, and one of them is dragged."""
    rng = np.random.default_rng(seed)
    places, sizes = rng.integers(10, 120, (3, 2)) * [1.2, 0.5], rng.integers(70, 150, (3, 2)) * [1, 0.7]
    tints, texts = [make_colour(rng, 200, 250) for _ in range(3)], [make_words(rng, 12).split() for _ in range(3)]

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((0, 95, 130))
        for icon in range(6):
            pen.rounded_rectangle((8, 8 + 26 * icon, 24, 24 + 26 * icon), 3, (240, 220, 120))
        for number in range(3):
            left, top = places[number] + (number == 2) * np.array([4, 2]) * time_s
            right, bottom = left + sizes[number][0], top + sizes[number][1]
            pen.rectangle((left, top, right, bottom), tints[number], outline=(70, 70, 70))
            pen.rectangle((left, top, right, top + 11), (60, 90, 160))
            for row, word in enumerate(texts[number][: int(sizes[number][1] // 12) - 1]):
                pen.text((left + 4, top + 13 + 11 * row), word, BLACK, load_font(8))
        pen.rectangle((0, 166, 320, 180), (40, 40, 50))
        pen.text((280, 168), f"12:{int(time_s) + 10}", WHITE, load_font(9))
        return picture

    return draw


def draw_chat(seed: int) -> Drawing:
    """A phone in the middle with a chat of other text; a message every two seconds."""
    rng = np.random.default_rng(seed)
    messages = [(make_words(rng, int(rng.integers(1, 5))), bool(rng.integers(2))) for _ in range(20)]

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((225, 225, 230))
        pen.rounded_rectangle((100, 2, 220, 178), 12, (20, 20, 20))
        pen.rectangle((105, 12, 215, 168), (236, 229, 221))
        pen.rectangle((105, 12, 215, 28), (7, 94, 84))
        pen.text((112, 14), "Family", WHITE, load_font(10))
        for row, (text, is_own) in enumerate(messages[int(time_s / 2) : int(time_s / 2) + 8]):
            width, y = min(90, int(pen.textlength(text, load_font(8))) + 8), 32 + 17 * row
            left = 211 - width if is_own else 109
            pen.rounded_rectangle((left, y, left + width, y + 14), 4, (220, 248, 198) if is_own else WHITE)
            pen.text((left + 4, y + 2), text[:18], BLACK, load_font(8))
        return picture

    return draw


def draw_spreadsheet(seed: int) -> Drawing:
    """A sheet of numbers in which a cell is filled every second."""
    rng = np.random.default_rng(seed)
    values, heads = rng.integers(1, 9999, (16, 6)), [make_words(rng, 1)[:7] for _ in range(6)]
    order = rng.permutation(96)

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas(WHITE)
        pen.rectangle((0, 0, 320, 16), (33, 115, 70))
        for column in range(7):
            pen.line((20 + 50 * column, 16, 20 + 50 * column, 180), (200, 200, 200))
        for row in range(16):
            pen.line((0, 28 + 11 * row, 320, 28 + 11 * row), (200, 200, 200))
            pen.text((4, 29 + 11 * row), str(row + 1), (120, 120, 120), load_font(8))
        for column, head in enumerate(heads):
            pen.text((24 + 50 * column, 17), head, BLACK, load_font(9))
        for cell in order[: 50 + 3 * int(time_s)]:
            row, column = divmod(int(cell), 6)
            pen.text((24 + 50 * column, 29 + 11 * row), str(values[row, column]), (30, 30, 30), load_font(8))
        return picture

    return draw


def draw_whiteboard(seed: int) -> Drawing:
    """A white board in one frame that fills with strokes and words."""
    rng = np.random.default_rng(seed)
    strokes = [np.cumsum(rng.normal(0, 9, (8, 2)), axis=0) + rng.uniform([40, 40], [270, 140]) for _ in range(40)]
    words = [(make_words(rng, 2), tuple(rng.uniform([25, 25], [220, 140]))) for _ in range(10)]

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((150, 140, 130))
        pen.rectangle((12, 10, 308, 168), (246, 247, 245), outline=(90, 90, 90), width=3)
        shown = 5 + int(2 * time_s)
        for number, stroke in enumerate(strokes[:shown]):
            colour = ((30, 30, 160), (180, 30, 30), (30, 30, 30))[number % 3]
            pen.line(np.clip(stroke, [16, 14], [304, 164]).ravel().tolist(), colour, 2)
        for text, place in words[: shown // 4]:
            pen.text(place, text, (30, 30, 30), load_font(11))
        return picture

    return draw


def draw_phone_feed(seed: int) -> Drawing:
    """A feed of posts in an application that scrolls: other pictures, names and texts in the same cards."""
    rng = np.random.default_rng(seed)
    posts = [(make_colour(rng), make_colour(rng), make_words(rng, 2), make_words(rng, 5)) for _ in range(8)]

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((240, 240, 245))
        for number, (tint, ground, name, text) in enumerate(posts):
            _draw_post(pen, 20 + 100 * number - 30 * time_s, tint, ground, name, text)
        pen.rectangle((60, 0, 260, 16), WHITE)
        pen.text((66, 3), "Home", (230, 60, 90), load_font(10))
        return picture

    return draw


def _draw_post(pen: ImageDraw.ImageDraw, top: float, tint: Colour, ground: Colour, name: str, text: str) -> None:
    pen.rectangle((60, top, 260, top + 94), WHITE)
    pen.ellipse((66, top + 4, 80, top + 18), tint)
    pen.text((86, top + 5), name, BLACK, load_font(9))
    pen.rectangle((60, top + 22, 260, top + 78), ground)
    pen.ellipse((120 + tint[0] / 4, top + 30, 180 + tint[1] / 4, top + 70), tint)
    pen.text((66, top + 81), text, (60, 60, 60), load_font(8))
