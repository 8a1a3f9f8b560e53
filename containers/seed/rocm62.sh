# It worked: pyannote.audio 3.4.0 is pinned, torch 2.5.1 is older than the weights_only default, torch was not replaced,
# and there is no torchvision for torchmetrics to stumble over.
pip freeze | grep -E '^(torch|torchaudio)==' > torch.txt
pip install --constraint torch.txt "lightning==2.6.0" "pytorch-lightning==2.6.0" "numpy==2.2.6" "pyannote.audio==3.4.0"
