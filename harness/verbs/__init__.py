"""The verbs of the command line, by what they are about. `harness.cli` imports them all, which makes them known."""
