"""Known failure signatures, and how a text is matched to one."""
