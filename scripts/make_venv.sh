#!/bin/sh
# Makes the virtual environment FOLDER with a Python >= 3.11 and pip in it: make_venv.sh FOLDER
# The interpreter is $PYTHON where that is set, else the first new enough one on PATH.
# Writes inside FOLDER only; where Debian's Python came without its venv package and we are root, apt adds that package.
set -eu

folder=${1:?usage: make_venv.sh FOLDER}

fail() {
    printf 'make_venv: %s\n' "$1" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

has_pip() {
    "$folder/bin/python" -m pip --version >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11 or newer; name one that is."
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if is_new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "Backstay needs Python 3.11 or newer, and none is on PATH; install one, or name it: make PYTHON=/path/to/python3."
}

can_make_whole_venv() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

# Debian keeps ensurepip in a package of its own, named after the interpreter's version.
install_debian_venv() {
    case $(command -v "$1") in /usr/bin/*) ;; *) return 0 ;; esac
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    echo "make_venv: installing $package with apt"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$package"; } </dev/null >/dev/null 2>&1 || true
}

# Without ensurepip the environment is made bare, and any pip there is puts pip into it.
make_without_ensurepip() {
    if "$1" -m venv --clear --without-pip "$folder" 2>/dev/null; then
        packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
        "$1" -m pip install --quiet --target "$packages" pip 2>/dev/null && return
    fi
    if command -v virtualenv >/dev/null; then
        virtualenv --quiet --python "$1" "$folder" && return
    fi
    if command -v uv >/dev/null; then
        uv venv --quiet --clear --seed --python "$1" "$folder" && return
    fi
    fail "$1 can make no virtual environment: it has neither ensurepip nor pip; install its venv package (Debian: apt-get install python3-venv)."
}

if [ -x "$folder/bin/python" ] && is_new_enough "$folder/bin/python" && has_pip; then
    exit 0
fi

python=$(find_python)
can_make_whole_venv "$python" || install_debian_venv "$python"
if can_make_whole_venv "$python"; then
    "$python" -m venv --clear "$folder"
else
    make_without_ensurepip "$python"
fi
has_pip || fail "the virtual environment $folder was made without a pip that works; remove it and try again."
