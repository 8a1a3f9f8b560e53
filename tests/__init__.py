"""The tests: `unit` starts no process, `guest` and `test_start` start small ones, `engines` runs real containers."""
