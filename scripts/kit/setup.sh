#!/bin/sh
# Sets the course up in a folder (without a word: ~/wire-by-wire) from this kit; no network is used.
set -e
kit=$(cd "$(dirname "$0")" && pwd)
target=${1:-$HOME/wire-by-wire}
fail() {
    echo "$1" >&2
    exit 1
}
[ ! -e "$target" ] || fail "$target is there already. Name another folder: sh $0 FOLDER"

damaged=$(cd "$kit" && sha256sum --check --quiet SHA256SUMS 2> /dev/null) ||
    fail "This kit is damaged (${damaged:-SHA256SUMS is missing}). Copy and unpack it again."

python=
for name in python3 python3.13 python3.12 python3.11; do
    version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null) || continue
    [ -d "$kit/wheels/$version" ] && python=$name && break
done
[ -n "$python" ] || fail "This kit has packages for Python $(cd "$kit/wheels" && echo *) only. Install one of them."

missing=
for needed in qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils mke2fs:e2fsprogs make:make; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${needed%%:*}" > /dev/null || missing="$missing ${needed#*:}"
done
"$python" -c 'import ensurepip' 2> /dev/null || missing="$missing python3-venv"
[ -z "$missing" ] || fail "Please install first:$missing (these are Debian's names)."

# shellcheck disable=SC2154 # the trap itself sets status
trap 'status=$?; [ $status = 0 ] || rm -rf "$target"; exit $status' EXIT
trap 'exit 130' INT TERM
mkdir -p "$target"
cp -R "$kit/course/." "$target"
echo "Installing the Python packages"
cd "$target"
export WIRE_BY_WIRE_HOSTS="$kit/hosts" SANDBOX_ENGINE=vm
# pip takes a space there for the end of a name, but not one in an address.
wheels=$("$python" -c 'import pathlib, sys; print(pathlib.Path(sys.argv[1]).as_uri())' \
    "$kit/wheels/$version")
PIP_NO_INDEX=1 PIP_FIND_LINKS=$wheels make --silent PYTHON="$python" .venv/ready
.venv/bin/python scripts/trust.py --new
.venv/bin/python -m sandbox build
echo "The course is in $target. Open it there with: make lab"
