#!/bin/sh
# Installs Backstay, editable, into the virtual environment FOLDER: install.sh FOLDER [EXTRA]
# EXTRA is a list of optional dependencies of pyproject.toml, such as dev. Everything comes as wheels: no compiler is needed.
set -eu

folder=${1:?usage: install.sh FOLDER [EXTRA]}
extra=${2:-}

echo "installing Backstay${extra:+ with what its $extra needs} into $folder"
"$folder/bin/python" -m pip install -qq --disable-pip-version-check --prefer-binary --editable ".${extra:+[$extra]}"
