"""Numbers of stored launches. Pure; nothing is rendered here."""
