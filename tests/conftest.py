"""Settings of all tests: generated examples are the same in every run, unless fuzzing is asked for; Ctrl-C is heard.

`HYPOTHESIS_PROFILE=fuzz python -m pytest …` looks for new examples that break something.
"""

from __future__ import annotations

import os
import signal

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("fuzz", deadline=None, max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # so a shell starts what it runs in the background, and all its children
    signal.signal(signal.SIGINT, signal.default_int_handler)
