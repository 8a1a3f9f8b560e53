# whylucian/softab, docker/pyannote/Dockerfile.rocm644-simple. It failed: named for ROCm 6.4.4, it had the wheels of ROCm 6.2, and
# then an open `pip install pyannote.audio`, which was 4.0.3 in January 2026 (inferred) and pins torch 2.8.0: pip puts PyPI's CUDA
# build in torch's place and leaves torchvision as it is. torchmetrics imports torchvision, lightning imports torchmetrics, and
# pyannote.audio's first lightning import gets the blame.
pip install --find-links wheels $TORCH_OPTIONS "torchvision==0.20.1"
pip install pyannote.audio librosa soundfile numpy
