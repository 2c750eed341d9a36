"""Configs: what can be set, what a config file declares, and by what a run is known."""

from fer_jax.config.comparing import (
    as_json,
    changes,
    difference,
    differences,
    first_difference,
    identity,
    listing,
)
from fer_jax.config.declared import (
    CONFIGS,
    Ablation,
    Range,
    Space,
    find_config,
    load_ablations,
    load_config,
    load_space,
    parse_variant,
    read_config,
    tuples,
)
from fer_jax.config.keys import defaults
from fer_jax.config.sections import bind, changed, complete, merged, with_values

__all__ = [
    'CONFIGS',
    'Ablation',
    'Range',
    'Space',
    'as_json',
    'bind',
    'changed',
    'changes',
    'complete',
    'defaults',
    'difference',
    'differences',
    'find_config',
    'first_difference',
    'identity',
    'listing',
    'load_ablations',
    'load_config',
    'load_space',
    'merged',
    'parse_variant',
    'read_config',
    'tuples',
    'with_values',
]
