"""The plots: what is drawn, how it is labelled, and that t-SNE keeps neighbours near."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tca_model.evaluation import plots
from tca_model.types import FloatArray, Frame, Match, VideoDescriptor
from tests.vectors import unit_rows

pytest.importorskip("matplotlib")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The drawn figures, for inspection. They are not written; tests/cli/model/test_plot.py covers that."""
    drawn: list[Any] = []
    make = plots._figure

    def keep(width: float, height: float) -> Any:
        figure = make(width, height)
        monkeypatch.setattr(figure, "savefig", lambda path, **_: path.touch())
        drawn.append(figure)
        return figure

    monkeypatch.setattr(plots, "_figure", keep)
    return drawn


def clip(count: int, step_s: float = 1.0) -> list[Frame]:
    return [Frame(number * step_s, np.full((8, 8, 3), 20 * number, np.uint8)) for number in range(count)]


def even(heads: int, length: int) -> FloatArray:
    return np.full((heads, length, length), 1 / length, np.float32)


def legend_of(owner: Any) -> list[str]:
    return [text.get_text() for legend in owner.legends for text in legend.get_texts()]


def test_a_similarity_matrix_shows_seconds_and_intervals(tmp_path: Path, figures: list[Any]) -> None:
    query = VideoDescriptor(np.arange(3.0), unit_rows(0, 3, 8))
    reference = VideoDescriptor(np.arange(5.0) * 2, unit_rows(1, 5, 8))
    matches = [Match(0, 2, 4, 8, 0.9), Match(2, 3, 0, 2, 0.8)]
    plots.plot_similarity(query, reference, matches, tmp_path / "m.png", title="a x b")

    axes = figures[0].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("reference (s)", "query (s)", "a x b")
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines] == [
        ([4, 8], [0, 2]),
        ([0, 2], [2, 3]),
    ]
    np.testing.assert_allclose(axes.collections[0].get_array(), query.frames @ reference.frames.T, atol=1e-6)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["copied interval (2)"]
    assert (tmp_path / "m.png").exists()


def test_a_matrix_without_intervals_has_no_legend(tmp_path: Path, figures: list[Any]) -> None:
    video = VideoDescriptor(np.arange(2.0), unit_rows(0, 2, 4))
    plots.plot_similarity(video, video, [], tmp_path / "m.png", title="")
    assert figures[0].axes[0].get_legend() is None


@pytest.mark.integration  # importing scikit-learn takes seconds
def test_tsne_keeps_neighbours_near_and_is_reproducible() -> None:
    pytest.importorskip("sklearn")
    centres = unit_rows(2, 3, 16)
    segments = np.repeat(centres, 5, axis=0) + 0.05 * unit_rows(3, 15, 16)
    points = plots.flatten(segments)
    assert points.shape == (15, 2)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    own = np.arange(15) // 5
    assert (own[distances.argmin(axis=1)] == own).all()
    np.testing.assert_array_equal(points, plots.flatten(segments))


@pytest.mark.integration
@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_few_segments_are_an_error(count: int) -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match=f"t-SNE needs 5 segments or more, and there are {count}"):
        plots.flatten(np.ones((count, 3), np.float32))


def test_segments_are_coloured_and_named_by_group(tmp_path: Path, figures: list[Any]) -> None:
    points = unit_rows(4, 6, 2)
    groups = ["cat", "dog", "dog", "a name of a group that is longer than there is room for", "cat", "dog"]
    plots.plot_segments(points, groups, tmp_path / "s.png", title="six")

    axes = figures[0].axes[0]
    assert legend_of(figures[0]) == ["dog (3)", "cat (2)", "a name of a group that is longe… (1)"]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), points[[1, 2, 5]])
    assert len({tuple(dots.get_facecolor()[0]) for dots in axes.collections}) == 3
    assert "t-SNE" in axes.get_xlabel()


def test_groups_beyond_the_largest_are_grey(tmp_path: Path, figures: list[Any]) -> None:
    groups = [f"pair {n}" for n in range(22) for _ in range(2)] + [f"single {n}" for n in range(5)]
    plots.plot_segments(unit_rows(5, len(groups), 2), groups, tmp_path / "s.png", title="")
    legend = legend_of(figures[0])
    assert len(legend) == 21
    assert legend[-1] == "7 other groups (9)"
    looks = {(dots.get_paths()[0].vertices.shape, *dots.get_facecolor()[0]) for dots in figures[0].axes[0].collections}
    assert len(looks) == 21

    groups = ["pair", "pair", *(f"single {n}" for n in range(25))]
    plots.plot_segments(unit_rows(6, len(groups), 2), groups, tmp_path / "s.png", title="")
    assert legend_of(figures[1]) == ["pair (2)", "25 other groups (25)"]


def test_attention_is_drawn_in_multiples_of_an_even_share(tmp_path: Path, figures: list[Any]) -> None:
    weights = even(2, 4)
    weights[1] = 0
    weights[1, :, 3] = 1  # the second head looks at the last frame only
    plots.plot_attention(weights, clip(4, step_s=2.0), 16 / 9, tmp_path / "a.png", title="clip")

    thumbnails, matrix, _, received, _ = figures[0].axes[:5]
    np.testing.assert_allclose(matrix.images[0].get_array()[0], [0.5, 0.5, 0.5, 2.5])
    np.testing.assert_allclose(received.images[0].get_array(), [[1, 1, 1, 1], [0, 0, 0, 4]])
    assert [text.get_text() for text in matrix.get_xticklabels()] == ["0", "2", "4", "6"]
    assert [text.get_text() for text in matrix.get_yticklabels()] == ["0", "2", "4", "6"]
    assert [text.get_text() for text in received.get_yticklabels()] == ["1", "2"]
    insets = thumbnails.child_axes
    assert [inset.get_title() for inset in insets] == ["0 s", "2 s", "4 s", "6 s"]
    assert [int(inset.images[0].get_array()[0, 0, 0]) for inset in insets] == [0, 20, 40, 60]
    assert insets[0].get_aspect() == pytest.approx(9 / 16)  # square pixels of a squashed frame, drawn wide again


def test_a_long_clip_shows_some_frames_and_a_clip_of_one_frame_shows_it(tmp_path: Path, figures: list[Any]) -> None:
    plots.plot_attention(
        even(1, 64), [Frame(float(n), np.zeros((8, 8, 3), np.uint8)) for n in range(64)], 1, tmp_path / "a", title=""
    )
    assert len(figures[0].axes[0].child_axes) == plots.THUMBNAILS
    assert len(figures[0].axes[1].get_xticks()) <= plots.THUMBNAILS
    plots.plot_attention(even(1, 1), clip(1), 1, tmp_path / "b", title="")
    assert len(figures[1].axes[0].child_axes) == 1


def test_attention_of_another_clip_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are not those of 5 frames"):
        plots.plot_attention(even(2, 4), clip(5), 1, tmp_path / "a.png", title="")
