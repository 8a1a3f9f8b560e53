# It failed: no torchaudio admits torch 2.7.0a0, so that pip tries one old release of everything after the other.
pip freeze | grep -E '^torch==' > torch.txt
timeout 1200 pip install --constraint torch.txt "pyannote.audio"
