#!/usr/bin/env bash
# Builds the wheel, installs it into an empty environment, and runs simulate, prepare, main and report
# from an empty folder: all that somebody has who has no checkout.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
venv="$folder/venv"
python="$venv/bin/python"
make_virtual_environment

say 'building the wheel'
# From a copy: where setuptools builds, it leaves a folder whose old files would go into the next wheel.
mkdir "$folder/source"
git -C "$root" ls-files -z | tar -C "$root" --null --files-from=- -c | tar -C "$folder/source" -x
"$python" -m pip wheel --disable-pip-version-check --quiet --no-deps --wheel-dir "$folder" "$folder/source"
rm -r "$folder/source"

say "installing $(basename "$folder"/*.whl)"
"$python" -m pip install --disable-pip-version-check --quiet \
    --constraint "$root/requirements.txt" "$folder"/*.whl
"$python" -m pip check

say 'running its commands from an empty folder'
mkdir "$folder/empty"
cd "$folder/empty"
unset PYTHONPATH
export PATH="$venv/bin:$PATH"
SECONDS=0
fer-jax simulate --dataset=jaffe --out=release --subjects=5
fer-jax prepare --dataset=jaffe --release=release --data_dir=data --faces=haar
fer-jax main --config=configs/jaffe_stn.py --data_dir=data --workdir=run \
    --config.train.epochs=1 --config.train.seeds=1
# What is finished is only read: the same config by its other name, by Python's own way of starting.
python -m fer_jax.main --config=jaffe_stn.py --data_dir=data --workdir=run \
    --config.train.epochs=1 --config.train.seeds=1 >again.txt
fer-jax report run --out=page
[ -s page/report.html ]
say "the wheel works: $SECONDS seconds for its commands"
