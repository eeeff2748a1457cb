"""Errors of model files.

BundleError        a bundle is missing, damaged or of a format that this program does not read
    WeightsError   the backbone's weights are missing, changed, or of another network

Each says what to do.
"""


class BundleError(Exception):
    """A bundle cannot be used."""


class WeightsError(BundleError):
    """A backbone's weights cannot be used."""
