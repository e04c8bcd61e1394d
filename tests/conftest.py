"""How every test runs: what hypothesis tries is the same in every run, and nothing is judged by how fast this machine is."""

from hypothesis import settings

settings.register_profile("gatehouse", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("gatehouse")
