"""What a loader's refusal says: whose library it is, who asked for it, whether it is absent or not found, and what to do. Pure.

A list of names can never be complete, so a library is judged by its family (``families.toml``) and the rest is read from the text.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec

from harness.records.outcome import ExceptionRecord

Words = tuple[str, str]
"""An explanation and a fix."""

_LIBRARY = r"lib[\w+.-]{1,80}?\.so(?:\.\d{1,9}){0,4}"
_CANNOT_OPEN = re.compile(rf"({_LIBRARY})(?:'?: cannot open shared object file|'? not found|\.? Error)")
_REFUSED = re.compile(rf"({_LIBRARY}): cannot open shared object file")
_ONE_OF = re.compile(rf"Unable to load any of \{{({_LIBRARY})")
_COULD_NOT = re.compile(rf"(?:Could not load(?: dynamic)? library|Library) '?(?:[^\s'\n]{{1,200}}/)?({_LIBRARY})")
_PROGRAM = re.compile(r"(\S{1,200}): error while loading shared libraries")
_SYMBOL = re.compile(r"undefined symbol: (\w{1,300})(?:, version (\S{1,60}))?|Cannot load symbol (\w{1,100})")
_VERSION_TAG = re.compile(r"version [`'\"‘]([\w.+-]{1,60})['’\"] not found(?: \(required by ([^)\n]{1,300})\))?")
_EXECUTABLE_STACK = re.compile(rf"({_LIBRARY}|[\w.+-]{{1,120}}\.so): cannot enable executable stack")
_FILE_WITH = re.compile(r"(/[^\s:'\"]{1,300}\.so[.\d]{0,16}): (?:undefined symbol|version|symbol lookup|cannot enable)")
_PACKAGE = re.compile(r"(?:site|dist)-packages[/\\]([A-Za-z_]\w{0,60})(?:[./\\]|$)")
_SDK_IS_HERE = re.compile(r"_rocm_sdk_\w{1,40}|rocm-sdk-(?:core|libraries)|rocm\[libraries|\brocm_sdk\b")
_OTHER_ROCM = re.compile(r"/opt/rocm\S{0,40}")
_GFX = re.compile(r"\bgfx(1[0-9]{3}|9[0-9a-f]{2})\b")


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose a library, a symbol or a version tag is; the head of ``families.toml`` says what each field means."""

    name: str
    brings: str
    absent: str
    other: str
    libraries: str
    symbols: str = ""
    tags: str = ""


@cache
def families() -> tuple[Family, ...]:
    """All families, in the file's order."""
    table = tomllib.loads((Path(__file__).parent / "families.toml").read_text(encoding="utf-8"))
    return tuple(msgspec.convert(each, Family) for each in table["family"])


def family_of_library(name: str) -> Family | None:
    """Whose a shared object is: ``libMIOpen.so.1``; ``None``: no family has such names."""
    bare = name.rsplit("/", 1)[-1].removeprefix("lib")
    return next((each for each in families() if re.match(each.libraries, bare)), None)


def family_of_symbol(symbol: str, file: str = "") -> Family | None:
    """Whose a symbol is. NCCL's names are RCCL's too: the file that asks decides."""
    found = next((each for each in families() if each.symbols and re.search(each.symbols, symbol)), None)
    if found is not None and "nccl" in symbol.lower() and re.search(r"libtorch_cuda|c10_cuda|_C_cuda|nvidia", file):
        return family_of_library("libnccl.so.2")
    return found


def family_of_tag(tag: str) -> Family | None:
    """Whose a version tag is: ``GLIBCXX_3.4.32``."""
    return next((each for each in families() if each.tags and re.search(each.tags, tag)), None)


def asker_in(text: str, link: ExceptionRecord | None) -> str:
    """Who asked for a library: the file or program of the loader's own words, or the package of the deepest frame; or empty."""
    if found := _FILE_WITH.search(text):
        package = _PACKAGE.search(found[1])
        file = found[1].rsplit("/", 1)[-1]
        return f"{package[1]} ({file})" if package else file
    if found := _PROGRAM.search(text):
        return found[1].rsplit("/", 1)[-1]
    frames = f"{link.traceback}\n{link.where}" if link else ""
    packages = [each for each in _PACKAGE.findall(frames) if each not in ("importlib", "ctypes", "pyannote")]
    return packages[-1] if packages else ""


