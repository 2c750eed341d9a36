"""A twin's training step and inference, for `benchmark --against=torch` to time."""

import inspect
import shutil
import time
from collections.abc import Sequence

import torch

from fer_jax.benchmark.torch_models import TWINS
from fer_jax.config.keys import NETWORKS
from fer_jax.errors import UserError
from fer_jax.experiment.learners import NetworkLearner
from fer_jax.experiment.network_sections import Optimizer

# Options of the models that the twins do not have: they draw their own initial values.
OWN = ('initializer', 'init_std', 'identity_scale', 'unit_forget_bias', 'form')

COMPILERS = ('c++', 'g++', 'clang++')  # that torch.compile looks for on a CPU


class Twin:
    """The PyTorch twin's training step and inference.

    The step is what a user of PyTorch would write: clips are picked from those in memory; pictures
    are scaled and warped (affine_grid, grid_sample), as fer_jax warps them; then forward, cross-
    entropy, backward, clipping and the config's optimizer with its decay. What else a config may
    have is left to fer_jax alone: Lookahead, the running average, the L2 penalty, schedules, other
    losses (class weights, smoothing and votes too), contrast, mixup, erasing, teachers, and
    normalisation other than to 0 to 1.

    Attributes:
        channels_last: as given.
        compiled: 'compile_seconds' of both programs; nothing where nothing is compiled.

    Args:
        learner: whose model and optimizer matter.
        batch: clips a step.
        stored: (T, H, W, C) of the clips in memory.
        shape: of the clips as the network sees them.
        of_features: clips are features, which are not warped.
        classes: of the classifier.
        threads: of a CPU.
        on_gpu: whether to run on the first GPU.
        compiled: by torch.compile.
        channels_last: how convolutions' kernels lie in memory.

    Raises:
        UserError: this PyTorch knows no GPU or cannot compile, or the twin does not have an option
          of the model, or the optimizer.
    """

    def __init__(
        self,
        learner: NetworkLearner,
        batch: int,
        stored: Sequence[int],
        shape: Sequence[int],
        *,
        of_features: bool,
        classes: int,
        threads: int,
        on_gpu: bool,
        compiled: bool = False,
        channels_last: bool = False,
    ):
        if on_gpu and not torch.cuda.is_available():
            raise UserError('jax runs on a GPU and this PyTorch does not: install its CUDA build')
        torch.set_num_threads(threads)
        self._device = torch.device('cuda' if on_gpu else 'cpu')
        options = dict(learner.options)
        module = TWINS[learner.name]
        self._dtype = getattr(torch, options.pop('dtype', 'float32'))
        known = inspect.signature(module.__init__).parameters
        for name in [name for name in options if name not in known]:
            value = options.pop(name)
            if name not in OWN and value != NETWORKS[learner.name][name]:
                raise UserError(
                    f'model.{name} is {value!r}, which its PyTorch twin does not have: leave '
                    '--against out'
                )
        self._module = module(shape, num_classes=classes, **options).to(self._device, self._dtype)
        self.channels_last = channels_last
        if channels_last:
            formats = {4: torch.channels_last, 5: torch.channels_last_3d}
            for each in self._module.parameters():
                if each.dim() in formats:
                    each.data = each.data.contiguous(memory_format=formats[each.dim()])
        self._shape = tuple(shape)
        self._of_features = of_features
        self._mirrored = learner.inputs.mirrored
        self._resident = torch.rand((batch, *stored), device=self._device, dtype=self._dtype)
        if not of_features:
            self._resident = (self._resident * 255).to(torch.uint8)
        self._clip = torch.arange(batch, device=self._device)
        turn = torch.eye(2, 3, device=self._device, dtype=self._dtype)
        self._affine = turn + 0.02 * torch.randn(batch, 2, 3, device=self._device, dtype=turn.dtype)
        self._label = self._clip % classes
        self._norm = learner.optimizer.options.get('clip', 0.0)
        self._optimizer = _optimizer(self._module, learner.optimizer)
        self._run = self._loss_of
        self._infer = self._probabilities
        self.compiled = {}
        if compiled:
            if not on_gpu and not any(map(shutil.which, COMPILERS)):
                raise UserError('torch.compile needs a C++ compiler: apt install g++')
            self._run = torch.compile(self._loss_of, dynamic=False)
            self._infer = torch.compile(self._probabilities, dynamic=False)
            self.compiled = {'compile_seconds': self.train() + self.infer()}

    def train(self) -> float:
        """Trains and returns the seconds a step."""
        self._module.train()
        started = time.perf_counter()
        self._optimizer.zero_grad()
        self._run(self._clip, self._affine, self._label).backward()
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
            self._infer(self._clip[:1])
        self._finish()
        return time.perf_counter() - started

    def _loss_of(
        self, clip: torch.Tensor, affine: torch.Tensor, label: torch.Tensor
    ) -> torch.Tensor:
        """Returns the loss of views of clips, by number."""
        logits = self._module(self._seen(clip, affine)).float()
        return torch.nn.functional.cross_entropy(logits, label)

    def _probabilities(self, clip: torch.Tensor) -> torch.Tensor:
        """Returns clips' probabilities, by number; of mirror images too if they count."""
        seen = self._seen(clip, None)
        found = self._module(seen).softmax(-1)
        if not self._mirrored:
            return found
        return (found + self._module(seen.flip(-1)).softmax(-1)) / 2

    def _seen(self, clip: torch.Tensor, affine: torch.Tensor | None) -> torch.Tensor:
        """Picks clips and makes of them what the network sees.

        Returns:
            [B, C, T, H, W]; their memory stays in the order of frames.
        """
        frames = self._resident[clip]
        if self._of_features:
            return frames.movedim(-1, 1)
        frames = frames.to(self._dtype) / 255
        length, rows, columns, channels = self._shape
        frames = frames.expand(*frames.shape[:-1], channels)
        if affine is None:
            top, left = (frames.shape[2] - rows) // 2, (frames.shape[3] - columns) // 2
            return frames[:, :, top : top + rows, left : left + columns].movedim(-1, 1)
        flat = frames.flatten(0, 1).movedim(-1, 1)  # [B * T, C, H, W]
        # The part that the network sees of the picture, in affine_grid's units of half its side.
        part = affine * (rows / frames.shape[2])
        grid = torch.nn.functional.affine_grid(
            part.repeat_interleave(length, 0),
            [len(flat), channels, rows, columns],
            align_corners=False,
        )
        warped = torch.nn.functional.grid_sample(flat, grid, align_corners=False)
        return warped.unflatten(0, (len(clip), length)).movedim(1, 2)

    def _finish(self) -> None:
        if self._device.type == 'cuda':
            torch.cuda.synchronize()


def _optimizer(module: torch.nn.Module, section: Optimizer) -> torch.optim.Optimizer:
    """Makes the optimizer of a config; UserError for one that PyTorch does not have."""
    options = section.options
    name, momentum = options['name'], options.get('momentum', 0.9)
    kernels = [p for p in module.parameters() if p.dim() > 1]
    others = [p for p in module.parameters() if p.dim() <= 1]
    decay, rate = options.get('weight_decay', 0.0), section.learning_rate
    given = {'params': [{'params': kernels, 'weight_decay': decay}, {'params': others}], 'lr': rate}
    given['weight_decay'] = 0.0  # of the others
    if name == 'sgd':
        return torch.optim.SGD(**given)
    if name == 'momentum':
        nesterov = options.get('nesterov', False) and momentum > 0
        return torch.optim.SGD(**given, momentum=momentum, nesterov=nesterov)
    given['eps'] = options.get('epsilon', 1e-8)
    if name == 'adam':
        return torch.optim.Adam(**given)
    if name == 'adamw':
        return torch.optim.AdamW(**given)
    raise UserError(
        f"optimizer.name is '{name}', which its PyTorch twin does not have: leave --against out"
    )
