"""This host, read from files."""
