#!/usr/bin/env bash
# Trains and evaluates a reduced C3D on simulated faces, from nothing to a report, on a laptop.
# Arguments go to fer_jax.main:  bash launch/demo.sh --config.train.epochs=2
# It runs in the checkout: paths are those from there.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment core
cd "$root"
say 'training on simulated CK+ (configs/ckplus_c3d.py:simulated)'
exec "$python" -m fer_jax.main --config=configs/ckplus_c3d.py:simulated "$@"
