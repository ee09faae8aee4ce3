"""How long the property tests look: long enough to find what is wrong, short enough to run every time."""

from hypothesis import settings

settings.register_profile("unit", max_examples=120, deadline=None, database=None)
settings.load_profile("unit")
