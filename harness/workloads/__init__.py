"""The host's half of each thing that can be run."""
