"""How far a copied interval stands out from its surroundings: what distinguishes a copy from a look-alike.

Two takes of one scene, two faces before one wall or two pages of one template are as similar as copies are, but at any
time to any other: their similarity matrix is flat. In a copy, what is shown at one time is most similar to what the
original shows then. Copies of pictures that hardly move have little contrast, too, but they are nearly identical.
"""

import numpy as np

from tca_model.types import TYPICAL_CONTRAST, FloatArray, Match, Times

AWAY_S = 2.0  # frames closer together show nearly the same
QUANTILE = 0.8  # of the similarities away from the interval's line: some pictures return
# The room above the surroundings is never smaller than this, so that noise in still pictures is no contrast.
LEAST_ROOM = 0.05
ENOUGH_CONTRAST = 0.15  # more says no more, and would lift similarity that is worth little: textures return


def measure_contrast(similarity: FloatArray, query_times: Times, reference_times: Times, match: Match) -> float:
    """Contrast of a match in the matrix (Tq, Tr) that it was found in: 1 if only its line is similar, 0 if all is.

        contrast = (s - b) / (1 + LEAST_ROOM - b)

    with s the similarity of the match and b that of its frames at other times of the match: for each frame of its line
    the QUANTILE of its row and column, AWAY_S or more away on both sides, and the mean of those. It can be negative.
    TYPICAL_CONTRAST if no frame is that far away.
    """
    inside = np.flatnonzero((query_times >= match.query_start_s) & (query_times < match.query_end_s))
    speed = (match.reference_end_s - match.reference_start_s) / (match.query_end_s - match.query_start_s)
    line_s = match.reference_start_s + (query_times[inside] - match.query_start_s) * speed
    after = np.searchsorted(reference_times, line_s).clip(1, max(len(reference_times) - 1, 1))
    before_s, after_s = reference_times[after - 1], reference_times[np.minimum(after, len(reference_times) - 1)]
    places = np.where(line_s - before_s <= after_s - line_s, after - 1, np.minimum(after, len(reference_times) - 1))
    block = similarity[np.ix_(inside, places)].astype(np.float64)
    is_away = (_distances(query_times[inside]) >= AWAY_S) & (_distances(reference_times[places]) >= AWAY_S)
    block[~is_away] = np.nan
    around = np.concatenate([block, block.T], axis=1)[is_away.any(axis=1)]
    if not around.size:
        return TYPICAL_CONTRAST
    background = float(np.nanquantile(around, QUANTILE, axis=1).mean())
    return (match.similarity - background) / (1 + LEAST_ROOM - background)


def _distances(times: Times) -> Times:
    distances: Times = np.abs(times[:, np.newaxis] - times)
    return distances
