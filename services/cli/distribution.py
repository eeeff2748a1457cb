"""The distribution that users install: its name and version."""

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "tca-copydetect"


def find_version() -> str:
    """The version of the installed distribution, or a word for a checkout that is not installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "(not installed)"
