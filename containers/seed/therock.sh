# whylucian/softab, docker/pyannote/Dockerfile.therock-simple. It failed: no torchaudio admits torch 2.7.0a0, so that pip tries one
# old release of everything after the other. The limit of time is ours.
pip install "numpy<2.0"
pip freeze | grep -E '^torch==' > torch.txt
timeout 1200 pip install --constraint torch.txt pyannote.audio librosa soundfile
