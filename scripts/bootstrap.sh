#!/bin/sh
# Make the virtual environment VENV with the interpreter PYTHON:  bootstrap.sh PYTHON VENV
# A bare Debian or Ubuntu has python3 and g++ but neither ensurepip (python3-venv) nor Python.h
# (python3-dev). Root gets them from apt; anyone else is told what to type.
set -eu
python=$1
venv=$2

die() {
  echo "fastnn: $*" >&2
  exit 1
}

lacks() { ! "$python" -c "$1" >/dev/null 2>&1; }

command -v "$python" >/dev/null || die "no interpreter '$python'. Pass another: make PYTHON=python3.12"
lacks 'import sys; assert sys.version_info >= (3, 10)' &&
  die "Python 3.10 or newer is needed, $python is $("$python" -V 2>&1). Pass another: make PYTHON=python3.12"

missing=
lacks 'import ensurepip, venv' && missing="$missing venv"
lacks 'import os, sysconfig; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))' &&
  missing="$missing dev"

packages=
if [ -n "$missing" ]; then
  # /usr/bin/python3.11 -> python3.11-venv; an interpreter from elsewhere is not apt's to mend.
  program=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
  case $program in
    /usr/bin/python3*) for part in $missing; do packages="$packages ${program##*/}-$part"; done ;;
    *) die "$program lacks:$missing (venv: the modules venv and ensurepip; dev: the header Python.h)." \
           "Install them, or pass another interpreter: make PYTHON=/usr/bin/python3" ;;
  esac
fi
command -v "${CXX:-g++}" >/dev/null || packages="$packages g++"

if [ -n "$packages" ]; then
  command -v apt-get >/dev/null || die "missing:$packages. Install them with this system's package manager."
  [ "$(id -u)" = 0 ] || die "missing:$packages. Type: sudo apt-get install$packages"
  echo "== apt-get install$packages"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086  # a list of words
  { apt-get -q update && apt-get -q install -y --no-install-recommends $packages; } </dev/null >&2 ||
    die "apt-get could not install:$packages"
fi

echo "== $venv: $("$python" -V)"
rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install -q --upgrade 'pip>=25.1' # the first that knows --group
