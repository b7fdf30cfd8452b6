"""Settings of the property tests."""

from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("tape", deadline=None)
settings.load_profile("tape")
