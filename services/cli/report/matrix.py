"""A similarity matrix as SVG: its picture, time axes, and the copied intervals as lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.cli.report.pictures import SCALE, Picture
from services.cli.results import clock
from services.contracts.events import CopiedInterval

LONGER_PX, SHORTER_PX = 290, 90  # sides of the plot; a much shorter side is drawn longer than to scale
LEFT_PX, TOP_PX, RIGHT_PX, BOTTOM_PX = 50, 20, 14, 34  # room for the axes
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The picture of a similarity matrix, and the durations of its sides."""

    picture: Picture
    query_s: float
    reference_s: float


def to_svg(matrix: Matrix, intervals: Sequence[CopiedInterval]) -> str:
    """The matrix as inline SVG, with the query from top to bottom and the reference from left to right."""
    longer_s = max(matrix.query_s, matrix.reference_s)
    height, width = (max(SHORTER_PX, LONGER_PX * s / longer_s) for s in (matrix.query_s, matrix.reference_s))
    by, bx = height / matrix.query_s, width / matrix.reference_s  # pixels per second

    def line(interval: CopiedInterval, kind: str) -> str:
        ends = (
            f'x{end}="{LEFT_PX + bx * reference_s:.1f}" y{end}="{TOP_PX + by * query_s:.1f}"'
            for end, query_s, reference_s in (
                (1, interval.query_start_s, interval.reference_start_s),
                (2, interval.query_end_s, interval.reference_end_s),
            )
        )
        return f'<line class="{kind}" {" ".join(ends)}/>'

    total_width, total_height = LEFT_PX + width + RIGHT_PX, TOP_PX + height + BOTTOM_PX
    place = f'x="{LEFT_PX}" y="{TOP_PX}" width="{width:.1f}" height="{height:.1f}"'
    return "".join(
        (
            f'<svg role="img" aria-label="Similarity matrix, query time by reference time" width="{total_width:.0f}" '
            f'height="{total_height:.0f}" viewBox="0 0 {total_width:.0f} {total_height:.0f}">',
            f'<rect class="ground" {place}/>',
            f'<image class="cells" {place} preserveAspectRatio="none" href="{matrix.picture.uri}"/>',
            *(line(interval, "edge") for interval in intervals),
            *(line(interval, "copied") for interval in intervals),
            *_reference_axis(matrix.reference_s, bx, TOP_PX + height),
            *_query_axis(matrix.query_s, by),
            f'<text x="{LEFT_PX}" y="12">query ↓</text>',
            f'<text x="{LEFT_PX + width:.1f}" y="{total_height - 4:.1f}" text-anchor="end">reference →</text>',
            "</svg>",
        )
    )


def render_legend() -> str:
    """The legend for the colours of all matrices, as HTML."""
    stops = "".join(
        f'<stop offset="{number / (len(SCALE) - 1):.3f}" stop-color="rgb{colour}"/>'
        for number, colour in enumerate(SCALE)
    )
    return (
        '<div class="legend"><span>Similarity of two frames: 0 <svg width="120" height="12" aria-hidden="true"><defs>'
        f'<linearGradient id="scale">{stops}</linearGradient></defs><rect width="120" height="12" rx="2" '
        'fill="url(#scale)"/></svg> 1</span><span><svg width="28" height="12" aria-hidden="true"><line class="copied" '
        'x1="3" y1="6" x2="25" y2="6"/></svg> copied interval</span><span><svg width="14" height="12" '
        'aria-hidden="true"><rect class="ground" width="14" height="12" rx="2"/></svg> no informative frame'
        "</span></div>"
    )


def ticks(duration_s: float, px_per_s: float, room_px: float) -> list[float]:
    """Round times starting at 0, at least `room_px` apart."""
    step = next((step for step in STEPS_S if step * px_per_s >= room_px), duration_s)
    return [number * step for number in range(int(duration_s / step) + 1)]


def _reference_axis(duration_s: float, px_per_s: float, y: float) -> Iterator[str]:
    for time_s in ticks(duration_s, px_per_s, 46):
        x = LEFT_PX + time_s * px_per_s
        yield f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{y + 4:.1f}"/>'
        yield f'<text x="{x:.1f}" y="{y + 15:.1f}" text-anchor="middle">{clock(time_s)}</text>'


def _query_axis(duration_s: float, px_per_s: float) -> Iterator[str]:
    for time_s in ticks(duration_s, px_per_s, 24):
        y = TOP_PX + time_s * px_per_s
        yield f'<line class="tick" x1="{LEFT_PX - 4}" x2="{LEFT_PX}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT_PX - 7}" y="{y + 4:.1f}" text-anchor="end">{clock(time_s)}</text>'
