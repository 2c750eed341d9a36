#!/usr/bin/env bash
# Writes a network of any family as ONNX:  bash launch/onnx.sh MODEL --out=DIR
#
# The arguments are those of fer_jax.export. jax2onnx translates the program that JAX traces. It pins
# an orbax that collides with ours and imports none, so it is installed without what it asks for,
# into an environment of its own: .venv-onnx, or where FER_JAX_ONNX_VENV points.
set -euo pipefail
FER_JAX_VENV="${FER_JAX_ONNX_VENV:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.venv-onnx}"
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

translator=(jax2onnx==0.17.1 equinox==0.13.8 jaxtyping==0.3.11 onnx-ir==1.1.0 wadler_lindig==0.1.8)
prepare_environment export
if [ "$(cat "$venv/installed-jax2onnx" 2>/dev/null)" != "${translator[*]}" ]; then
    say 'installing jax2onnx (once)'
    "$python" -m pip install --disable-pip-version-check --no-deps "${translator[@]}"
    # What these import of what they ask for.
    "$python" -m pip install --disable-pip-version-check --constraint "$root/requirements.txt" sympy
    printf '%s\n' "${translator[*]}" >"$venv/installed-jax2onnx"
fi
exec "$python" -m fer_jax.export --format=onnx "$@"
