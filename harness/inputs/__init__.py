"""What a launch reads: recordings, corpora and model files."""
