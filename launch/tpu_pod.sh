#!/usr/bin/env bash
# Trains on a TPU slice of Google Cloud, one process on each of its hosts.
#
#   bash launch/tpu_pod.sh --name=fer --zone=us-central1-a --type=v5litepod-16 \
#       --bucket=gs://my-bucket/fer_jax --version=v2-alpha-tpuv5-lite [--spot] [--dry_run] -- \
#       MAIN FLAGS ...
#
# Makes the slice where it is not there, copies this checkout (all that git tracks) to its hosts,
# installs, trains, and leaves the slice running (the last line says how to delete it).
# BUCKET/prepared holds the prepared data (copy your --data_dir there first); runs are copied to
# BUCKET/runs every five minutes and at the end, and taken from there at the start where the first
# host has none: the same command after a preemption makes the slice anew and goes on. Give no two
# slices the same BUCKET. --version is the hosts' image, which Google's documentation names for
# each type (default tpu-ubuntu2204-base, of v4 and older); where its Python is older than 3.11,
# Debian's python3.11 is installed. --dry_run prints the commands and runs none.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

usage='see the first lines of launch/tpu_pod.sh'
name='' zone='' type='' bucket='' version='tpu-ubuntu2204-base' spot=() dry_run=''
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case "$1" in
        --name=*) name="${1#*=}" ;;
        --zone=*) zone="${1#*=}" ;;
        --type=*) type="${1#*=}" ;;
        --bucket=*) bucket="${1#*=}" ;;
        --version=*) version="${1#*=}" ;;
        --spot) spot=(--spot) ;;
        --dry_run) dry_run=1 ;;
        *) fail "'$1' is no option; what fer_jax.main takes comes after '--': $usage" ;;
    esac
    shift
done
[ "${1:-}" = -- ] && shift
[ $# -gt 0 ] || fail "after '--' come the flags of fer_jax.main, --config first: $usage"
for option in name zone type bucket; do
    [ -n "${!option}" ] || fail "--$option is missing: $usage"
done
for word in "$@"; do
    case "$word" in
        --workdir=runs/* | -workdir=runs/*) ;;
        --workdir* | -workdir*) fail "'$word': give --workdir=runs/NAME; the bucket gets runs/ alone" ;;
    esac
done
# It goes to a shell of the hosts.
[[ "$bucket" =~ ^gs://[A-Za-z0-9._/=-]+$ ]] ||
    fail "--bucket is '$bucket': give gs://BUCKET or a folder in one"

tpu=(gcloud compute tpus tpu-vm)
where=("$name" "--zone=$zone")

# Runs a command here, or prints it.
run() {
    if [ -n "$dry_run" ]; then
        printf '%q ' "$@"
        printf '\n'
    else
        "$@"
    fi
}

# Runs a command on all hosts of the slice, in the copy of the checkout.
on_hosts() {
    run "${tpu[@]}" ssh "${where[@]}" --worker=all --command="cd fer_jax || exit; $1"
}

if [ -z "$dry_run" ]; then
    command -v gcloud >/dev/null || fail 'there is no gcloud here: install the Google Cloud CLI, or give --dry_run'
    state="$("${tpu[@]}" describe "${where[@]}" --format='value(state)' 2>/dev/null || true)"
    if [ "$state" = PREEMPTED ] || [ "$state" = TERMINATED ]; then
        say "$name was preempted: making it anew"
        run "${tpu[@]}" delete "${where[@]}" --quiet
        state=''
    fi
else
    state=''
fi
if [ -z "$state" ]; then
    run "${tpu[@]}" create "${where[@]}" "--accelerator-type=$type" "--version=$version" "${spot[@]}"
fi

archive="$(mktemp --suffix=.tar.gz)"
trap 'rm -f "$archive"' EXIT
# What is not committed yet goes along: a commit of it on no branch; none where nothing differs.
commit="$(git -C "$root" stash create)"
run git -C "$root" archive --output="$archive" "${commit:-HEAD}"
run "${tpu[@]}" scp "$archive" "$name:fer_jax.tar.gz" "--zone=$zone" --worker=all
run "${tpu[@]}" ssh "${where[@]}" --worker=all \
    --command='mkdir -p fer_jax && tar -xzf fer_jax.tar.gz -C fer_jax'
on_hosts 'bash -euo pipefail -c "source launch/environment.sh
        (find_interpreter) >/dev/null 2>&1 || system_packages python3.11 python3.11-venv
        prepare_environment core" &&
    .venv/bin/python -m pip install -q -c requirements.txt "jax[tpu]"'
# On the hosts, whether it is the first one: its process alone writes, so it alone copies.
first="[ \"\$(hostname)\" = \"\${HOSTNAME%-w-*}-w-0\" ]"
# Runs are taken whole or not at all, and never over the first host's own: those are newer.
# Checkpoints without the file that is uploaded last are halves: training would end at them.
on_hosts "mkdir -p prepared runs fetched &&
    gcloud storage rsync --recursive $bucket/prepared prepared || exit
    if ! $first || [ -z \"\$(ls -A runs)\" ]; then
        if gcloud storage ls $bucket/runs/ >listed.txt 2>&1; then
            gcloud storage rsync --recursive --delete-unmatched-destination-objects $bucket/runs fetched &&
                find fetched \\( -path '*/checkpoints/*/latest/*' -o -path '*/checkpoints/*/best/*' \\) \
                    -prune ! -exec test -e '{}/_CHECKPOINT_METADATA' ';' -exec rm -r '{}' + &&
                rm -r runs && mv fetched runs || exit
        elif ! grep -q 'matched no objects' listed.txt; then
            cat listed.txt >&2
            exit 1
        fi
    fi
    # A bucket that cannot be written is found before anything is trained.
    ! $first || { hostname >runs/slice.txt && gcloud storage cp runs/slice.txt $bucket/runs/slice.txt; }"

on_hosts "
    # Links hold the files of this moment, so that no position is taken that is being written. The
    # file that makes a position whole goes last, so that an upload that is cut leaves none that
    # looks whole. What the checkpoints dropped goes from the bucket once it has what they hold now.
    keep() (
        $first || exit 0
        rm -rf copied && mkdir copied || exit
        cp -rl runs copied
        linked=\$?
        cd copied || exit
        copy() { gcloud storage rsync --recursive --continue-on-error \"\$@\" runs $bucket/runs; }
        copy --exclude='.*_CHECKPOINT_METADATA\$' && copy &&
            find runs -name checkpoints -prune -exec gcloud storage rsync --recursive \
                --delete-unmatched-destination-objects '{}' '$bucket/{}' ';' || exit
        exit \$linked
    )
    # A copy that is under way ends before the last one begins.
    (trap exit TERM; while sleep 300 & wait \$!; do keep; done) >copying.txt 2>&1 &
    copying=\$!
    status=0
    FER_JAX_DATA=prepared .venv/bin/python -m fer_jax.main --distributed=auto$(printf ' %q' "$@") || status=\$?
    kill \$copying 2>/dev/null
    wait \$copying
    keep || {
        echo 'error: not all runs of the first host are in the bucket: keep the slice, repeat the command' >&2
        [ \$status != 0 ] || status=1
    }
    exit \$status"
say "finished; delete the slice with: ${tpu[*]} delete ${where[*]}"
