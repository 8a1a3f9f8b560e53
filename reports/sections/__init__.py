"""The sections of the page: each makes the rows of one table or block."""
