"""What the benchmark lets run: a system's compiled programs, and its PyTorch twin."""

import os
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from ml_collections import ConfigDict

from fer_jax.errors import UserError
from fer_jax.training.mesh import make_layout
from fer_jax.training.state import Batch, Resident, Sums, Traits
from fer_jax.training.step import System

# Noise has no classes; the number of emotions of most datasets here.
CLASSES = 7


class Subject:
    """A system's compiled training step and inference on noise."""

    def __init__(self, system: System, config: ConfigDict, batch: int):
        layout = make_layout(1, jax.devices()[:1], wave=1, chunk=config.train.chunk)
        self._steps = layout.chunk
        resident, traits, batches = noise(config, batch, self._steps)
        self._data = traits, resident, batches
        self.clip_shape = (*resident.frames.shape[1:-1], config.inputs.channels)
        # Not measured, and random numbers are slow to compile well.
        init = jax.jit(system.init, compiler_options={'xla_backend_optimization_level': 1})
        self._carry = init(traits, resident), Sums.zero()
        started = time.perf_counter()
        train = jax.jit(steps_of(system), donate_argnums=0)
        self._train = train.lower(self._carry, *self._data).compile()
        compile_seconds = time.perf_counter() - started
        infer = jax.jit(system.evaluate_step)
        self._clip = traits, resident, jnp.zeros(1, jnp.int32)
        started = time.perf_counter()
        self._infer = infer.lower(self._carry[0], *self._clip).compile()
        memory = self._train.memory_analysis()
        self.compiled = {
            'compile_seconds': compile_seconds,
            'inference_compile_seconds': time.perf_counter() - started,
            'program_bytes': memory.temp_size_in_bytes + memory.argument_size_in_bytes,
        }

    def train(self) -> float:
        """Seconds a step."""
        started = time.perf_counter()
        self._carry = jax.block_until_ready(self._train(self._carry, *self._data))
        return (time.perf_counter() - started) / self._steps

    def infer(self) -> float:
        """Seconds a clip, one at a time."""
        started = time.perf_counter()
        jax.block_until_ready(self._infer(self._carry[0], *self._clip))
        return time.perf_counter() - started


class Twin:
    """The PyTorch twin's training step and inference on a batch that lies ready.

    The step is forward, cross-entropy, backward and the config's optimizer; Lookahead and the L2
    penalty, where the config has them, are left to fer_jax.

    Raises:
        UserError: no PyTorch, or one without the GPU that JAX runs on.
    """

    def __init__(self, config: ConfigDict, batch: int):
        try:
            import torch
        except ImportError:
            raise UserError("--against=torch needs PyTorch: pip install 'fer_jax[dev]'") from None
        from fer_jax.twins import TWINS

        self._torch = torch
        on_gpu = jax.default_backend() == 'gpu'
        if on_gpu and not torch.cuda.is_available():
            raise UserError('jax runs on a GPU and this PyTorch does not: install its CUDA build')
        torch.set_num_threads(threads())
        self._device = torch.device('cuda' if on_gpu else 'cpu')
        data = config.data
        shape = (data.frames, data.size, data.size, config.inputs.channels)
        options = dict(config.model)
        module = TWINS[options.pop('name')]
        dtype = getattr(torch, options.pop('dtype', 'float32'))
        for own in ('initializer', 'init_std', 'form'):  # the twin draws its own initial values
            options.pop(own, None)
        self._module = module(shape, num_classes=CLASSES, **options).to(self._device, dtype)
        self._run = torch.compile(self._module) if on_gpu else self._module
        size = (batch, shape[-1], *shape[:-1])
        self._frames = torch.rand(size, device=self._device, dtype=dtype)
        self._label = torch.arange(batch, device=self._device) % CLASSES
        rate, kind = config.optimizer.learning_rate, config.optimizer.name
        self._optimizer = {
            'sgd': lambda p: torch.optim.SGD(p, lr=rate),
            'momentum': lambda p: torch.optim.SGD(p, lr=rate, momentum=0.9),
            'adam': lambda p: torch.optim.Adam(p, lr=rate),
        }[kind](self._module.parameters())

    def train(self) -> float:
        """Seconds a step."""
        self._module.train()
        started = time.perf_counter()
        self._optimizer.zero_grad()
        logits = self._run(self._frames).float()
        self._torch.nn.functional.cross_entropy(logits, self._label).backward()
        self._optimizer.step()
        self._finish()
        return time.perf_counter() - started

    def infer(self) -> float:
        """Seconds a clip, one at a time."""
        self._module.eval()
        started = time.perf_counter()
        with self._torch.inference_mode():
            self._run(self._frames[:1]).softmax(-1)
        self._finish()
        return time.perf_counter() - started

    def _finish(self) -> None:
        if self._device.type == 'cuda':
            self._torch.cuda.synchronize()


def noise(config: ConfigDict, batch: int, steps: int) -> tuple[Resident, Traits, Batch]:
    """Clips of the config's geometry, and a member's batches [step, row, ...] of turned views."""
    data, rng = config.data, np.random.default_rng(0)
    shape = (batch, data.frames, data.size, data.size, data.channels)
    resident = Resident(
        frames=jnp.asarray(rng.integers(0, 256, shape, np.uint8)),
        length=jnp.full(batch, data.frames, jnp.int32),
        label=jnp.arange(batch, dtype=jnp.int32) % CLASSES,
    )
    traits = Traits(
        key=jax.random.key(0),
        learning_rate=jnp.float32(config.optimizer.learning_rate),
        dropout_rate=jnp.float32(config.model.get('dropout_rate', 0.0)),
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
    return resident, traits, batches


def steps_of(system: System) -> Callable:
    """The steps of one dispatch: one on a CPU, a scan over a chunk on accelerators."""

    def run(carry, traits, resident, batches):
        if batches.clip.shape[0] == 1:
            only = jax.tree.map(lambda x: x[0], batches)
            return system.train_step(*carry, traits, resident, only)
        step = lambda carry, batch: (system.train_step(*carry, traits, resident, batch), None)  # noqa: E731
        return lax.scan(step, carry, batches)[0]

    return run


def floating_point_operations(native: System, config: ConfigDict, batch: int) -> dict[str, float]:
    """Operations of a training step and of one clip's inference, by XLA's cost analysis."""
    resident, traits, batches = noise(config, batch, 1)
    state = jax.eval_shape(native.init, traits, resident)
    carry = state, Sums.zero()
    step = jax.jit(steps_of(native)).lower(carry, traits, resident, batches)
    one = jax.jit(native.evaluate_step).lower(state, traits, resident, jnp.zeros(1, jnp.int32))
    return {'train': step.cost_analysis()['flops'], 'infer': one.cost_analysis()['flops']}


def threads() -> int:
    """Cores that this process may run on: what XLA's CPU backend uses."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
