# whylucian/softab, docker/pyannote/Dockerfile.rocm62-minimal. It worked: pyannote.audio 3.4.0 is pinned, torch 2.5.1 is older than
# the weights_only default and was not replaced, and there is no torchvision for torchmetrics to stumble over.
pip install einops asteroid-filterbanks librosa soundfile numpy scipy huggingface-hub omegaconf "pytorch-metric-learning>=2.0" \
    semver typing-extensions pytorch-lightning pyannote.core pyannote.database pyannote.pipeline pyannote.metrics
pip install "pyannote.audio==3.4.0"
