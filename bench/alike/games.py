"""Drawn games and boards: the same board, another game for every seed. Functions seed -> Drawing."""

import numpy as np
import PIL.Image
from PIL.Image import Image as Picture

from bench.alike.words import SIZE, WHITE, Drawing, load_font, make_canvas, make_colour, make_words

PIECES = "KQRBNP"
BLOCKS = ((240, 60, 60), (60, 200, 240), (240, 220, 60), (80, 220, 90), (180, 80, 220), (240, 150, 50))


def draw_chess(seed: int) -> Drawing:
    """A chess board in a broadcast's frame; a piece moves every two seconds."""
    rng = np.random.default_rng(seed)
    start = rng.permutation(64)[:24]
    moves = [(int(rng.integers(24)), int(rng.integers(64))) for _ in range(20)]
    kinds, names = rng.integers(0, 6, 24), [make_words(rng, 2).title() for _ in range(2)]

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((48, 46, 43))
        places = start.copy()
        for piece, square in moves[: int(time_s / 2) + 1]:
            places[piece] = square
        for square in range(64):
            x, y = 10 + 20 * (square % 8), 10 + 20 * (square // 8)
            is_dark = (square // 8 + square % 8) % 2
            pen.rectangle((x, y, x + 19, y + 19), (118, 150, 86) if is_dark else (238, 238, 210))
        for number, square in enumerate(places.tolist()):
            x, y = 20 + 20 * (square % 8), 20 + 20 * (square // 8)
            is_black = number % 2
            pen.ellipse((x - 8, y - 8, x + 8, y + 8), (40, 40, 40) if is_black else (250, 250, 250))
            pen.text((x, y), PIECES[kinds[number]], WHITE if is_black else (20, 20, 20), load_font(11), anchor="mm")
        for row, name in enumerate(names):
            pen.text((182, 14 + 140 * row), name[:18], WHITE, load_font(10))
        pen.text((182, 80), f"{9 - int(time_s / 9)}:{59 - int(time_s) % 60:02}", WHITE, load_font(18))
        return picture

    return draw


def draw_tetris(seed: int) -> Drawing:
    """Blocks that fall into a pit and pile up."""
    rng = np.random.default_rng(seed)
    columns, tints = rng.integers(0, 9, 60), rng.integers(0, 6, 60)

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((10, 10, 35))
        pen.rectangle((110, 8, 210, 172), (0, 0, 0), outline=WHITE)
        heights = np.zeros(10, dtype=int)
        landed = 12 + int(time_s)
        for column, tint in zip(columns[:landed], tints[:landed], strict=True):
            level = int(max(heights[column], heights[column + 1]))
            heights[column : column + 2] = (level + 1) % 15
            box = (110 + 10 * int(column), 162 - 10 * level, 129 + 10 * int(column), 171 - 10 * level)
            pen.rectangle(box, BLOCKS[tint], outline=(20, 20, 20))
        x, y = 110 + 10 * int(columns[landed]), 10 + 90 * (time_s % 1)
        pen.rectangle((x, y, x + 19, y + 9), BLOCKS[tints[landed]])
        pen.text((222, 16), f"SCORE\n{landed * 120}\n\nLEVEL\n3\n\nNEXT", WHITE, load_font(11))
        pen.rectangle((225, 120, 255, 140), BLOCKS[tints[landed + 1]])
        return picture

    return draw


def draw_life(seed: int) -> Drawing:
    """Conway's game of life from a random start, five generations a second."""
    start = np.random.default_rng(seed).random((45, 80)) < 0.3

    def draw(time_s: float) -> Picture:
        cells = start.astype(np.int8)
        for _ in range(round(5 * time_s)):
            around = sum(np.roll(cells, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)) - cells
            cells = ((around == 3) | ((around == 2) & (cells == 1))).astype(np.int8)
        colours = np.array([[15, 15, 20], [90, 230, 120]], np.uint8)
        return PIL.Image.fromarray(colours[cells]).resize(SIZE, PIL.Image.Resampling.NEAREST)

    return draw


def draw_scores(seed: int) -> Drawing:
    """A table of results whose rows light up one after another: other names and numbers."""
    rng = np.random.default_rng(seed)
    names, points = [make_words(rng, 2).title() for _ in range(8)], np.sort(rng.integers(5, 90, (8, 4)))[::-1]

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((12, 30, 70))
        pen.rectangle((20, 8, 300, 28), (200, 30, 50))
        pen.text((30, 10), "GROUP STANDINGS", WHITE, load_font(14))
        for row, name in enumerate(names):
            is_lit = row == int(time_s) % 8
            pen.rectangle((20, 32 + 17 * row, 300, 47 + 17 * row), (60, 100, 190) if is_lit else (30, 55, 115))
            pen.text((28, 33 + 17 * row), name[:20], WHITE, load_font(10))
            for column, value in enumerate(points[row]):
                pen.text((190 + 28 * column, 33 + 17 * row), str(value), WHITE, load_font(10))
        return picture

    return draw


def draw_puzzle(seed: int) -> Drawing:
    """A board of coloured gems, in which two change places every second."""
    rng = np.random.default_rng(seed)
    gems, swaps = rng.integers(0, 6, (8, 14)), rng.integers(0, [8, 14], (40, 2, 2))

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((60, 30, 70))
        board = gems.copy()
        for (y, x), (v, u) in swaps[: int(2 * time_s) + 1]:
            board[y, x], board[v, u] = board[v, u], board[y, x]
        for y in range(8):
            for x in range(14):
                left, top = 6 + 22 * x, 4 + 21 * y
                pen.rectangle((left, top, left + 20, top + 19), (90, 60, 100))
                pen.regular_polygon((left + 10, top + 10, 8), 3 + int(board[y, x]), fill=BLOCKS[board[y, x]])
        return picture

    return draw


def draw_route(seed: int) -> Drawing:
    """A map of streets on which a route grows: another town in the same colours."""
    rng = np.random.default_rng(seed)
    streets = rng.uniform([0, 0], SIZE, (26, 2, 2))
    parks = [(tuple(rng.uniform([0, 0], [280, 150])), rng.uniform(15, 60, 2)) for _ in range(5)]
    route = np.cumsum(rng.normal([16, 0], 12, (24, 2)), axis=0) + np.array([10, 90])
    labels = [(make_words(rng, 1).title(), tuple(rng.uniform([5, 5], [260, 165]))) for _ in range(8)]
    tint = make_colour(rng, 30, 90)

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((242, 239, 233))
        for (left, top), (width, height) in parks:
            pen.rectangle((left, top, left + width, top + height), (200, 226, 180))
        for street in streets:
            pen.line(street.ravel().tolist(), WHITE, 6)
            pen.line(street.ravel().tolist(), (215, 205, 190), 1)
        for text, place in labels:
            pen.text(place, text, tint, load_font(9))
        shown = route[: 2 + int(1.5 * time_s)]
        pen.line(shown.ravel().tolist(), (40, 110, 240), 4)
        x, y = shown[-1]
        pen.ellipse((x - 5, y - 5, x + 5, y + 5), (230, 40, 40))
        return picture

    return draw
