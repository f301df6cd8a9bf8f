#!/usr/bin/env bash
# Resolves both requirement files for every supported Python and platform; hashes, and no index lines.
set -euo pipefail
for name in requirements requirements-dev; do
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url "$name.in" -o "$name.lock" "$@"
done
