"""Tests of the host that start no process and need no engine, no GPU, no network and no model."""
