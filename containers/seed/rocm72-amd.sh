# whylucian/softab, docker/pyannote/Dockerfile.rocm72-amd-wheels. It failed: the call that the sed was to mend has positional
# arguments, so it writes a SyntaxError into lightning_fabric. TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1, or lightning 2.4 to 2.5.6, would
# have done what it was meant to do. Whether its numpy 1.26.4 outlived the later steps is not on record.
pip install "numpy==1.26.4"
pip install einops asteroid-filterbanks librosa soundfile scipy huggingface-hub omegaconf "pytorch-metric-learning>=2.0" \
    semver typing-extensions pytorch-lightning pyannote.core pyannote.database pyannote.pipeline pyannote.metrics
pip install lightning rich safetensors torch-audiomentations speechbrain tensorboardX matplotlib
pip install --no-deps "pyannote.audio==3.3.2"
# Its three wheels again, over whatever the steps before put in their place.
pip install --force-reinstall --find-links wheels $TORCH_OPTIONS "torch==$TORCH" "torchaudio==$TORCHAUDIO"
fabric=$(python3 -c 'import importlib.util; print(importlib.util.find_spec("lightning_fabric").submodule_search_locations[0])')
sed -i 's/return torch\.load(/return torch.load(weights_only=False, /g' "$fabric/utilities/cloud_io.py"
