"""The adding problem: whether a recurrent network carries two numbers over 150 steps.

Hochreiter and Schmidhuber's task (1997) as Le et al. 2015 give it (arXiv 1504.00941, sec. 4.1): a
sequence of numbers, two of them marked, and the sum of those two to be said at its end. The network
that is tried is the one of kahou2015 and jain2018, unchanged.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fer_jax.errors import UserError
from fer_jax.models.rnn import RNN
from fer_jax.training.optimizers import make_optimizer

# Of the sum of two numbers from [0, 1]: what saying the mean, 1, costs.
MEAN_ERROR = 1 / 6
# What Le et al.'s figures call solved, and the issue of this study asks for.
SOLVED = 0.01
NETWORKS = {'irnn': 'relu', 'tanh': 'tanh'}
TITLES = {'irnn': 'IRNN', 'tanh': 'tanh RNN'}
# Keys: training sequences come from the network's own, the test sequences from this one.
TEST_KEY = 2015
# Test sequences in one product.
BLOCK = 500


@dataclasses.dataclass(frozen=True)
class AddingDesign:
    """The sizes of the study, the same for both networks.

    Attributes:
      length: T, steps of a sequence.
      units: hidden units.
      batch_size: fresh sequences in a training step.
      learning_rate: of Adam, with cosine decay over the steps.
      clip: greatest norm of a step's gradient, all parameters together.
      steps: training steps.
      every: steps between two tests, and in one dispatch.
      tested: test sequences, the same at every test.
    """

    length: int = 150
    units: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-3
    clip: float = 1.0
    steps: int = 8_000
    every: int = 500
    tested: int = 10_000


def draw(key: jax.Array, count: int, length: int) -> tuple[jax.Array, jax.Array]:
    """Draws sequences and their sums.

    Args:
      length: T, at least 2.

    Returns:
      float32 [count, T, 2], a number uniform in [0, 1) and a mark, 1 at two places and else 0, all
      pairs of places equally likely; and the sum of the two marked numbers, float32 [count].
    """
    of_value, of_first, of_second = jax.random.split(key, 3)
    value = jax.random.uniform(of_value, (count, length))
    first = jax.random.randint(of_first, (count, 1), 0, length)
    second = (first + jax.random.randint(of_second, (count, 1), 1, length)) % length
    place = jnp.arange(length)[None]
    mark = ((place == first) | (place == second)).astype(value.dtype)
    return jnp.stack([value, mark], axis=-1), jnp.sum(value * mark, axis=1)


def train(
    design: AddingDesign,
    network: str,
    seed: int,
    progress: Callable[[float], None] = lambda error: None,
) -> np.ndarray:
    """Trains one network on sequences drawn anew for every step.

    Args:
      network: one of NETWORKS.
      seed: of the start and of the training sequences.
      progress: called with the error of every test but the first.

    Returns:
      float64 [steps / every + 1], the mean squared error over the test sequences before the first
      step and after every `every` of them.

    Raises:
      UserError: it diverged.
    """
    model = RNN(1, design.units, NETWORKS[network])
    key = jax.random.key(seed)
    params = model.init(key, jnp.zeros((1, design.length, 2)))['params']
    optimizer = make_optimizer(
        jnp.float32(design.learning_rate),
        jnp.float32(design.steps),
        name='adam',
        schedule='cosine',
        clip=design.clip,
    )

    def predict(params, frames) -> jax.Array:
        return jnp.asarray(model.apply({'params': params}, frames))[:, 0]

    def error(params, frames, target):
        return jnp.mean((predict(params, frames) - target) ** 2)

    @partial(jax.jit, donate_argnums=0)
    def advance(state, start):
        def step(state, number):
            params, moments = state
            sequences = draw(jax.random.fold_in(key, number), design.batch_size, design.length)
            updates, moments = optimizer.update(
                jax.grad(error)(params, *sequences), moments, params
            )
            return (optax.apply_updates(params, updates), moments), None

        return jax.lax.scan(step, state, start + jnp.arange(design.every))[0]

    @jax.jit
    def test(params):
        frames, target = draw(jax.random.key(TEST_KEY), design.tested, design.length)
        said = jax.lax.map(
            lambda one: predict(params, one[None])[0],
            frames,
            batch_size=min(BLOCK, design.tested),
        )
        return jnp.mean((said - target) ** 2)

    state = params, optimizer.init(params)
    errors = [float(test(params))]
    for start in range(0, design.steps, design.every):
        state = advance(state, start)
        errors.append(float(test(state[0])))
        if not np.isfinite(errors[-1]):
            raise UserError(
                f'the {TITLES[network]} of seed {seed} diverged before step '
                f'{start + design.every}: its test error is {errors[-1]}'
            )
        progress(errors[-1])
    return np.array(errors)


def compute(design: AddingDesign, errors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Computes what results.json holds, all plain Python.

    mean_error, solved: what saying the mean costs, and the line below which the problem is solved;
    steps: at which was tested; networks {name of NETWORKS: title; errors [seed][test]; last [seed],
    the error after the last step; median of those; first [seed], the first tested step from which
    on every error is below `solved`, None where the last is not}.

    Args:
      errors: float64 [seed, test] of each network.
    """
    steps = np.arange(0, design.steps + 1, design.every)
    networks = {}
    for name, curves in errors.items():
        above = [np.flatnonzero(~(curve < SOLVED)) for curve in curves]
        after = [int(found[-1]) + 1 if len(found) else 0 for found in above]
        networks[name] = {
            'title': TITLES[name],
            'errors': curves.tolist(),
            'last': curves[:, -1].tolist(),
            'median': float(np.median(curves[:, -1])),
            'first': [int(steps[at]) if at < len(steps) else None for at in after],
        }
    return {
        'mean_error': MEAN_ERROR,
        'solved': SOLVED,
        'steps': steps.tolist(),
        'networks': networks,
    }


def summary_text(values: dict[str, Any], design: AddingDesign) -> str:
    """Formats the results as plain text for a terminal, at most 79 columns."""
    seeds = len(next(iter(values['networks'].values()))['last'])
    lines = [
        f'The adding problem over {design.length} steps: mean squared error on '
        f'{design.tested:,} sequences',
        f'after {design.steps:,} training steps; saying the mean costs {MEAN_ERROR:.3f}',
        '',
        f'{"":<12}{"seed":>5}{"test error":>13}{f"below {SOLVED} from step":>24}',
    ]
    for network in values['networks'].values():
        for seed in range(seeds):
            first = network['first'][seed]
            lines.append(
                f'{network["title"]:<12}{seed:>5}{network["last"][seed]:>13.5f}'
                f'{"never" if first is None else f"{first:,}":>24}'
            )
    return '\n'.join(lines)
