"""How every test runs: what hypothesis tries is the same in every run, and nothing is judged by how fast this machine is.

What tests count while they run is printed at the end; ``tests/support/counting.py`` says how a test takes part.
"""

from hypothesis import settings

pytest_plugins = ("tests.support.counting",)

settings.register_profile("gatehouse", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("gatehouse")
