"""Kubernetes manifests for fer_jax: a sweep's workers with their PostgreSQL, films, or one run.

    python launch/kubernetes.py sweep --name=fer --image=IMAGE --claim=CLAIM --workers=32 \\
        [--gpus=1] [--dry_run] -- --config=configs/ckplus_c3d.py:loso --trials=800 --study=NAME
    python launch/kubernetes.py predict --name=fer --image=IMAGE --claim=CLAIM --workers=8 \\
        [--gpus=1] [--dry_run] -- /data/films --model=small
    python launch/kubernetes.py train --name=fer --image=IMAGE --claim=CLAIM --workers=4 \\
        [--gpus=8] [--dry_run] -- --config=configs/ckplus_c3d.py:loso

A sweep is an indexed Job and a PostgreSQL (StatefulSet, Service, a Secret with a password drawn
here). Films are shared among the pods of an indexed Job, which write into runs/NAME; the same
fer_jax.predict without --share then adds films.csv. A run over several hosts is a JobSet, whose
controller must be installed in the cluster. IMAGE is what launch/Dockerfile builds. CLAIM is a
PersistentVolumeClaim that all pods may write, /data in them: in it, prepared/ holds the prepared
data and runs/ what comes of it. What follows '--' goes to fer_jax.sweep, fer_jax.predict or
fer_jax.main; --storage, --workdir, --out, --share and --distributed are given here.

A pod that is evicted, preempted or told to end (exit status 143), or that does not reach the
database or the other pods (75), is made again and goes on where it was; a mistake of the user's
(exit status 1) ends the job. Without --dry_run, which prints the manifests, they go to kubectl
apply. `kubectl delete -l app=NAME all` (of a train `all,jobset`, which other clusters may not know)
ends everything and leaves the database's volume and its password, so that the same command goes on
with the study. A Job that has ended or failed is deleted likewise before the same command, or one
with other flags: kubectl leaves it as it is, and nothing starts.
"""

import argparse
import re
import secrets
import shutil
import subprocess
import sys

import yaml

PORT = 8476
POSTGRES = 'postgres:15'


def main() -> None:
    """Prints or applies the manifests that the command line asks for."""
    own, command = sys.argv[1:], []
    if '--' in own:
        own, command = own[: own.index('--')], own[own.index('--') + 1 :]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('kind', choices=['sweep', 'predict', 'train'])
    parser.add_argument('--name', required=True, help='of everything that is made')
    parser.add_argument('--image', required=True, help='what launch/Dockerfile builds')
    parser.add_argument('--claim', required=True, help='a PersistentVolumeClaim with prepared data')
    parser.add_argument('--workers', type=int, default=1, help='pods')
    parser.add_argument('--gpus', type=int, default=0, help='of each pod')
    parser.add_argument('--dry_run', action='store_true', help='print the manifests')
    options = parser.parse_args(own)
    if not command:
        parser.error("after '--' come the flags of the command, --config or films first")
    if not re.fullmatch('[a-z]([a-z0-9-]{0,38}[a-z0-9])?', options.name):
        parser.error('--name is of small letters, digits and hyphens, at most 40')
    if not re.fullmatch('[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?', options.claim):
        parser.error('--claim is no name of a PersistentVolumeClaim')
    if not re.fullmatch(r'[\w./:@-]+', options.image):
        parser.error('--image is no name of an image')
    if options.workers < 1 or options.gpus < 0:
        parser.error('--workers is at least 1 and --gpus at least 0')
    made = {'sweep': sweep, 'predict': predict, 'train': train}[options.kind](options, command)
    if options.dry_run:
        print(as_text(made), end='')
        return
    if not shutil.which('kubectl'):
        parser.exit(1, 'error: there is no kubectl here: install it, or give --dry_run\n')
    if options.kind == 'sweep' and is_there(f'{options.name}-postgres'):
        # A database keeps the password that it was made with.
        made = [manifest for manifest in made if manifest['kind'] != 'Secret']
    apply = ['kubectl', 'apply', '-f', '-']
    sys.exit(subprocess.run(apply, input=as_text(made), text=True).returncode)


def is_there(secret: str) -> bool:
    """Returns whether the cluster has that secret; ends the program where kubectl cannot say so."""
    ask = ['kubectl', 'get', 'secret', secret, '--ignore-not-found', '--output=name']
    asked = subprocess.run(ask, stdout=subprocess.PIPE)
    if asked.returncode:
        sys.exit(f'error: kubectl does not say whether there is a secret {secret}')
    return bool(asked.stdout.strip())


def as_text(made: list[dict]) -> str:
    """Formats manifests as YAML, one document each."""
    return yaml.safe_dump_all(made, sort_keys=False, width=1000)


