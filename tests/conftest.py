"""What all tests share; the fixtures themselves are in support.fixtures."""

import signal

from hypothesis import HealthCheck, settings
from support.fixtures import biofuse, in_front, made, module_biofuse, placer, s3, web

__all__ = ["biofuse", "in_front", "made", "module_biofuse", "placer", "s3", "web"]

settings.register_profile(
    "biofuse",
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("biofuse")

# A shell ignores it for what it starts in the background, and children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
