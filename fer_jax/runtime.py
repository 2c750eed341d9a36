"""Sets up a command's process: programs compiled once, company."""

import dataclasses
import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from fer_jax.errors import Away, UserError

# Seconds after which a process that ends waits no longer for one that does not.
SHUTDOWN = 60


def prepare() -> None:
    """Keeps compiled programs in $JAX_COMPILATION_CACHE_DIR, else in the user's cache folder.

    What libraries log of errors that they raise is not shown.

    Raises:
      UserError: JAX finds no device of the kind that $JAX_PLATFORMS asks for.
    """
    if not jax.config.values['jax_compilation_cache_dir']:
        base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
        jax.config.update('jax_compilation_cache_dir', str(Path(base) / 'fer_jax' / 'xla'))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
    # Threads of orbax log in full what fails in them, and the call that waits for them raises it.
    logging.getLogger('absl').setLevel(logging.CRITICAL)
    if not isinstance(sys.unraisablehook, _Unraisable):
        sys.unraisablehook = _Unraisable(sys.unraisablehook)
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        wanted = os.environ.get('JAX_PLATFORMS', '')
        said = ' '.join(str(error).split()) or type(error).__name__
        raise UserError(
            f"JAX finds no device for JAX_PLATFORMS='{wanted}' ({said[:200]}): unset it, or "
            'install what the device needs'
        ) from error


@dataclasses.dataclass(frozen=True)
class _Unraisable:
    """Shows what nobody can catch, but for what orbax leaves behind where a save has failed."""

    before: Callable[[Any], object]

    def __call__(self, event: Any) -> None:
        if str(event.exc_value) != 'Event loop is closed':
            self.before(event)


def join(distributed: str) -> None:
    """Makes this process one of several that are one run: their devices are one mesh.

    A process that dies takes the others with it: at once where they wait for its part of a step,
    else when its heartbeat has been missing for 100 seconds.

    Args:
      distributed: '' for a process alone; 'auto' where SLURM, a TPU pod or Open MPI started it and
        says which it is; else 'HOST:PORT,PROCESSES,NUMBER', where HOST is that of process 0.

    Raises:
      UserError: a text of another form, or nothing that says which process this is.
      Away: the others did not come within 300 seconds.
    """
    if not distributed:
        return
    where: dict[str, Any] = {}
    if distributed != 'auto':
        try:
            address, processes, number = distributed.split(',')
            where = {'num_processes': int(processes), 'process_id': int(number)}
            int(address.rpartition(':')[2])
        except ValueError:
            raise UserError(
                f"--distributed is '{distributed}': give auto, or HOST:PORT,PROCESSES,NUMBER as in "
                'node0:8476,2,0'
            ) from None
        if not 0 <= where['process_id'] < where['num_processes']:
            raise UserError(
                f"--distributed is '{distributed}': its last number counts processes from 0 to "
                f'{where["num_processes"] - 1}'
            )
        where |= {'coordinator_address': address, 'cluster_detection_method': 'deactivate'}
    else:
        where = {'local_device_ids': _devices_of_the_node()}
    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    # It takes SIGTERM away, and orbax tells it positions of checkpoints, so that it would stop the
    # loop at a dispatch of such a number. The loop agrees by itself (stopping.Stop.now).
    jax.config.update('jax_enable_preemption_service', False)
    try:
        jax.distributed.initialize(**where, shutdown_timeout_seconds=SHUTDOWN)
    except ValueError:
        raise UserError(
            '--distributed=auto finds neither SLURM nor a TPU pod nor Open MPI here: give '
            'HOST:PORT,PROCESSES,NUMBER'
        ) from None
    except RuntimeError as error:
        raise Away(
            f'--distributed={distributed} did not bring all processes together: '
            f'{" ".join(str(error).split())}'
        ) from error


def _devices_of_the_node() -> list[int] | None:
    """Numbers the GPUs that a node's only process has; None leaves them to JAX.

    JAX gives each process of SLURM one GPU, however many the node has.
    """
    environment = os.environ
    alone = re.fullmatch(r'1(\(x\d+\))?', environment.get('SLURM_STEP_TASKS_PER_NODE', ''))
    if not alone or {'JAX_LOCAL_DEVICE_IDS', 'OMPI_COMM_WORLD_LOCAL_RANK'} & set(environment):
        return None
    if 'CUDA_VISIBLE_DEVICES' in environment:
        gpus = len(environment['CUDA_VISIBLE_DEVICES'].split(','))
    else:
        gpus = int(environment.get('SLURM_GPUS_ON_NODE') or 0)
    return list(range(gpus)) or None
