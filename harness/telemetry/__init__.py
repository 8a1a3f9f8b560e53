"""The sampler's process, its start, its file and the names of its meters."""
