"""What happens on the hosts of a TPU pod and in its bucket."""

import shutil

import pytest

POD = ('--name=n', '--zone=z', '--type=v5litepod-16', '--bucket=gs://b/x', '--spot')


def test_every_host_of_a_pod_trains(pod):
    run, place = pod
    done = run(*POD, '--', '--config=a b.py')
    assert done.returncode == 0, done.stderr
    for host in ('host-0', 'host-1'):
        trained = (place / host / 'fer_jax' / 'trained').read_text()
        assert trained == '-m fer_jax.main --distributed=auto --config=a b.py\n'


def test_a_pod_s_hosts_with_an_old_python_get_a_newer_one(pod):
    run, place = pod
    for host in ('host-0', 'host-1'):
        shutil.rmtree(place / host / 'fer_jax' / '.venv')
    done = run(*POD, '--', '--config=c.py')
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
    done = run(*POD, '--', '--config=c.py')
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
    done = run(*POD, '--', '--config=c.py')
    assert done.returncode == 100 and done.stderr.strip().splitlines()[-1] == said
    wanted = '==> installing Debian packages: python3.11 python3.11-venv'
    assert done.stdout.strip().splitlines()[-1] == wanted
    assert not (place / 'host-0' / 'fer_jax' / 'trained').exists()


def test_the_first_host_alone_copies_its_runs_into_the_bucket(pod):
    run, place = pod
    run(*POD, '--', '--config=c.py')
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
    done = run(*POD, '--', '--config=c.py')
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
    assert run(*POD, '--', '--config=c.py').returncode == 1
    assert (position / '1' / 'state').exists() and not (position / '2' / WHOLE).exists()
    (place / 'cut').unlink()
    (position / '2').mkdir(exist_ok=True)
    (position / '2' / 'record').touch()  # what an upload that is cut has sent
    shutil.rmtree(place / 'host-0' / 'fer_jax' / 'runs')
    (place / 'programs' / 'python').write_text(NEXT_POSITION)
    assert run(*POD, '--', '--config=c.py').returncode == 0
    for host in ('host-0', 'host-1'):
        assert (place / host / 'fer_jax' / 'found').read_text() == '1\n'
    assert {path.name for path in (position / '2').iterdir()} == {WHOLE, 'state'}


def test_a_position_that_is_written_during_a_copy_waits_for_the_next_one(pod, position):
    run, place = pod
    (place / 'meanwhile').write_text(
        f'[ "$way" != results ] || (cd {place}/host-0/fer_jax/runs/a/checkpoints/000/latest &&'
        f' mkdir -p 3 && touch 3/{WHOLE})\n'
    )
    assert run(*POD, '--', '--config=c.py').returncode == 0
    assert {path.name for path in position.iterdir()} == {'1', '2'}


def test_a_pod_begins_where_its_bucket_has_no_runs_yet(pod):
    run, place = pod
    shutil.rmtree(place / 'bucket' / 'x' / 'runs')
    done = run(*POD, '--', '--config=c.py')
    assert done.returncode == 0, done.stderr
    assert (place / 'bucket' / 'x' / 'runs' / 'metrics.csv').read_text() == 'epoch 20\n'


@pytest.mark.parametrize('refused', ['list', 'download'])
def test_a_pod_that_cannot_read_its_runs_trains_nothing_and_leaves_the_bucket_alone(pod, refused):
    run, place = pod
    (place / 'refused').write_text(refused)
    done = run(*POD, '--', '--config=c.py')
    assert done.returncode == 1 and 'HTTPError 503' in done.stderr
    assert 'finished' not in done.stdout
    assert not (place / 'host-0' / 'fer_jax' / 'trained').exists()
    kept = place / 'bucket' / 'x' / 'runs' / 'metrics.csv'
    assert kept.read_text() == 'epoch 10\n'
    (place / 'refused').unlink()  # the same command, when it can be read again
    assert run(*POD, '--', '--config=c.py').returncode == 0
    assert not (place / 'host-0' / 'fer_jax' / 'runs' / 'half').exists()
    assert (place / 'host-0' / 'fer_jax' / 'found').read_text() == 'epoch 10\n'


def test_a_pod_s_first_host_goes_on_with_its_own_runs_and_the_others_take_the_bucket_s(pod):
    run, place = pod
    for host in ('host-0', 'host-1'):
        (place / host / 'fer_jax' / 'runs').mkdir()
        (place / host / 'fer_jax' / 'runs' / 'metrics.csv').write_text('epoch 15\n')
    assert run(*POD, '--', '--config=c.py').returncode == 0
    assert (place / 'host-0' / 'fer_jax' / 'found').read_text() == 'epoch 15\n'
    assert (place / 'host-1' / 'fer_jax' / 'found').read_text() == 'epoch 10\n'


@pytest.mark.parametrize('refused, trained', [('upload', False), ('results', True)])
def test_a_pod_whose_bucket_cannot_be_written_says_so_and_does_not_count_as_finished(
    pod, refused, trained
):
    run, place = pod
    (place / 'refused').write_text(refused)
    done = run(*POD, '--', '--config=c.py')
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
    done = run(*POD, '--', '--config=c.py')
    assert done.returncode == 0, done.stderr
    assert (place / 'copies').read_text() == 'begins\nends\n' * 4  # a copy takes two
