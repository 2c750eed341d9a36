"""A twin's training step and inference, for `benchmark --against=torch` to time."""

import inspect
import time
from collections.abc import Sequence

import torch

from fer_jax.benchmark.torch_models import TWINS
from fer_jax.config.keys import NETWORKS
from fer_jax.errors import UserError
from fer_jax.experiment.learners import NetworkLearner

# Options of the models that the twins do not have: they draw their own initial values.
OWN = ('initializer', 'init_std', 'identity_scale', 'unit_forget_bias', 'form')


class Twin:
    """The PyTorch twin's training step and inference.

    The step is forward, cross-entropy, backward, clipping and the config's optimizer; Lookahead and
    the L2 penalty, where the config has them, are left to fer_jax. Clips of features are picked
    from those in memory, as fer_jax picks them; pictures, which fer_jax picks, scales and augments,
    lie ready.

    Args:
        learner: whose model and optimizer matter.
        batch: clips a step.
        shape: (T, H, W, C) of the clips as the network sees them.
        of_features: clips are features, to be picked from those in memory.
        classes: of the classifier.
        threads: of a CPU.
        on_gpu: whether to run, compiled (torch.compile), on the first GPU.

    Raises:
        UserError: this PyTorch knows no GPU, or the twin does not have an option of the model.
    """

    def __init__(
        self,
        learner: NetworkLearner,
        batch: int,
        shape: Sequence[int],
        *,
        of_features: bool,
        classes: int,
        threads: int,
        on_gpu: bool,
    ):
        if on_gpu and not torch.cuda.is_available():
            raise UserError('jax runs on a GPU and this PyTorch does not: install its CUDA build')
        torch.set_num_threads(threads)
        self._device = torch.device('cuda' if on_gpu else 'cpu')
        options = dict(learner.options)
        module = TWINS[learner.name]
        dtype = getattr(torch, options.pop('dtype', 'float32'))
        known = inspect.signature(module.__init__).parameters
        for name in [name for name in options if name not in known]:
            value = options.pop(name)
            if name not in OWN and value != NETWORKS[learner.name][name]:
                raise UserError(
                    f'model.{name} is {value!r}, which its PyTorch twin does not have: leave '
                    '--against out'
                )
        self._module = module(shape, num_classes=classes, **options).to(self._device, dtype)
        self._run = torch.compile(self._module) if on_gpu else self._module
        self._resident = torch.rand((batch, *shape), device=self._device, dtype=dtype)
        self._clip = torch.arange(batch, device=self._device)
        self._frames = None if of_features else self._pick(self._clip).contiguous()
        self._label = self._clip % classes
        rate, optimizer = learner.optimizer.learning_rate, learner.optimizer.options
        self._norm = optimizer.get('clip', 0.0)
        self._optimizer = {
            'sgd': lambda p: torch.optim.SGD(p, lr=rate),
            'momentum': lambda p: torch.optim.SGD(p, lr=rate, momentum=0.9),
            'adam': lambda p: torch.optim.Adam(p, lr=rate),
        }[optimizer['name']](self._module.parameters())

    def train(self) -> float:
        """Trains and returns the seconds a step."""
        self._module.train()
        started = time.perf_counter()
        self._optimizer.zero_grad()
        frames = self._pick(self._clip) if self._frames is None else self._frames
        logits = self._run(frames).float()
        torch.nn.functional.cross_entropy(logits, self._label).backward()
        if self._norm:
            torch.nn.utils.clip_grad_norm_(self._module.parameters(), self._norm)
        self._optimizer.step()
        self._finish()
        return time.perf_counter() - started

    def infer(self) -> float:
        """Classifies one clip and returns the seconds."""
        self._module.eval()
        started = time.perf_counter()
        with torch.inference_mode():
            frames = self._pick(self._clip[:1]) if self._frames is None else self._frames[:1]
            self._run(frames).softmax(-1)
        self._finish()
        return time.perf_counter() - started

    def _pick(self, clip: torch.Tensor) -> torch.Tensor:
        """Picks clips [B, C, T, H, W] by number; their memory stays in the order of frames."""
        return self._resident[clip].movedim(-1, 1)

    def _finish(self) -> None:
        if self._device.type == 'cuda':
            torch.cuda.synchronize()
