"""BENCHMARKS.md."""
