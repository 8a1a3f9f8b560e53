"""Run at the end of every build, by the Python of the environment that was built.

Asserts that torch is the one that the build began with, and of the family that the image claims; takes out what cannot
work beside it. Usage: ``finish.py FAMILY TORCH_VERSION``.
"""

import glob
import importlib.util
import os
import sys


def main(family, version):
    import torch

    if torch.__version__.split("+")[0] != version.split("+")[0]:
        sys.exit(f"torch {torch.__version__} is installed; the build began with {version}")
    if family == "cpu" and (torch.version.cuda or torch.version.hip):
        sys.exit(f"torch {torch.__version__} is a GPU build in a CPU image: name a CPU wheel index in torch_index")
    if family in ("rocm", "therock") and not torch.version.hip:
        sys.exit(f"torch {torch.__version__} has no HIP in a {family} image")
    if family == "cuda" and not torch.version.cuda:
        sys.exit(f"torch {torch.__version__} has no CUDA in a cuda image")
    if family == "cpu":
        drop_torchaudio_extension()


def drop_torchaudio_extension():
    """Take out torchaudio's compiled part where it does not load beside this torch.

    The default index's torchaudio is linked against CUDA. torchaudio itself takes a missing extension for a
    pure-Python build, which is all that pyannote.audio needs; a present one that does not load is an ImportError.
    """
    specification = importlib.util.find_spec("torchaudio")
    if specification is None or not specification.submodule_search_locations:
        return
    try:
        import torchaudio  # noqa: F401
    except OSError as error:
        print(f"torchaudio's extension is taken out: {error}")
        for folder in specification.submodule_search_locations:
            for library in glob.glob(os.path.join(folder, "lib", "*.so")):
                os.remove(library)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