def sweep(options: argparse.Namespace, command: list[str]) -> list[dict]:
    """Describes a PostgreSQL and the workers that share its study."""
    database = f'{options.name}-postgres'
    password = {'secretKeyRef': {'name': database, 'key': 'password'}}
    storage = f'postgresql+psycopg://fer_jax@{database}/fer_jax'
    worker = container(
        options,
        ['-m', 'fer_jax.sweep', *command, f'--storage={storage}', f'--workdir=runs/{options.name}'],
        [{'name': 'PGPASSWORD', 'valueFrom': password}],
    )
    server = {
        'name': 'postgres',
        'image': POSTGRES,
        # A worker has one or two; those that start anew are beside those that the server still has.
        'args': ['-c', f'max_connections={max(100, 4 * options.workers + 20)}'],
        'env': [
            {'name': 'POSTGRES_USER', 'value': 'fer_jax'},
            {'name': 'POSTGRES_DB', 'value': 'fer_jax'},
            {'name': 'POSTGRES_PASSWORD', 'valueFrom': password},
            {'name': 'PGDATA', 'value': '/var/lib/postgresql/data/pgdata'},
        ],
        'ports': [{'containerPort': 5432}],
        'readinessProbe': {'exec': {'command': ['pg_isready', '-U', 'fer_jax']}},
        'volumeMounts': [{'name': 'database', 'mountPath': '/var/lib/postgresql/data'}],
    }
    selector = {'app': options.name, 'part': 'postgres'}
    volume = {
        'metadata': {'name': 'database'},
        'spec': {
            'accessModes': ['ReadWriteOnce'],
            'resources': {'requests': {'storage': '10Gi'}},
        },
    }
    return [
        {
            'apiVersion': 'v1',
            'kind': 'Secret',
            'metadata': metadata(options, database),
            'stringData': {'password': secrets.token_hex(16)},
        },
        {
            'apiVersion': 'v1',
            'kind': 'Service',
            'metadata': metadata(options, database),
            'spec': {'clusterIP': 'None', 'selector': selector, 'ports': [{'port': 5432}]},
        },
        {
            'apiVersion': 'apps/v1',
            'kind': 'StatefulSet',
            'metadata': metadata(options, database),
            'spec': {
                'serviceName': database,
                'replicas': 1,
                'selector': {'matchLabels': selector},
                'template': {'metadata': {'labels': selector}, 'spec': {'containers': [server]}},
                'volumeClaimTemplates': [volume],
            },
        },
        {
            'apiVersion': 'batch/v1',
            'kind': 'Job',
            'metadata': metadata(options, options.name),
            'spec': job(options, worker),
        },
    ]


def predict(options: argparse.Namespace, command: list[str]) -> list[dict]:
    """Describes the pods that share films."""
    share = f'--share=$(JOB_COMPLETION_INDEX)/{options.workers}'
    own = ['-m', 'fer_jax.predict', *command, f'--out=runs/{options.name}', share]
    return [
        {
            'apiVersion': 'batch/v1',
            'kind': 'Job',
            'metadata': metadata(options, options.name),
            'spec': job(options, container(options, own, [])),
        }
    ]


def train(options: argparse.Namespace, command: list[str]) -> list[dict]:
    """Describes one run whose processes are the pods of a JobSet; the first pod coordinates."""
    # A JobSet gives its pods the names SET-JOB-INDEX-POD in a service of the set's name.
    first = f'{options.name}-hosts-0-0.{options.name}:{PORT}'
    distributed = f'--distributed={first},{options.workers},$(JOB_COMPLETION_INDEX)'
    worker = container(options, ['-m', 'fer_jax.main', *command, distributed], [])
    return [
        {
            'apiVersion': 'jobset.x-k8s.io/v1alpha2',
            'kind': 'JobSet',
            'metadata': metadata(options, options.name),
            'spec': {
                # All processes are one run: when one ends, all are made again and go on together.
                # A mistake of the user's would only be repeated.
                'failurePolicy': {
                    'maxRestarts': 100,
                    'rules': [
                        {'action': 'FailJobSet', 'onJobFailureReasons': ['PodFailurePolicy']}
                    ],
                },
                'replicatedJobs': [
                    {
                        'name': 'hosts',
                        'replicas': 1,
                        'template': {'spec': {**job(options, worker), 'backoffLimit': 0}},
                    }
                ],
            },
        }
    ]


def job(options: argparse.Namespace, worker: dict) -> dict:
    """Specifies an indexed Job of that worker."""
    rules = [
        {'action': 'FailJob', 'onExitCodes': {'operator': 'In', 'values': [1, 2]}},
        {'action': 'Ignore', 'onExitCodes': {'operator': 'In', 'values': [75, 143]}},
        {'action': 'Ignore', 'onPodConditions': [{'type': 'DisruptionTarget', 'status': 'True'}]},
    ]
    claim = {'name': 'claim', 'persistentVolumeClaim': {'claimName': options.claim}}
    memory = {'name': 'memory', 'emptyDir': {'medium': 'Memory'}}
    return {
        'completionMode': 'Indexed',
        'completions': options.workers,
        'parallelism': options.workers,
        'backoffLimit': 3 * options.workers,
        'podFailurePolicy': {'rules': rules},
        'template': {
            'metadata': {'labels': {'app': options.name, 'part': 'worker'}},
            'spec': {
                'restartPolicy': 'Never',
                # Between SIGTERM and SIGKILL: long enough to save.
                'terminationGracePeriodSeconds': 120,
                'containers': [worker],
                'volumes': [claim, memory],
            },
        },
    }


def container(options: argparse.Namespace, command: list[str], environment: list[dict]) -> dict:
    """Specifies a container that runs Python in the checkout, with the claim's data and runs."""
    made = {
        'name': 'fer-jax',
        'image': options.image,
        'command': ['python', *command],
        'env': [{'name': 'FER_JAX_DATA', 'value': '/data/prepared'}, *environment],
        'volumeMounts': [
            {'name': 'claim', 'mountPath': '/data'},
            {'name': 'claim', 'mountPath': '/fer_jax/runs', 'subPath': 'runs'},
            {'name': 'memory', 'mountPath': '/dev/shm'},
        ],
    }
    if options.gpus:
        made['resources'] = {'limits': {'nvidia.com/gpu': options.gpus}}
    return made


def metadata(options: argparse.Namespace, name: str) -> dict:
    """Makes name and label of something that is made."""
    return {'name': name, 'labels': {'app': options.name}}


if __name__ == '__main__':
    main()
