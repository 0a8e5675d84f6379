"""Benchmarks of biofuse: its stores, its measurements, its report."""
