"""Benchmarks: ratios beside a baseline of the same run."""
