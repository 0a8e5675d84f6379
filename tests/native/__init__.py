"""Tests of the C kernels: through the binding, under sanitizers, and fuzzed."""
