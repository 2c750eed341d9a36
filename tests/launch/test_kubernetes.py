"""The Kubernetes manifests against the published schemas."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

PATH = Path(__file__).parents[2] / 'launch' / 'kubernetes.py'
COMMON = ['--name=fer', '--image=me/fer_jax', '--claim=data', '--workers=4']


@pytest.fixture
def manifests(monkeypatch, capsys):
    """Calls the script and reads what it prints."""
    spec = importlib.util.spec_from_file_location('manifests', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(*words):
        monkeypatch.setattr(sys, 'argv', ['kubernetes.py', *words])
        module.main()
        return list(yaml.safe_load_all(capsys.readouterr().out))

    return call


def validate(manifest):
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_a_sweep_and_its_database(manifests):
    made = manifests('sweep', *COMMON, '--gpus=1', '--dry_run', '--', '--config=c.py', '--trials=8')
    assert [item['kind'] for item in made] == ['Secret', 'Service', 'StatefulSet', 'Job']
    for manifest in made:
        validate(manifest)
    secret, service, database, job = made
    assert len(secret['stringData']['password']) == 32
    # The service finds the database's pods, and the workers find the service.
    assert service['spec']['selector'] == database['spec']['template']['metadata']['labels']
    (worker,) = job['spec']['template']['spec']['containers']
    assert worker['command'][:3] == ['python', '-m', 'fer_jax.sweep']
    assert (
        f'--storage=postgresql+psycopg://fer_jax@{service["metadata"]["name"]}/fer_jax'
        in (worker['command'])
    )
    passwords = [
        {item['name']: item.get('valueFrom') for item in container['env']}
        for container in (worker, database['spec']['template']['spec']['containers'][0])
    ]
    assert passwords[0]['PGPASSWORD'] == passwords[1]['POSTGRES_PASSWORD']
    assert passwords[0]['PGPASSWORD']['secretKeyRef']['name'] == secret['metadata']['name']
    assert job['spec']['completions'] == job['spec']['parallelism'] == 4
    assert worker['resources']['limits'] == {'nvidia.com/gpu': 1}


@pytest.mark.parametrize('workers, connections', [(4, 100), (200, 820)])
def test_a_database_has_connections_for_all_workers(manifests, workers, connections):
    words = ['sweep', *COMMON, f'--workers={workers}', '--dry_run', '--', '--config=c.py']
    database = manifests(*words)[2]
    validate(database)
    (server,) = database['spec']['template']['spec']['containers']
    assert server['args'] == ['-c', f'max_connections={connections}']


def test_films_are_shared(manifests):
    (job,) = manifests('predict', *COMMON, '--dry_run', '--', '/data/films', '--model=small')
    validate(job)
    (worker,) = job['spec']['template']['spec']['containers']
    assert worker['command'] == [
        'python', '-m', 'fer_jax.predict', '/data/films', '--model=small', '--out=runs/fer',
        '--share=$(JOB_COMPLETION_INDEX)/4',
    ]  # fmt: skip
    assert job['spec']['completionMode'] == 'Indexed' and job['spec']['completions'] == 4


@pytest.mark.parametrize('known', [False, True])
def test_a_database_keeps_its_password(known, manifests, monkeypatch, tmp_path):
    kubectl = tmp_path / 'kubectl'
    kubectl.write_text(f"""#!/bin/sh
    [ "$1" = apply ] && exec cat > {tmp_path}/applied
    {'echo secret/fer-postgres' if known else 'true'}
    """)
    kubectl.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SystemExit) as stopped:
        manifests('sweep', *COMMON, '--', '--config=c.py')
    assert stopped.value.code == 0
    kinds = [item['kind'] for item in yaml.safe_load_all((tmp_path / 'applied').read_text())]
    assert ('Secret' in kinds) == (not known) and kinds[-1] == 'Job'


def test_a_secret_that_kubectl_cannot_look_for_is_not_replaced(manifests, monkeypatch, tmp_path):
    kubectl = tmp_path / 'kubectl'
    kubectl.write_text(f'#!/bin/sh\n[ "$1" = apply ] && exec cat > {tmp_path}/applied\nexit 1\n')
    kubectl.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SystemExit) as stopped:
        manifests('sweep', *COMMON, '--', '--config=c.py')
    assert stopped.value.code == (
        'error: kubectl does not say whether there is a secret fer-postgres'
    )
    assert not (tmp_path / 'applied').exists()
    with pytest.raises(SystemExit) as stopped:  # films need none
        manifests('predict', *COMMON, '--', '/data/films')
    assert stopped.value.code == 0 and (tmp_path / 'applied').exists()


def test_a_run_over_several_hosts(manifests):
    (jobset,) = manifests('train', *COMMON, '--dry_run', '--', '--config=c.py')
    (hosts,) = jobset['spec']['replicatedJobs']
    # The schema of a JobSet is its controller's; what it makes are Jobs.
    validate(
        {
            'apiVersion': 'batch/v1',
            'kind': 'Job',
            'metadata': {'name': 'hosts'},
            'spec': hosts['template']['spec'],
        }
    )
    (worker,) = hosts['template']['spec']['template']['spec']['containers']
    assert worker['command'][-1] == '--distributed=fer-hosts-0-0.fer:8476,4,$(JOB_COMPLETION_INDEX)'
    assert 'resources' not in worker


@pytest.mark.parametrize('kind', ['sweep', 'train'])
def test_a_pod_that_reaches_nobody_is_made_again(kind, manifests):
    last = manifests(kind, *COMMON, '--dry_run', '--', '--config=c.py')[-1]
    if kind == 'train':
        last = last['spec']['replicatedJobs'][0]['template']
    acts = {
        code: rule['action']
        for rule in last['spec']['podFailurePolicy']['rules']
        for code in rule.get('onExitCodes', {}).get('values', ())
    }
    assert acts == {1: 'FailJob', 2: 'FailJob', 75: 'Ignore', 143: 'Ignore'}


def test_a_wrong_manifest_would_be_noticed(manifests):
    job = manifests('sweep', *COMMON, '--dry_run', '--', '--config=c.py')[-1]
    job['spec']['parallelsim'] = 4
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(job)


@pytest.mark.parametrize(
    'words, message',
    [
        (['sweep', *COMMON], "after '--' come the flags"),
        (['sweep', *COMMON, '--workers=0', '--', '--config=c.py'], '--workers is at least 1'),
        (['sweep', '--', '--config=c.py'], 'required: --name'),
        (['sweep', *COMMON, '--', '--config=c.py'], 'there is no kubectl here'),
    ],
)
def test_mistakes_are_the_user_s(words, message, manifests, monkeypatch, capsys):
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    with pytest.raises(SystemExit) as stopped:
        manifests(*words)
    assert stopped.value.code in (1, 2)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    'words, message',
    [
        (['--name=a b'], '--name is of small letters'),
        (['--name=Fer'], '--name is of small letters'),
        (['--name=' + 'a' * 41], '--name is of small letters'),
        (['--claim=a/b'], '--claim is no name'),
        (['--image=a b'], '--image is no name'),
    ],
)
def test_names_that_kubernetes_refuses_are_named_at_once(manifests, words, message, capsys):
    with pytest.raises(SystemExit) as status:
        manifests('sweep', *COMMON, *words, '--dry_run', '--', '--config=c.py')
    assert status.value.code == 2 and message in capsys.readouterr().err
