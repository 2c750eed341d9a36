"""Finds what trains a config: one experiment, or a system of several models."""

import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from fer_jax.errors import UserError

EXPERIMENT = 'experiment'
# `runner` of a config -> the function that trains it, imported when a config is trained. It is
# called as run(config, workdir=, data_dir=) and returns what results.json holds.
RUNNERS = {
    EXPERIMENT: 'fer_jax.experiment.run:run',
    'kahou2015': 'fer_jax.kahou2015.system:run',
}


def name_of(config: Mapping[str, Any]) -> str:
    """Returns which of RUNNERS a config names; UserError for another one."""
    name = config.get('runner', EXPERIMENT)  # a config by hand may state what differs only
    if name not in RUNNERS:
        raise UserError(f"config.runner is '{name}': one of {', '.join(RUNNERS)}")
    return name


def runner_of(config: Mapping[str, Any]) -> Callable[..., dict[str, Any]]:
    """Imports what trains a config; UserError where its `runner` is unknown."""
    return pkgutil.resolve_name(RUNNERS[name_of(config)])
