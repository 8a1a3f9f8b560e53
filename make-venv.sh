#!/bin/sh
# Makes a .venv with Python and pip in it, or leaves none and says why: `sh make-venv.sh python3`. The Makefile calls it
# before it installs anything.
#
# Half a .venv is worse than none. On a Debian or Ubuntu without python3-venv, `python3 -m venv` leaves one with Python and
# without pip. So do Ctrl-C and a killed pip, and an upgrade of the system's Python breaks a whole one. From then on each would
# fail with "No module named pip", so each is made anew. The Makefile writes .venv/host once everything is installed.
set -eu
python=$1

say() { printf 'strixbench: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

if [ -e .venv/host ] && .venv/bin/python -c 'import pip' 2>/dev/null; then
    exit 0
fi

command -v "$python" >/dev/null || die "$python is not to be found: install Python 3.11 or later, or set PYTHON="
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "strixbench needs Python 3.11 or later; set PYTHON=")'

if [ -e .venv ] || [ -L .venv ]; then
    say "the .venv here is not whole, as after an interrupted make or an upgrade of Python: it is made anew"
    rm -rf .venv
fi

# Python can import the empty folder that a removed package left, but it has no version.
if ! "$python" -c 'import ensurepip, venv; ensurepip.version()' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    say "$python cannot make a virtual environment: its module ensurepip or venv is missing"
    say "Debian and Ubuntu have it in a package of its own, also called python3-venv for their default Python:"
    say "  sudo apt update && sudo apt install $package"
    die "elsewhere set PYTHON= to a Python that has it; then run the same make again"
fi

"$python" -m venv .venv || {
    rm -rf .venv
    die "$python -m venv .venv failed, see above; nothing of it was left"
}
