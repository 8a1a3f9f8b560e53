"""Runs images: in Docker or Podman (`container`), or in a virtual environment on this host (`local`).

Only this package talks to an engine; it decides nothing.
"""
