"""Times a config's training step and inference, alone or in turns with others."""

import dataclasses
import functools
import platform
import resource
import statistics
import time
import typing
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from ml_collections import ConfigDict

from fer_jax.errors import UserError
from fer_jax.experiment import runners
from fer_jax.experiment.first_stage import FirstStage
from fer_jax.experiment.learners import NetworkLearner
from fer_jax.experiment.sections import Sections
from fer_jax.host import cores
from fer_jax.training.inputs import model_inputs
from fer_jax.training.mesh import make_layout
from fer_jax.training.optimizers import evaluated_weights
from fer_jax.training.population import QUICKLY
from fer_jax.training.state import Batch, PerMember, Resident, Sums, TrainState
from fer_jax.training.step import System

# Noise has no classes; the number of emotions of most datasets here.
CLASSES = 7
# Long enough for the clock, short enough to take turns often: seconds of one turn.
TURN = 0.25
# A frame's features where features.run names no run: 'pool2' of the 40 x 40 crops that
# configs/fer2013_cnn.py sees (kahou2015, sec. 2.2).
FEATURES = (10, 10, 32)
# Sides of the matrices whose product gives the peak, by platform; others take the larger.
PEAK_SIZE = {'cpu': 2048, 'gpu': 8192}


def open_network(config: ConfigDict) -> Sections:
    """Opens a config whose members learn in steps; UserError for another."""
    if runners.name_of(config) == runners.EXPERIMENT:
        sections = Sections.open(config)
        if isinstance(sections.learner, NetworkLearner):
            return sections
    raise UserError(
        f'{config.name} is no network that trains in steps, which is what is measured: give the '
        'config of one'
    )


