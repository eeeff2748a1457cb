"""Errors of what the model reads.

BundleError        a bundle is missing, damaged or of a format that this program does not read; says what to do
    WeightsError   the backbone's weights are missing, changed, or of another network
DecodeError        a file gives no frames, or no more of them
TrainingError      a training run cannot begin, go on or be kept; says what to change
"""


class BundleError(Exception):
    """A bundle cannot be used."""


class WeightsError(BundleError):
    """A backbone's weights cannot be used."""


class DecodeError(Exception):
    """Why a file gives no frames, or no more of them, in words for the person who uploaded it."""


class TrainingError(Exception):
    """A training run cannot begin, go on or be kept."""
