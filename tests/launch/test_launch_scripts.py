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


def test_every_host_of_a_pod_trains(pod):
    run, place = pod
    done = run(*POD[1:], '--', '--config=a b.py')
    assert done.returncode == 0, done.stderr
    for host in ('host-0', 'host-1'):
        trained = (place / host / 'fer_jax' / 'trained').read_text()
        assert trained == '-m fer_jax.main --distributed=auto --config=a b.py\n'


def test_a_pod_s_hosts_with_an_old_python_get_a_newer_one(pod):
    run, place = pod
    for host in ('host-0', 'host-1'):
        shutil.rmtree(place / host / 'fer_jax' / '.venv')
    done = run(*POD[1:], '--', '--config=c.py')
    assert done.returncode == 0, done.stderr
    assert 'install -y' in (installed := (place / 'installed').read_text())
    assert installed.endswith(' python3.11 python3.11-venv\n')
    assert all((place / host / 'fer_jax' / 'trained').exists() for host in ('host-0', 'host-1'))


def test_a_host_that_reads_its_lists_of_packages_by_itself_is_waited_for(pod):
    run, place = pod
    (place / 'programs' / 'apt-get').write_text(
        '#!/bin/sh\ncase "$*" in\n'
        f'*install*) echo "$@" >{place}/installed ;;\n'
        f'*) [ -e {place}/free ] || {{ echo "E: Could not get lock /x/lock" >&2; exit 100; }} ;;\n'
        'esac\n'
    )
    (place / 'programs' / 'sleep').write_text(f'#!/bin/sh\n[ "$1" = 10 ] && touch {place}/free\n')
    for host in ('host-0', 'host-1'):
        shutil.rmtree(place / host / 'fer_jax' / '.venv')
    done = run(*POD[1:], '--', '--config=c.py')
    assert done.returncode == 0, done.stderr
    assert all((place / host / 'fer_jax' / 'trained').exists() for host in ('host-0', 'host-1'))


def test_a_pod_that_cannot_be_given_a_python_says_so_last(pod):
    run, place = pod
    said = 'E: Unable to locate package python3.11'
    (place / 'programs' / 'apt-get').write_text(
        f'#!/bin/sh\ncase "$*" in *update*) exit ;; esac\necho "{said}" >&2\nexit 100\n'
    )
    for host in ('host-0', 'host-1'):
        shutil.rmtree(place / host / 'fer_jax' / '.venv')
    done = run(*POD[1:], '--', '--config=c.py')
    assert done.returncode == 100 and done.stderr.strip().splitlines()[-1] == said
    wanted = '==> installing Debian packages: python3.11 python3.11-venv'
    assert done.stdout.strip().splitlines()[-1] == wanted
    assert not (place / 'host-0' / 'fer_jax' / 'trained').exists()


def test_the_image_of_a_pod_can_be_named(call):
    words = (*POD, '--dry_run')
    assert '--version=tpu-ubuntu2204-base' in call(*words, '--', '--config=c.py').stdout
    printed = call(*words, '--version=v2-alpha-tpuv5-lite', '--', '--config=c.py').stdout
    assert '--version=v2-alpha-tpuv5-lite' in printed


def test_the_first_host_alone_copies_its_runs_into_the_bucket(pod):
    run, place = pod
    run(*POD[1:], '--', '--config=c.py')
    assert (place / 'host-1' / 'fer_jax' / 'runs' / 'metrics.csv').read_text() == 'epoch 10\n'
    assert (place / 'bucket' / 'x' / 'runs' / 'metrics.csv').read_text() == 'epoch 20\n'


def test_the_bucket_keeps_no_checkpoint_that_the_run_dropped_and_all_other_runs(pod):
    run, place = pod
    (place / 'programs' / 'python').write_text(
        '#!/bin/sh\ncase "$*" in *main*) rm -rf runs/a/checkpoints/000/latest/1 ;; esac\n'
    )
    runs = place / 'bucket' / 'x' / 'runs'
    for position in ('a/checkpoints/000/latest/1', 'a/checkpoints/000/latest/2'):
        (runs / position).mkdir(parents=True)
        (runs / position / 'state').touch()
    (place / 'host-0' / 'fer_jax' / 'runs').mkdir()
    shutil.copytree(runs / 'a', place / 'host-0' / 'fer_jax' / 'runs' / 'a')
    (runs / 'b' / 'checkpoints' / '000').mkdir(parents=True)  # of another slice
    done = run(*POD[1:], '--', '--config=c.py')
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (runs / 'a/checkpoints/000/latest').iterdir()] == ['2']
    assert (runs / 'b' / 'checkpoints' / '000').exists()


WHOLE = '_CHECKPOINT_METADATA'
# A training that writes the next position, after it has listed what it found.
NEXT_POSITION = f"""#!/bin/sh
case "$*" in *main*) ;; *) exit ;; esac
cd runs/a/checkpoints/000/latest && ls >../../../../../found
[ "$HOSTNAME" != t1v-n-w-0 ] || {{ mkdir -p 2 && touch 2/{WHOLE} 2/state; }}
"""


