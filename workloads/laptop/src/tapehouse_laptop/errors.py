"""What goes wrong on a laptop, in words for the person in front of it."""


class LaptopError(Exception):
    """Something about this machine must change first; the message says what and how."""
