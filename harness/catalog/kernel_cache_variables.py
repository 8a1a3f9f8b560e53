"""The variables that lead each library's compiled kernels into one folder."""

from __future__ import annotations

FOLDERS = {
    # Find and performance databases, ~/.config/miopen by default, and compiled kernels, ~/.cache/miopen
    # (https://github.com/ROCm/MIOpen/issues/1295, https://rocm.docs.amd.com/projects/MIOpen/en/latest/cache.html).
    "MIOPEN_USER_DB_PATH": "miopen-databases",
    "MIOPEN_CUSTOM_CACHE_DIR": "miopen-kernels",
    # https://github.com/ROCm/llvm-project/blob/amd-staging/amd/comgr/README.md#caching
    "AMD_COMGR_CACHE_DIR": "comgr",
    # https://docs.pytorch.org/tutorials/recipes/torch_compile_caching_configuration_tutorial.html
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    # https://docs.nvidia.com/megatron-core/developer-guide/latest/apidocs/core/core.ssm.triton_cache_manager.html
    "TRITON_CACHE_DIR": "triton",
    # What torch compiles with NVRTC or hiprtc (pytorch, aten/src/ATen/native/cuda/jit_utils.cpp)
    "PYTORCH_KERNEL_CACHE_PATH": "torch-kernels",
    # https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables
    "CUDA_CACHE_PATH": "cuda",
}
"""Variable -> its folder inside. TORCH_HOME is left out: it holds weights, which are no kernels."""

SWITCHES = {"AMD_COMGR_CACHE": "1"}
"""On by default in recent ROCm, off in older: see comgr's README above."""


def environment(folder: str) -> dict[str, str]:
    """The variables that lead each library into ``folder``, a path as the guest sees it."""
    return {**{name: f"{folder}/{below}" for name, below in FOLDERS.items()}, **SWITCHES}