@pytest.fixture
def position(pod):
    """The folder `latest` of a run in the bucket, which holds the whole position 1."""
    _, place = pod
    latest = place / 'bucket' / 'x' / 'runs' / 'a' / 'checkpoints' / '000' / 'latest'
    (latest / '1').mkdir(parents=True)
    for name in (WHOLE, 'state'):
        (latest / '1' / name).touch()
    (place / 'programs' / 'python').write_text(NEXT_POSITION)
    return latest


def test_a_pod_goes_on_from_the_position_before_one_whose_upload_was_cut(pod, position):
    run, place = pod
    (place / 'programs' / 'python').write_text(NEXT_POSITION + f"printf '*/2/state' >{place}/cut\n")
    assert run(*POD[1:], '--', '--config=c.py').returncode == 1
    assert (position / '1' / 'state').exists() and not (position / '2' / WHOLE).exists()
    (place / 'cut').unlink()
    (position / '2').mkdir(exist_ok=True)
    (position / '2' / 'record').touch()  # what an upload that is cut has sent
    shutil.rmtree(place / 'host-0' / 'fer_jax' / 'runs')
    (place / 'programs' / 'python').write_text(NEXT_POSITION)
    assert run(*POD[1:], '--', '--config=c.py').returncode == 0
    for host in ('host-0', 'host-1'):
        assert (place / host / 'fer_jax' / 'found').read_text() == '1\n'
    assert {path.name for path in (position / '2').iterdir()} == {WHOLE, 'state'}


def test_a_position_that_is_written_during_a_copy_waits_for_the_next_one(pod, position):
    run, place = pod
    (place / 'meanwhile').write_text(
        f'[ "$way" != results ] || (cd {place}/host-0/fer_jax/runs/a/checkpoints/000/latest &&'
        f' mkdir -p 3 && touch 3/{WHOLE})\n'
    )
    assert run(*POD[1:], '--', '--config=c.py').returncode == 0
    assert {path.name for path in position.iterdir()} == {'1', '2'}


def test_a_pod_begins_where_its_bucket_has_no_runs_yet(pod):
    run, place = pod
    shutil.rmtree(place / 'bucket' / 'x' / 'runs')
    done = run(*POD[1:], '--', '--config=c.py')
    assert done.returncode == 0, done.stderr
    assert (place / 'bucket' / 'x' / 'runs' / 'metrics.csv').read_text() == 'epoch 20\n'


@pytest.mark.parametrize('refused', ['list', 'download'])
def test_a_pod_that_cannot_read_its_runs_trains_nothing_and_leaves_the_bucket_alone(pod, refused):
    run, place = pod
    (place / 'refused').write_text(refused)
    done = run(*POD[1:], '--', '--config=c.py')
    assert done.returncode == 1 and 'HTTPError 503' in done.stderr
    assert 'finished' not in done.stdout
    assert not (place / 'host-0' / 'fer_jax' / 'trained').exists()
    kept = place / 'bucket' / 'x' / 'runs' / 'metrics.csv'
    assert kept.read_text() == 'epoch 10\n'
    (place / 'refused').unlink()  # the same command, when it can be read again
    assert run(*POD[1:], '--', '--config=c.py').returncode == 0
    assert not (place / 'host-0' / 'fer_jax' / 'runs' / 'half').exists()
    assert (place / 'host-0' / 'fer_jax' / 'found').read_text() == 'epoch 10\n'


def test_a_pod_s_first_host_goes_on_with_its_own_runs_and_the_others_take_the_bucket_s(pod):
    run, place = pod
    for host in ('host-0', 'host-1'):
        (place / host / 'fer_jax' / 'runs').mkdir()
        (place / host / 'fer_jax' / 'runs' / 'metrics.csv').write_text('epoch 15\n')
    assert run(*POD[1:], '--', '--config=c.py').returncode == 0
    assert (place / 'host-0' / 'fer_jax' / 'found').read_text() == 'epoch 15\n'
    assert (place / 'host-1' / 'fer_jax' / 'found').read_text() == 'epoch 10\n'


@pytest.mark.parametrize('refused, trained', [('upload', False), ('results', True)])
def test_a_pod_whose_bucket_cannot_be_written_says_so_and_does_not_count_as_finished(
    pod, refused, trained
):
    run, place = pod
    (place / 'refused').write_text(refused)
    done = run(*POD[1:], '--', '--config=c.py')
    assert done.returncode == 1 and 'HTTPError 503' in done.stderr
    assert 'finished' not in done.stdout
    assert ('keep the slice' in done.stderr) == trained
    assert (place / 'host-0' / 'fer_jax' / 'trained').exists() == trained


def test_the_last_copy_of_a_pod_waits_for_one_that_is_under_way(pod):
    run, place = pod
    # The copy after five minutes is slow, and training ends meanwhile.
    (place / 'programs' / 'sleep').write_text(
        f'#!/bin/sh\n[ "$1" = 300 ] || exec /bin/sleep "$1"\n'
        f'[ ! -e {place}/slept ] && touch {place}/slept {place}/slow\n'
    )
    (place / 'programs' / 'sleeps').touch()
    done = run(*POD[1:], '--', '--config=c.py')
    assert done.returncode == 0, done.stderr
    assert (place / 'copies').read_text() == 'begins\nends\n' * 4  # a copy takes two


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
