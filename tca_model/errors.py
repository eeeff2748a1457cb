"""Errors of what the model reads.

BundleError        a bundle is missing, damaged or of a format that this program does not read; says what to do
    WeightsError   the backbone's weights are missing, changed, or of another network
DecodeError        a file yields no (further) frames
TrainingError      a training run cannot start, continue or be saved; says what to change
"""

NOTHING_SHOWN = (
    "it shows nothing (black, flat, a title card), or nothing moves in it"  # why there is nothing to compare
)


class BundleError(Exception):
    """A bundle cannot be used."""


class WeightsError(BundleError):
    """A backbone's weights cannot be used."""


class DecodeError(Exception):
    """Why a file yields no (further) frames, in words for the person who uploaded it."""


class TrainingError(Exception):
    """A training run cannot start, continue or be saved."""
