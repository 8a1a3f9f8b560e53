"""What can be run, as data."""
