#!/bin/sh -e
# kuryr.lock -> OUT (default ./out): what goes to /opt/kuryr of a host. PYTHON: one that has pip.
# The last step (byte code) must be done by the hosts' own Python: ROOT, a forky root, if given.
cd "$(dirname "$0")"; out=$(realpath -m "${1:-out}"); rm -rf "$out"; mkdir -p "$out"
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes \
    --only-binary=:all: --python-version 3.14 --implementation cp --abi cp314 --abi none \
    --platform manylinux2014_x86_64 --platform manylinux1_x86_64 --target "$out/site" -r kuryr.lock
cd "$out/site"
mv libexec "$out/libexec"; chmod +x "$out"/libexec/kuryr/*
rm -rf bin include wrapt-stubs
# Every compiled module in these wheels only speeds up a Python one that is there too.
find . \( -name '*.so' -o -name '*.pyi' \) -delete
find . -type d \( -name tests -o -name locale \) -prune -exec rm -rf {} +
rm -f netaddr/eui/*.txt netaddr/eui/*.idx
if [ -n "$ROOT" ]; then
    mkdir -p "$ROOT/tmp/kuryr" && mv "$out/site" "$ROOT/tmp/kuryr/site"
    chroot "$ROOT" python3 -m compileall -q -b --invalidation-mode unchecked-hash /tmp/kuryr/site
    mv "$ROOT/tmp/kuryr/site" "$out/site"
    cd "$out/site"
    find . -name '*.py' ! -path './kuryr*' -delete        # kuryr's own source stays to be read
    find ./kuryr* -name '*.pyc' -delete
fi
