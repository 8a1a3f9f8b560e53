"""Which launches there are, in which order and until when; one campaign at a time, and recovery from killed ones."""
