# It worked too: nothing was held while pyannote.audio's dependencies came in, and torch was put back at the end.
pip install "lightning==2.6.0" "pytorch-lightning==2.6.0" "numpy==2.2.6" "pyannote.audio==3.4.0"
pip install --force-reinstall --no-deps --find-links wheels $TORCH_OPTIONS "torch==$TORCH" "torchaudio==$TORCHAUDIO"