def missing_library(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """A shared object that cannot be opened."""
    said = (
        _ONE_OF.search(text)
        or _REFUSED.search(found)
        or _CANNOT_OPEN.search(found)
        or _COULD_NOT.search(found)
        or _CANNOT_OPEN.search(text)
    )
    if said is None:
        return None
    library = said[1]
    family, asker = family_of_library(library), asker_in(found, link) or _asker_of_one(library)
    who = asker or "the program"
    if family is None:
        return (
            f"{who} needs {library}, which the loader finds in none of its folders",
            f"`find / -name '{_stem(library)}*'` tells whether it is here: if so, its folder is missing on LD_LIBRARY_PATH; "
            "if not, install the package that brings it",
        )
    if "ROCm" in family.name and _SDK_IS_HERE.search(text):
        gfx = _GFX.search(text)
        folder = f"_rocm_sdk_libraries_{gfx[0] if gfx else 'gfx1151'}"
        return (
            f"{who} needs {library} ({family.name}), and the rocm-sdk packages beside it have it: it is installed and not found, since "
            "this torch does not preload them",
            f"put site-packages/{folder}/lib and site-packages/_rocm_sdk_core/lib on LD_LIBRARY_PATH, or take torch from the index and "
            "of the date of the rocm-sdk packages, which preloads them",
        )
    where = _found_elsewhere(library, text)
    if where:
        return (
            f"{who} needs {library} of {family.name}: it is here, in {where}, where the loader does not look",
            f"put {where} on LD_LIBRARY_PATH (or into /etc/ld.so.conf.d, with ldconfig)",
        )
    state = (
        "another release of it is here, or none" if family.name == "cuDNN" else "it is not there, or not where the loader looks"
    )
    if library.startswith("librocm_sysdeps_"):
        return None
    if "TheRock" in family.name:
        return (
            f"{who if asker else 'this torch'} needs {library}, which is in the rocm-sdk packages and not in the list of libraries that "
            "torch preloads from them: a nightly whose parts are out of step",
            family.absent,
        )
    return (
        f"{who} needs {library} ({family.name}, from {family.brings}): {state}"
        + (f"; its name says release {version}" if (version := _release(library, family)) else ""),
        family.absent,
    )


def undefined_symbol(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """A symbol that a library lacks: another release of it was found than the one that was linked."""
    said = _SYMBOL.search(found) or _SYMBOL.search(text)
    if said is None:
        return None
    symbol, version = said[1] or said[3], said[2] or ""
    file = f.group(1) if (f := _FILE_WITH.search(found) or _FILE_WITH.search(text)) else ""
    family = family_of_symbol(symbol, file) or (family_of_library(version) if version else None)
    who = asker_in(found, link) or "a compiled package"
    if family is None:
        return (
            f"{who} was linked with a library that has {symbol}, and another release of it is loaded here",
            f"install {who.split(' ')[0] if who != 'a compiled package' else 'it'} and what it depends on from one index, in one step; "
            "no other release of the library on the library path",
        )
    elsewhere = _OTHER_ROCM.search(text) if "ROCm" in family.name else None
    return (
        f"{who} was built for another release of {family.name} than the one that the loader finds: {symbol} is not in that"
        + (f" ({elsewhere[0]} is named in the text)" if elsewhere else ""),
        family.other,
    )


def version_tag(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """A version tag that a library lacks: it is older than the one that was linked."""
    said = _VERSION_TAG.search(found) or _VERSION_TAG.search(text)
    if said is None:
        return None
    tag, family = said[1], family_of_tag(said[1])
    who = said[2].rsplit("/", 1)[-1] if said[2] else asker_in(found, link) or "a compiled package"
    name = family.name if family else "that library"
    return (
        f"{who} needs {tag}, and the {name} that is loaded is older: present, and not new enough"
        if not name.startswith("the ")
        else f"{who} needs {tag}, and {name} that is loaded is older: present, and not new enough",
        family.other if family else "a newer release of that library, or a build of the asker for the one that is here",
    )


def executable_stack(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """A library that asks for an executable stack, which the C library or the kernel refuses."""
    said = _EXECUTABLE_STACK.search(found) or _EXECUTABLE_STACK.search(text)
    if said is None:
        return None
    library = said[1]
    who = re.split(r"[-.]", library.removeprefix("lib"), maxsplit=1)[0] or library
    newer = "ctranslate2>=4.6" if who == "ctranslate2" else f"a newer release of {who}, built without it"
    return (
        f"{library} asks for an executable stack, and glibc 2.41 and later (or the kernel) refuse to load such a library",
        f"{newer}; or `patchelf --clear-execstack` on that file; an image with an older glibc loads it too",
    )


RULES: dict[str, Callable[[str, str, ExceptionRecord | None], Words | None]] = {
    "library": missing_library,
    "symbol": undefined_symbol,
    "version tag": version_tag,
    "executable stack": executable_stack,
}
"""By the name of a signature's rule: what was found, the whole text, the exception -> words; ``None``: nothing to add."""


def _stem(library: str) -> str:
    return library.split(".so", 1)[0] + ".so"


def _found_elsewhere(library: str, text: str) -> str:
    """The folder in which the text itself shows the library; empty: nowhere."""
    found = re.search(rf"(/[^\s:'\"]{{1,200}})/{re.escape(_stem(library))}[.\d]{{0,16}}(?![\w.]*: cannot)", text)
    return found[1] if found else ""


def _asker_of_one(library: str) -> str:
    """Who asked where the text does not say: ctranslate2 alone opens cuDNN's parts by these names."""
    return "ctranslate2 (or whoever else loads cuDNN by itself)" if library.startswith("libcudnn_") else ""


def _release(library: str, family: Family) -> str:
    """Which release of the family a library's number stands for; empty: the number says nothing."""
    major = re.search(r"\.so\.(\d{1,3})", library)
    if major is None:
        return ""
    if library.startswith(("libamdhip64", "libhiprtc")) and int(major[1]) >= 5:
        return f"{major[1]} of ROCm"
    return f"{major[1]} of {family.name}" if family.name in ("cuDNN", "CUDA") and int(major[1]) >= 8 else ""
