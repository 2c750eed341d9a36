"""The scripts that submit to SLURM and to TPU pods: what they print, and that it is sound shell."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[2] / 'launch'
SWEEP = ('slurm.sh', 'sweep', '--workers=3', '--dry_run', '--partition=gpu', '--')
FILMS = ('slurm.sh', 'predict', '--workers=3', '--dry_run', '--')
TRAIN = ('slurm.sh', 'train', '--nodes=4', '--dry_run', '--')
POD = ('tpu_pod.sh', '--name=n', '--zone=z', '--type=v5litepod-16', '--bucket=gs://b/x', '--spot')
needs_shellcheck = pytest.mark.skipif(
    not shutil.which('shellcheck'), reason='no shellcheck here: apt-get install -y shellcheck'
)


def shellcheck(text):
    return subprocess.run(
        ['shellcheck', '--shell=bash', '-'], input=text, capture_output=True, text=True
    ).stdout


@needs_shellcheck
@pytest.mark.parametrize('path', sorted(LAUNCH.glob('*.sh')), ids=lambda path: path.name)
def test_scripts_are_sound(path):
    checked = subprocess.run(
        ['shellcheck', '--external-sources', f'launch/{path.name}'],
        cwd=LAUNCH.parent,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_array_of_sweep_workers(call):
    job = call(*SWEEP, '--config=a b.py', '--trials=800').stdout
    assert job.startswith('#!/bin/bash\n#SBATCH')
    assert '#SBATCH --array=0-2\n' in job and '#SBATCH --partition=gpu\n' in job
    # What stands after '--' arrives as it was written, whatever is in it.
    assert 'srun /nowhere/venv/bin/python -m fer_jax.sweep --config=a\\ b.py --trials=800' in job
    assert 'scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"' in job


def test_a_job_is_not_submitted_from_elsewhere_with_paths_that_are_not_the_checkout_s(
    call, tmp_path
):
    done = call(*FILMS, '.', '--out=o', cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ''
    assert done.stderr.startswith(f'error: start it in {LAUNCH.parent}: ')


def test_an_environment_may_be_named_from_where_one_is(call):
    job = call(*TRAIN, '--config=c.py', venv='other/venv').stdout
    assert f'srun {LAUNCH.parent}/other/venv/bin/python -m fer_jax.main' in job


def test_an_option_of_sbatch_with_a_blank_stays_one_word(call, tmp_path):
    (tmp_path / 'a b').symlink_to(LAUNCH.parent)
    script = tmp_path / 'a b' / 'launch' / 'slurm.sh'
    words = ['sweep', '--dry_run', '--comment=my sweep', '--', '--config=c.py']
    job = call(script, *words).stdout
    assert f'#SBATCH --chdir={tmp_path}/a\\ b\n' in job
    assert '#SBATCH --comment=my\\ sweep\n' in job


def test_a_sweep_is_not_submitted_without_its_extra(pod, tmp_path):
    _, place = pod
    programs = place / 'programs'
    (programs / 'sbatch').write_text('#!/bin/sh\ncat\n')
    (programs / 'sbatch').chmod(0o755)
    python = tmp_path / 'venv' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\ncase "$*" in *optuna*) exit 1 ;; esac\n')
    python.chmod(0o755)
    environment = os.environ | {'FER_JAX_VENV': str(tmp_path / 'venv')}
    environment['PATH'] = f'{programs}{os.pathsep}{os.environ["PATH"]}'
    submit = ['bash', LAUNCH / 'slurm.sh', 'sweep', '--', '--config=c.py']
    done = subprocess.run(
        submit, capture_output=True, text=True, env=environment, cwd=LAUNCH.parent
    )
    assert done.returncode == 1 and done.stdout == ''
    assert 'lacks what a sweep needs' in done.stderr and '.[sweep]' in done.stderr


def test_a_pod_gets_what_is_not_committed_yet(call, tmp_path):
    git = ['git', '-C', str(tmp_path), '-c', 'user.name=a', '-c', 'user.email=a@b.c']
    shutil.copytree(LAUNCH, tmp_path / 'launch')
    for words in (['init', '-q'], ['add', '.'], ['commit', '-q', '-m', 'first']):
        subprocess.run([*git, *words], check=True)
    script = tmp_path / 'launch' / 'tpu_pod.sh'
    words = [*POD[1:], '--dry_run', '--', '--config=c.py']
    assert call(script, *words).stdout.count('.tar.gz HEAD') == 1
    (tmp_path / 'launch' / 'demo.sh').write_text('edited')
    archive = next(line for line in call(script, *words).stdout.splitlines() if ' archive ' in line)
    shown = [*git, 'show', f'{archive.split()[-1]}:launch/demo.sh']
    assert subprocess.run(shown, capture_output=True, text=True).stdout == 'edited'


def test_the_image_takes_nothing_that_a_command_wrote():
    root = LAUNCH.parent
    rules = (root / '.dockerignore').read_text().splitlines()
    first, *others, last = [rule for rule in rules if not rule.startswith('#')]
    assert first == '*' and last == '**/__pycache__'
    taken = {rule.removeprefix('!') for rule in others}
    assert all(rule.startswith('!') for rule in others)
    written = {rule.strip('/') for rule in (root / '.gitignore').read_text().splitlines()}
    assert not taken & written
    # All that installs and runs it.
    project = tomllib.loads((root / 'pyproject.toml').read_text())['project']
    assert {project['readme'], 'LICENSE', 'pyproject.toml', 'requirements.txt'} <= taken
    assert {'fer_jax', 'configs'} <= taken and all((root / name).exists() for name in taken)


def test_films_are_shared_by_an_array(call):
    job = call(*FILMS, 'my films', '--out=o').stdout
    assert '#SBATCH --array=0-2\n' in job
    line = '/nowhere/venv/bin/python -m fer_jax.predict my\\ films --out=o '
    assert f'srun {line}--share="${{SLURM_ARRAY_TASK_ID}}/3" ||' in job
    assert 'scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"' in job


@pytest.mark.parametrize('cores', ['16', ''])
def test_a_task_has_the_cores_that_its_job_asked_for(call, tmp_path, cores):
    job = call(*TRAIN, '--config=c.py').stdout
    (tmp_path / 'srun').write_text('#!/bin/sh\necho "cores: ${SRUN_CPUS_PER_TASK:-all}"\n')
    (tmp_path / 'srun').chmod(0o755)
    environment = {'PATH': f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'}
    environment |= {'SLURM_CPUS_PER_TASK': cores} if cores else {}
    done = subprocess.run(
        ['bash', '-u'], input=job, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0 and done.stdout == f'cores: {cores or "all"}\n', done.stderr


def test_training_over_nodes(call):
    job = call(*TRAIN, '--config=c.py').stdout
    assert '#SBATCH --nodes=4\n' in job and '--array' not in job
    assert '-m fer_jax.main --distributed=auto --config=c.py' in job


def test_commands_for_a_pod(call):
    printed = call(*POD, '--dry_run', '--', '--config=a b.py').stdout
    commands = [line for line in printed.splitlines() if line.startswith('gcloud')]
    verbs = [line.split()[4] for line in commands]
    assert verbs == ['create', 'scp', 'ssh', 'ssh', 'ssh', 'ssh']
    assert '--accelerator-type=v5litepod-16' in printed and '--spot' in printed
    assert '--distributed=auto' in printed and 'gs://b/x/runs' in printed
    # The command is quoted twice: for this shell, which prints it, and for that of the hosts.
    unquote = ['bash', '-c', 'eval "set -- $1"; printf %s "${@: -1}"', 'bash', commands[-1]]
    on_hosts = subprocess.run(unquote, capture_output=True, text=True, check=True).stdout
    assert on_hosts.startswith('--command=cd fer_jax || exit; ')
    assert '--distributed=auto --config=a\\ b.py ||' in on_hosts
    subprocess.run(['bash', '-n', '-c', on_hosts.removeprefix('--command=')], check=True)


def test_the_image_of_a_pod_can_be_named(call):
    words = (*POD, '--dry_run')
    assert '--version=tpu-ubuntu2204-base' in call(*words, '--', '--config=c.py').stdout
    printed = call(*words, '--version=v2-alpha-tpuv5-lite', '--', '--config=c.py').stdout
    assert '--version=v2-alpha-tpuv5-lite' in printed


@needs_shellcheck
@pytest.mark.parametrize(
    'words',
    [SWEEP, FILMS, TRAIN, (*POD, '--dry_run', '--')],
    ids=['array', 'films', 'nodes', 'pod'],
)
def test_what_is_printed_is_sound(words, call):
    done = call(*words, '--config=c.py')
    assert done.returncode == 0 and 'fer_jax' in done.stdout, done.stderr
    assert shellcheck(done.stdout.replace('==>', '#')) == ''


@pytest.mark.parametrize(
    'words, message',
    [
        (('slurm.sh',), 'first say what to submit'),
        (('slurm.sh', 'sweep', '--workers=0', '--', '--config=c'), "--workers is '0'"),
        (('slurm.sh', 'sweep', '--nodes=2', '--', '--config=c'), '--nodes goes with train'),
        (('slurm.sh', 'predict', '--nodes=2', '--', 'f'), 'predict takes --workers'),
        (('slurm.sh', 'predict', '--workers=2'), "after '--' come films or folders"),
        (('slurm.sh', 'train', '--workers=2', '--', 'c'), 'goes with sweep and predict'),
        (('slurm.sh', 'train', '--nodes=2'), "after '--' come the flags of fer_jax.train"),
        (('slurm.sh', 'train', 'c.py', '--', '--config=c'), "'c.py' is no option"),
        (('slurm.sh', 'train', '--', '--config=c'), 'there is no sbatch here'),
        (('tpu_pod.sh', '--name=n', '--', '--config=c'), '--zone is missing'),
        ((*POD, '--bucket=b', '--', '--config=c'), "--bucket is 'b'"),
        ((*POD, '--bucket=gs://b; rm x', '--', '--config=c'), "--bucket is 'gs://b; rm x'"),
        ((*POD, '--bucket=gs://b$(x)', '--', '--config=c'), "--bucket is 'gs://b$(x)'"),
        (('slurm.sh', 'sweep', '--a=1\nrm x', '--', '--config=c'), 'has a line break in it'),
        ((*POD, '--', '--config=c'), 'there is no gcloud here'),
        ((*POD, '--', '--config=c', '--workdir=/tmp/x'), 'give --workdir=runs/NAME'),
        ((*POD, '--', '--config=c', '--workdir', 'x'), 'give --workdir=runs/NAME'),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(words, message, call):
    done = call(*words)
    assert done.returncode == 1 and done.stdout == ''
    assert done.stderr.startswith('error: ') and done.stderr.count('\n') == 1
    assert message in done.stderr
