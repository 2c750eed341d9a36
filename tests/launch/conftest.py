"""A machine without a cluster, and a pod of two hosts whose tools do what they are told."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[2] / 'launch'

# All that the scripts need of a machine; no program of a cluster, should this machine have one.
PROGRAMS = ('bash', 'cat', 'dirname', 'git', 'mktemp', 'rm')


@pytest.fixture(scope='session')
def call(tmp_path_factory):
    """Runs a script on a machine without SLURM and without Google's tools."""
    programs = tmp_path_factory.mktemp('programs')
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name))

    def run(script, *words, cwd=LAUNCH.parent, venv='/nowhere/venv'):
        return subprocess.run(
            ['bash', LAUNCH / script, *words],
            capture_output=True,
            text=True,
            cwd=cwd,
            env={'PATH': str(programs), 'FER_JAX_VENV': venv},
        )

    return run


# Two hosts and a bucket, folders beside the folder of this program, which does what it is told.
GCLOUD = """#!/usr/bin/env bash
place="$(dirname "$0")/.."
if [ "$1" = storage ]; then # rsync replaces what differs, newer or not
    from="${@: -2:1}" to="${@: -1}" way=upload
    [[ "$from" != gs:*/runs ]] || way=download
    [[ "$2" != ls ]] || way=list
    from="${from/gs:\\/\\/b/$place/bucket}" to="${to/gs:\\/\\/b/$place/bucket}"
    [[ "$from" != runs ]] || way=results
    if grep -qsx "$way" "$place/refused"; then
        [ "$way" != download ] || touch "$to/half"
        echo 'ERROR: (gcloud.storage) HTTPError 503' >&2
        exit 1
    fi
    case "$2" in
        ls)
            [ -z "$(ls -A "$to" 2>/dev/null)" ] || exit 0
            echo 'ERROR: (gcloud.storage.ls) One or more URLs matched no objects.' >&2
            exit 1
            ;;
        cp) mkdir -p "${to%/*}" && cp "$from" "$to" ;;
        rsync)
            [[ "$*" != *--delete-unmatched* ]] || rm -rf "$to"
            mkdir -p "$from" "$to"
            [ "$way" != results ] || echo begins >>"$place/copies"
            if [ "$way" = results ] && [ -f "$place/slow" ]; then
                rm "$place/slow"
                sleep 3
            fi
            without=()
            for word in "$@"; do
                [[ "$word" != --exclude=* ]] || without=(! -regex "${word#*=}")
            done
            [ ! -f "$place/cut" ] || without+=(! -path "$(cat "$place/cut")")
            to="$(realpath "$to")"
            (cd "$from" && find . -type f "${without[@]}" -exec cp --parents {} "$to" ';')
            [ ! -f "$place/cut" ] || exit 1
            [ ! -f "$place/meanwhile" ] || . "$place/meanwhile"
            [ "$way" != results ] || echo ends >>"$place/copies"
            ;;
    esac
    exit
fi
case " $* " in
    *' describe '*) [ ! -f "$place/state" ] || cat "$place/state" ;;
    *' create '*) printf '%s\\n' "$@" >"$place/created" ;;
    *' scp '*) for host in 0 1; do cp "$5" "$place/host-$host/fer_jax.tar.gz"; done ;;
    *' ssh '*)
        status=0 command="${@: -1}"
        for host in 0 1; do
            (cd "$place/host-$host" && HOSTNAME=t1v-n-w-$host bash -c "${command#--command=}") ||
                status=$?
        done
        exit "$status"
        ;;
esac
"""
# The environment's Python of a host: it trains by writing down what it was asked for.
PYTHON = """#!/usr/bin/env bash
case "$*" in
    *fer_jax.main*)
        printf '%s\\n' "$*" >>trained
        [ ! -e "$(dirname "$(readlink -f "$0")")/sleeps" ] || sleep 1
        cat runs/metrics.csv >found 2>/dev/null
        [ "$HOSTNAME" != t1v-n-w-0 ] || printf 'epoch 20\\n' >runs/metrics.csv
        ;;
esac
"""

# Debian's python3.11, there once apt-get was called.
PYTHON_3_11 = """#!/usr/bin/env bash
place="$(dirname "$0")/.."
[ -f "$place/installed" ] || exit 1
case "$*" in
    *print*) printf '3.11\\n' ;;
    '-m venv '*) mkdir -p "${@: -1}/bin" && cp "$place/programs/python" "${@: -1}/bin/python" ;;
esac
"""


@pytest.fixture
def pod(tmp_path):
    """Trains on a slice of two hosts that is there; returns what was done and its folder."""
    programs = {
        'gcloud': GCLOUD,
        'hostname': '#!/bin/sh\necho "$HOSTNAME"\n',
        'sleep': '#!/bin/sh\nexit 1\n',  # nothing is copied every five minutes
        'id': '#!/bin/sh\necho 0\n',
        'apt-get': f'#!/bin/sh\ncase "$*" in *install*) echo "$@" >{tmp_path}/installed ;; esac\n',
        'python': PYTHON,
        'python3.11': PYTHON_3_11,
        **dict.fromkeys(('python3', 'python3.12', 'python3.13'), '#!/bin/sh\nexit 1\n'),
    }
    (tmp_path / 'programs').mkdir()
    for name, text in programs.items():
        (tmp_path / 'programs' / name).write_text(text)
        (tmp_path / 'programs' / name).chmod(0o755)
    for host in ('host-0', 'host-1'):
        (tmp_path / host / 'fer_jax' / '.venv' / 'bin').mkdir(parents=True)
        (tmp_path / host / 'fer_jax' / '.venv' / 'bin' / 'python').symlink_to(
            tmp_path / 'programs' / 'python'
        )
    (tmp_path / 'bucket' / 'x' / 'runs').mkdir(parents=True)
    (tmp_path / 'bucket' / 'x' / 'runs' / 'metrics.csv').write_text('epoch 10\n')
    (tmp_path / 'state').write_text('READY\n')

    def run(*words):
        path = f'{tmp_path / "programs"}{os.pathsep}{os.environ["PATH"]}'
        environment = {'PATH': path, 'HOME': str(tmp_path)}
        return subprocess.run(
            ['bash', LAUNCH / 'tpu_pod.sh', *words],
            capture_output=True,
            text=True,
            env=environment,
        )

    return run, tmp_path
