#!/usr/bin/env bash
# Submits fer_jax to SLURM: the workers of a sweep as a job array, films that the tasks of an array
# share, or one run over several nodes.
#
#   bash launch/slurm.sh sweep --workers=8 [--dry_run] [SBATCH OPTION ...] -- SWEEP FLAGS ...
#   bash launch/slurm.sh predict --workers=8 [--dry_run] [SBATCH OPTION ...] -- FOLDER PREDICT FLAGS ...
#   bash launch/slurm.sh train --nodes=4 [--dry_run] [SBATCH OPTION ...] -- MAIN FLAGS ...
#
# For example, in a checkout on a file system that all nodes see:
#
#   bash launch/slurm.sh sweep --workers=8 --partition=gpu --gpus-per-node=1 --time=24:00:00 -- \
#       --config=configs/ckplus_c3d.py:loso --trials=800 --study=haddad2020 \
#       --storage=postgresql+psycopg://me@db/optuna
#
# When an array of predict has ended, the same fer_jax.predict without --share reads what the tasks
# wrote and adds films.csv.
#
# --dry_run prints the job and submits nothing. What stands before '--' and is none of ours goes to
# sbatch. The jobs run in the environment of launch/demo.sh, or the one that FER_JAX_VENV names; a
# sweep needs the extra `sweep` in it (docs/running.md). A job that is preempted, or two minutes from
# its time limit, saves, ends with 143 and is queued again; it goes on where it was. Logs:
# runs/slurm/.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

usage="see the first lines of launch/slurm.sh"
kind="${1:-}"
case "$kind" in
    sweep | train) first='the flags of fer_jax.'"$kind"', --config first' ;;
    predict) first='films or folders and the flags of fer_jax.predict' ;;
    *) fail "first say what to submit, sweep, predict or train: $usage" ;;
esac
shift

workers=1 nodes=1 dry_run='' options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case "$1" in
        --workers=*) workers="${1#*=}" ;;
        --nodes=*) nodes="${1#*=}" ;;
        --dry_run) dry_run=1 ;;
        *$'\n'*) fail "an option of sbatch has a line break in it: $(printf '%q' "$1")" ;;
        --*) options+=("$1") ;;
        *) fail "'$1' is no option; what the command itself takes comes after '--': $usage" ;;
    esac
    shift
done
[ "${1:-}" = -- ] && shift
[ $# -gt 0 ] || fail "after '--' come $first: $usage"
[[ "$workers" =~ ^[1-9][0-9]*$ ]] || fail "--workers is '$workers': give a number from 1"
[[ "$nodes" =~ ^[1-9][0-9]*$ ]] || fail "--nodes is '$nodes': give a number from 1"
[ "$kind" = train ] || [ "$nodes" = 1 ] || fail "--nodes goes with train; $kind takes --workers"
[ "$kind" != train ] || [ "$workers" = 1 ] || fail '--workers goes with sweep and predict; train takes --nodes'

# The jobs run in the checkout, so paths of the command are those from there.
[ "$PWD" -ef "$root" ] || fail "start it in $root: paths after '--' are those from there"

share=''
if [ "$kind" != train ]; then
    command=("$python" -m "fer_jax.$kind" "$@")
    size="--array=0-$((workers - 1))"
    again="\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}"
    log='%x-%A_%a.log'
    # Read by the job, in which the task has its number.
    [ "$kind" = sweep ] || share=" --share=\"\${SLURM_ARRAY_TASK_ID}/$workers\""
else
    command=("$python" -m fer_jax.main --distributed=auto "$@")
    size="--nodes=$nodes"
    again="\$SLURM_JOB_ID"
    log='%x-%j.log'
fi

job() {
    cat <<JOB
#!/bin/bash
#SBATCH --job-name=fer_jax-$kind
#SBATCH $size
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
#SBATCH --chdir=$(printf '%q' "$root")
#SBATCH --output=runs/slurm/$log
JOB
    for option in "${options[@]}"; do printf '#SBATCH %q\n' "$option"; done
    cat <<JOB

# srun does not take --cpus-per-task from the job by itself.
[ -z "\${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK="\$SLURM_CPUS_PER_TASK"
status=0
srun$(printf ' %q' "${command[@]}")$share || status=\$?
# 143: it was told to end and has saved everything. A cancelled job cannot be queued again.
if [ "\$status" = 143 ]; then
    scontrol requeue "$again" || true
fi
exit "\$status"
JOB
}

if [ -n "$dry_run" ]; then
    job
    exit
fi
command -v sbatch >/dev/null || fail 'there is no sbatch here: run this where SLURM takes jobs, or give --dry_run'
"$python" -c 'import fer_jax' 2>/dev/null || fail "there is no environment in $venv: bash launch/demo.sh makes it"
[ "$kind" != sweep ] || "$python" -c 'import optuna, psycopg' 2>/dev/null ||
    fail "the environment in $venv lacks what a sweep needs: $python -m pip install -c requirements.txt -e '.[sweep]'"
mkdir -p "$root/runs/slurm"
job | sbatch
