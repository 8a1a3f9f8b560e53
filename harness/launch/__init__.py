"""One launch: plan, run, record."""
