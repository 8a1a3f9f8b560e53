# Inferred: the first table names pyannote-rocm62-working, and its repository has no recipe of that name. This is the nearest,
# whylucian/softab, docker/pyannote/Dockerfile.whisperx-rocm62-working, without WhisperX itself, which comes from a moving branch:
# matplotlib, which pyannote.audio 3.3.2 imports and does not ask for, is what came along with it (inferred).
# It worked too: what its dependencies did to torch was undone at the end.
pip install einops asteroid-filterbanks librosa soundfile numpy scipy huggingface-hub omegaconf "pytorch-metric-learning>=2.0" \
    semver typing-extensions pytorch-lightning pyannote.core pyannote.database pyannote.pipeline pyannote.metrics
pip install "pyannote.audio==3.3.2"
pip install faster-whisper ctranslate2 transformers nltk matplotlib
pip install --force-reinstall --find-links wheels $TORCH_OPTIONS "torch==$TORCH" "torchaudio==$TORCHAUDIO"