def measure(
    sections: Sections, *, batch: int, rounds: int, against: str | None, forms: bool
) -> dict[str, Any]:
    """Measures all figures of a network.

    Args:
        sections: of which the clips' geometry, inputs, model, loss and optimizer matter.
        batch: clips a step.
        rounds: turns that each contestant takes.
        against: 'torch' or None.
        forms: whether the native formulations take part.

    Returns:
        What --json writes: times in seconds, memory in bytes, rates per second.
    """
    learner = sections.network
    system = learner.system(CLASSES)
    native = system
    if hasattr(system.model, 'form'):
        native = dataclasses.replace(system, model=system.model.clone(form='lax'))
    elif forms:
        raise UserError(f'{learner.name} has one formulation: leave --forms out')
    subject = Subject(system, sections, batch)
    subjects = {'fer_jax': subject}
    if forms:
        subjects['native'] = Subject(native, sections, batch)
    contestants: dict[str, Contestant] = {**subjects}
    if against:
        contestants |= twins(sections, subject)
    training = take_turns({name: each.train for name, each in contestants.items()}, rounds)
    inference = take_turns({name: each.infer for name, each in contestants.items()}, rounds)
    peaks = matmul_peaks()
    flops = floating_point_operations(native, sections, batch)
    peak = peaks.get(learner.options.get('dtype', 'float32'), peaks['float32'])
    for name, times in training.items():
        times['clips_per_second'] = batch / times['median']
        times['flops_per_second'] = flops['train'] / times['median']
        times['of_peak'] = times['flops_per_second'] / peak
        times |= contestants[name].compiled
    rivals = [name for name in contestants if name not in subjects]
    timed = {'training': training, 'inference': inference}
    over = {what: max(them[name]['ratio'] for name in rivals) for what, them in timed.items()
            if rivals}  # fmt: skip
    return {
        'config': sections.name,
        'model': {'name': learner.name, **learner.options, 'num_classes': CLASSES},
        'batch': batch,
        'clip': list(subject.clip_shape),
        'features': features_of(sections),
        'rounds': rounds,
        'device': device(),
        'matmul_peak_flops': peaks,
        'step_flops': flops['train'],
        'inference_flops': flops['infer'],
        'parameters': subject.parameters,
        'parameter_bytes': subject.parameter_bytes,
        'flops_source': "XLA's cost analysis of the native form",
        'train': training,
        'inference_batch_1': inference,
        'over_the_faster_rival': over,
        'process_peak_bytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


class Contestant(typing.Protocol):
    """Takes turns with others in being timed.

    Attributes:
        compiled: what compiling took, and what the program needs, as far as it is known.
    """

    compiled: dict[str, float]

    def train(self) -> float:
        """Trains once and returns the seconds a step."""
        ...

    def infer(self) -> float:
        """Classifies one clip and returns the seconds."""
        ...


class Subject:
    """A system's compiled training step and inference on noise."""

    def __init__(self, system: System, sections: Sections, batch: int):
        together = sections.network.training.steps_per_call
        layout = make_layout(1, jax.devices()[:1], members_at_once=1, steps_per_call=together)
        self._steps = layout.steps_per_call
        resident, per_member, batches = noise(sections, batch, self._steps)
        self._data = per_member, resident, batches
        see = functools.partial(
            model_inputs, view=None, mean=per_member.mean, std=per_member.std, **system.inputs
        )
        self.batch, self.stored = batch, resident.frames.shape[1:]
        self.clip_shape = jax.eval_shape(see, resident.frames).shape[1:]  # cropped
        init = jax.jit(system.init, compiler_options=QUICKLY)  # not measured
        self._carry = init(per_member, resident), Sums.zero()
        params = jax.tree.leaves(evaluated_weights(self._carry[0].params))
        self.parameters = sum(leaf.size for leaf in params)
        self.parameter_bytes = sum(leaf.nbytes for leaf in params)
        started = time.perf_counter()
        train = jax.jit(steps_of(system), donate_argnums=0)
        self._train = train.lower(self._carry, *self._data).compile()
        compile_seconds = time.perf_counter() - started
        infer = jax.jit(system.evaluate_step)
        self._clip = per_member, resident, jnp.zeros(1, jnp.int32)
        started = time.perf_counter()
        self._infer = infer.lower(self._carry[0], *self._clip).compile()
        memory = self._train.memory_analysis()
        if memory is None:
            raise UserError(f'{jax.default_backend()} tells nothing of what a program needs')
        self.compiled = {
            'compile_seconds': compile_seconds,
            'inference_compile_seconds': time.perf_counter() - started,
            'program_bytes': memory.temp_size_in_bytes + memory.argument_size_in_bytes,
        }

    def train(self) -> float:
        """Trains and returns the seconds a step."""
        started = time.perf_counter()
        self._carry = jax.block_until_ready(self._train(self._carry, *self._data))
        return (time.perf_counter() - started) / self._steps

    def infer(self) -> float:
        """Classifies one clip and returns the seconds."""
        started = time.perf_counter()
        jax.block_until_ready(self._infer(self._carry[0], *self._clip))
        return time.perf_counter() - started


def twins(sections: Sections, subject: 'Subject') -> dict[str, Contestant]:
    """Makes the PyTorch contestants, on the device and the threads that JAX runs on.

    Returns:
        'torch', eager, with kernels in the order in which a step is faster; and 'torch.compile'.
    """
    make = twin_maker(sections, subject)
    times = {}
    for channels_last in (False, True):
        eager = make(channels_last=channels_last)
        eager.train()
        times[channels_last] = min(eager.train() for _ in range(3))
    faster = min(times, key=lambda key: times[key])
    return {
        'torch': make(channels_last=faster),
        'torch.compile': make(channels_last=faster, compiled=True),
    }


def twin_maker(sections: Sections, subject: 'Subject') -> Callable[..., Any]:
    """Returns what makes a `torch_step.Twin` of a subject; UserError without PyTorch."""
    try:
        from fer_jax.benchmark.torch_step import Twin  # PyTorch is no part of the core install
    except ImportError:
        raise UserError("--against=torch needs PyTorch: pip install 'fer_jax[dev]'") from None
    return functools.partial(
        Twin,
        sections.network,
        subject.batch,
        subject.stored,
        subject.clip_shape,
        of_features=bool(sections.section),
        classes=CLASSES,
        threads=cores(),
        on_gpu=jax.default_backend() == 'gpu',
    )


def noise(sections: Sections, batch: int, steps: int) -> tuple[Resident, PerMember, Batch]:
    """Draws clips of the config's geometry and a member's batches [step, row, ...] of views."""
    clips, learner, rng = sections.clips, sections.network, np.random.default_rng(0)
    if sections.section:
        frames = rng.random((batch, *clip_of_features(sections)), np.float32)
    else:
        shape = (batch, clips.clip_frames, clips.size, clips.size, clips.channels)
        frames = rng.integers(0, 256, shape, np.uint8)
    resident = Resident(
        frames=jnp.asarray(frames),
        length=jnp.full(batch, frames.shape[1], jnp.int32),
        label=jnp.arange(batch, dtype=jnp.int32) % CLASSES,
        target=jnp.full((batch, CLASSES), 1 / CLASSES),
    )
    per_member = PerMember(
        key=jax.random.key(0),
        learning_rate=jnp.float32(learner.optimizer.learning_rate),
        dropout_rate=jnp.float32(learner.dropout_rate),
        total_steps=jnp.float32(1000),
        class_weight=jnp.ones(CLASSES),
        mean=jnp.zeros((1, 1, 1)),
        std=jnp.ones((1, 1, 1)),
    )
    affine = np.tile(np.eye(2, 3, dtype=np.float32), (steps, batch, 1, 1))
    affine += rng.normal(0, 0.02, affine.shape).astype(np.float32)
    batches = Batch(
        clip=jnp.tile(jnp.arange(batch, dtype=jnp.int32), (steps, 1)),
        affine=jnp.asarray(affine),
        contrast=jnp.ones((steps, batch)),
        mask=jnp.ones((steps, batch), bool),
    )
    return resident, per_member, batches


def clip_of_features(sections: Sections) -> tuple[int, ...]:
    """Returns the shape of a clip [frame, ...] of the features that a network learns from."""
    frames, features = sections.clips.clip_frames, sections.options
    return FirstStage.of_run(**features).shape(frames) if features['run'] else (frames, *FEATURES)


def features_of(sections: Sections) -> str:
    """Says whose features the noise stands for; '' where a network sees pictures."""
    if not sections.section:
        return ''
    named = sections.options['run'] or 'configs/fer2013_cnn.py, as features.run names no run'
    return f'noise in the shape of features of {named}'


def steps_of(system: System) -> Callable:
    """Makes the steps of one dispatch: one on a CPU, a scan over a chunk on accelerators."""

    def run(
        carry: tuple[TrainState, Sums], per_member: PerMember, resident: Resident, batches: Batch
    ) -> tuple[TrainState, Sums]:
        if batches.clip.shape[0] == 1:
            only = jax.tree.map(lambda x: x[0], batches)
            return system.train_step(*carry, per_member, resident, only)

        def step(carry: tuple[TrainState, Sums], batch: Batch):
            return system.train_step(*carry, per_member, resident, batch), None

        return lax.scan(step, carry, batches)[0]

    return run


def take_turns(calls: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, dict[str, Any]]:
    """Times contestants in turns, in an order that reverses from round to round.

    Args:
        calls: do the work once and return its seconds.
        rounds: turns of each; a turn is as many calls as fill TURN seconds, at least one.

    Returns:
        For each name: median, lowest and highest time of a call over rounds, in seconds, and
        'ratio', the median over rounds of the first contestant's time over this one's.
    """
    calls_a_turn = {}
    for name, call in calls.items():
        call()  # warms up
        calls_a_turn[name] = max(1, round(TURN / call()))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name in list(calls)[:: -1 if turn % 2 else 1]:
            spent = [calls[name]() for _ in range(calls_a_turn[name])]
            times[name].append(statistics.mean(spent))
    first = next(iter(times.values()))
    return {
        name: {
            'median': statistics.median(own),
            'lowest': min(own),
            'highest': max(own),
            'ratio': statistics.median(a / b for a, b in zip(first, own, strict=True)),
        }
        for name, own in times.items()
    }


def matmul_peaks() -> dict[str, float]:
    """Measures the operations a second of the fastest large matrix product, for each dtype."""
    on_cpu = jax.default_backend() == 'cpu'
    size = PEAK_SIZE.get(jax.default_backend(), max(PEAK_SIZE.values()))
    peaks = {}
    for dtype in ('float32',) if on_cpu else ('float32', 'bfloat16'):
        a, b = (jax.random.normal(jax.random.key(i), (size, size), dtype) for i in range(2))
        product = jax.jit(jnp.matmul)
        product(a, b).block_until_ready()
        spent = []
        for _ in range(10):
            started = time.perf_counter()
            product(a, b).block_until_ready()
            spent.append(time.perf_counter() - started)
        peaks[dtype] = 2 * size**3 / min(spent)
    return peaks


def floating_point_operations(native: System, sections: Sections, batch: int) -> dict[str, float]:
    """Counts the operations of a training step and of classifying a clip, as XLA does."""
    resident, per_member, batches = noise(sections, batch, 1)
    state = jax.eval_shape(native.init, per_member, resident)
    carry = state, Sums.zero()
    step = jax.jit(steps_of(native)).lower(carry, per_member, resident, batches)
    one = jax.jit(native.evaluate_step).lower(state, per_member, resident, jnp.zeros(1, jnp.int32))
    costs = {'train': step.cost_analysis(), 'infer': one.cost_analysis()}
    return {name: cost['flops'] for name, cost in costs.items() if cost is not None}


def device() -> dict[str, Any]:
    """Describes what was measured on."""
    first = jax.devices()[0]
    kind = (
        platform.processor() or platform.machine() if first.platform == 'cpu' else first.device_kind
    )
    return {'platform': first.platform, 'kind': kind, 'threads': cores()}
