"""Why a job does not start, in words for its status."""


class StartError(Exception):
    """A process could not be started, or the runner failed."""
