"""Which launches, in which order and until when; one campaign at a time, and recovery of killed ones."""
