"""How every test runs: what hypothesis tries is the same in every run, and nothing is judged by how fast this machine is.

How much hypothesis tries is a profile: ``dev`` here, ``ci`` where ``CI=true``, or what
``HYPOTHESIS_PROFILE`` names. ``tests/support/tries.py`` fits a test's own number to it.

What tests count while they run is printed at the end; ``tests/support/counting.py`` says how a test takes part.
"""

import os
import tempfile

from hypothesis import settings

from tests.support.tries import PROFILES

pytest_plugins = ("tests.support.counting",)

_STATE_HOME = tempfile.TemporaryDirectory(prefix="gatehouse-state-")
# What a deployment keeps outside its folder must not stay in the home of who runs the tests.
os.environ["XDG_STATE_HOME"] = _STATE_HOME.name

for name, examples in PROFILES.items():
    settings.register_profile(name, deadline=None, derandomize=True, print_blob=True, max_examples=examples)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "dev"))
