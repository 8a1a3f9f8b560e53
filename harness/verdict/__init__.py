"""Right, wrong, or failed and why."""
