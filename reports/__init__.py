"""Launches in, pages out. Imports records and statistics of the host, never an engine."""
