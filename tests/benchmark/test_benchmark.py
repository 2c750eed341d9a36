"""The benchmark command: its figures, its turns, its mistakes."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fer_jax import cli, runtime
from fer_jax.benchmark import __main__ as command
from fer_jax.benchmark import measure as benchmark
from fer_jax.benchmark.torch_models.cnn_rnn import CNNRNN
from fer_jax.benchmark.torch_step import Twin
from fer_jax.config import complete, merged
from fer_jax.errors import UserError
from fer_jax.experiment.sections import Sections

# How ml_collections loads a config.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')

CONFIGS = Path(__file__).parents[2] / 'configs'
SMALL_C3D = [
    f'--config={CONFIGS / "ckplus_c3d.py"}:simulated',
    '--config.data.frames=2',
    '--config.data.size=32',
    '--config.model.width=0.03125',
]


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:.*torch.jit:DeprecationWarning')  # torch.compile's own,
@pytest.mark.filterwarnings('ignore:The .grad attribute:UserWarning')  # both of them
@pytest.mark.parametrize(
    'arguments',
    [
        [*SMALL_C3D, '--batch=2'],
        [f'--config={CONFIGS / "fer2013_stn.py"}', '--config.data.size=24', '--batch=3', '--forms'],
        [f'--config={CONFIGS / "afew_rnn.py"}', '--config.data.frames=3', '--batch=2'],
    ],
)
def test_figures_of_all_contestants(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(runtime, 'prepare', lambda: None)  # the process is the tests'
    monkeypatch.setattr(benchmark, 'TURN', 0.0)
    monkeypatch.setattr(benchmark, 'PEAK_SIZE', {'cpu': 128})
    out = tmp_path / 'figures.json'
    flags = [*arguments, '--against=torch', '--rounds=1', f'--json={out}']
    try:
        cli.call(command.main, command.define, flags)
    finally:
        jax.config.update('jax_enable_compilation_cache', True)
    figures = json.loads(out.read_text())
    contestants = {'fer_jax', 'torch', 'torch.compile'} | (
        {'native'} if '--forms' in flags else set()
    )
    assert set(figures['train']) == set(figures['inference_batch_1']) == contestants
    for name, times in figures['train'].items():
        assert 0 < times['lowest'] <= times['median'] <= times['highest']
        assert np.isclose(times['clips_per_second'] * times['median'], figures['batch'])
        assert np.isclose(times['flops_per_second'] * times['median'], figures['step_flops'])
        assert ('compile_seconds' in times) == (name != 'torch')
    slowest = max(figures['train'][name]['ratio'] for name in ('torch', 'torch.compile'))
    assert figures['over_the_faster_rival']['training'] == slowest
    assert figures['train']['fer_jax']['ratio'] == 1
    assert ('features.run names no run' in figures['features']) == ('afew_rnn' in arguments[0])
    # Nothing is differentiated with respect to features: forward and the weights' gradient.
    passes = 2 if figures['features'] else 3
    assert figures['step_flops'] > passes * figures['inference_flops'] > 0
    assert figures['process_peak_bytes'] > 2**20
    assert figures['parameter_bytes'] == 4 * figures['parameters'] > 4000
    printed = capsys.readouterr().out
    assert all(name in printed for name in contestants)


def config_of(file):
    return runpy.run_path(str(CONFIGS / file))['get_config']()


@pytest.mark.parametrize(
    'file, changes, shape',
    [
        ('fer2013_cnn.py', {'model.width': 0.125}, (1, 40, 40, 1)),  # cropped from 48 x 48
        ('ckplus_stn.py', {}, (1, 48, 48, 1)),
        ('afew_rnn.py', {'data.frames': 3, 'model.units': 5}, (3, 10, 10, 32)),
    ],
)
def test_the_twin_sees_what_the_network_sees(file, changes, shape):
    config = config_of(file)
    config.update_from_flattened_dict(changes)
    sections = Sections.open(config)
    system = sections.learner.system(benchmark.CLASSES)
    subject = benchmark.Subject(system, sections, 2)
    assert subject.clip_shape == shape
    twin = benchmark.twin_maker(sections, subject)()
    seen = twin._seen(twin._clip, None if sections.section else twin._affine)
    assert seen.movedim(1, -1).shape[1:] == shape
    trained = [p for p in twin._module.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == subject.parameters


def twin_of(changes):
    config = merged(config_of('fer2013_stn.py'), changes)
    shape = (1, 48, 48, 1)
    return Twin(
        Sections.open(complete(config)).network, 2, shape, shape,
        of_features=False, classes=7, threads=benchmark.cores(), on_gpu=False,
    )  # fmt: skip


def test_a_twin_steps_by_adamw_and_refuses_an_optimizer_that_pytorch_lacks():
    twin = twin_of({'optimizer': {'name': 'adamw'}})
    assert isinstance(twin._optimizer, torch.optim.AdamW)
    assert twin.train() > 0
    with pytest.raises(UserError, match="optimizer.name is 'plain_adam', which its PyTorch twin"):
        twin_of({'optimizer': {'name': 'plain_adam'}})


def test_a_twin_steps_as_the_config_s_optimizer_does():
    values = {'momentum': 0.8, 'nesterov': True, 'weight_decay': 0.01}
    momentum = twin_of(
        {'optimizer': {'name': 'momentum', 'learning_rate': 0.1, **values}}
    )._optimizer
    kernels, others = momentum.param_groups
    assert {name: kernels[name] for name in values} == values and kernels['lr'] == 0.1
    assert others['weight_decay'] == 0 and others['momentum'] == 0.8
    assert {p.dim() for p in others['params']} == {1}
    assert all(p.dim() > 1 for p in kernels['params']) and len(kernels['params']) == 10
    for name in ('adam', 'adamw'):
        given = {'name': name, 'epsilon': 1e-4, 'weight_decay': 0.01}
        kernels, others = twin_of({'optimizer': given})._optimizer.param_groups
        assert (kernels['eps'], kernels['weight_decay'], others['weight_decay']) == (1e-4, 0.01, 0)


def test_a_twin_judges_mirror_images_where_the_config_does():
    for mirrored in (True, False):
        twin = twin_of({'inputs': {'mirrored': mirrored}})
        twin._module.eval()
        as_they_are = twin._probabilities(twin._clip)
        twin._resident = twin._resident.flip(3)
        turned = twin._probabilities(twin._clip)
        assert torch.allclose(as_they_are, turned, rtol=1e-5, atol=1e-7) == mirrored


def test_a_frozen_cnn_s_twin_drops_nothing_out():
    for freeze in (True, False):
        twin = CNNRNN((1, 40, 8, 1), num_classes=7, units=4, width=0.25, freeze=freeze).train()
        x = torch.rand(2, 1, 1, 40, 8)
        assert torch.equal(twin(x), twin(x)) == freeze


def test_features_without_a_run_have_the_shape_that_the_frame_network_gives():
    config, learner = config_of('fer2013_cnn.py'), config_of('afew_rnn.py')
    model = Sections.open(config).learner.system(benchmark.CLASSES).model
    seen = jnp.zeros((1, 1, config.inputs.crop, config.inputs.crop, config.inputs.channels))
    state = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), seen)[1])
    _, state = jax.eval_shape(lambda v: model.apply(v, seen, mutable=['intermediates']), state)
    (made,) = state['intermediates'][learner.features.layer]
    assert made.shape == (1, 1, *benchmark.FEATURES)


def test_operations_are_counted_without_the_padding():
    """A 3 x 3 convolution that is all padding but its centre, against the count by hand."""
    kernel, image = jnp.zeros((3, 3, 5, 7)), jnp.zeros((2, 1, 1, 5))
    step = jax.jit(lambda x, k: jax.lax.conv_general_dilated(
        x, k, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    ))  # fmt: skip
    assert step.lower(image, kernel).cost_analysis()['flops'] == 2 * 2 * 5 * 7


def test_turns_alternate_and_ratios_are_pairwise(monkeypatch):
    monkeypatch.setattr(benchmark, 'TURN', 0.0)
    order = []

    def contestant(name, seconds):
        times = iter([9.0, 9.0, *seconds])  # warming up and counting come first

        def call():
            order.append(name)
            return next(times)

        return call

    # A machine that becomes twice as slow in the second round: the pairs still agree.
    times = benchmark.take_turns(
        {
            'ours': contestant('ours', [1.0, 2.0, 1.0]),
            'other': contestant('other', [2.0, 4.0, 8.0]),
        },
        rounds=3,
    )
    assert order[4:] == ['ours', 'other', 'other', 'ours', 'ours', 'other']
    assert times['other'] == {'median': 4.0, 'lowest': 2.0, 'highest': 8.0, 'ratio': 0.5}
    assert times['ours']['ratio'] == 1


@pytest.mark.parametrize(
    'flags, message',
    [
        ([], 'give an experiment'),
        ([*SMALL_C3D, '--rounds=0'], 'give at least 1'),
        ([f'--config={CONFIGS / "afew_audio.py"}'], 'afew_audio is no network that trains in'),
        ([f'--config={CONFIGS / "afew_rnn.py"}', '--film=film.mp4'], 'a network that sees faces'),
        ([f'--config={CONFIGS / "afew_rnn.py"}', '--forms'], 'rnn has one formulation'),
        ([*SMALL_C3D, '--batch=-1'], 'give at least 1'),
    ],
)
def test_mistakes_are_the_user_s(flags, message):
    with pytest.raises(UserError, match=message):
        cli.call(command.main, command.define, flags)


def test_help_says_what_is_measured():
    environment = {**os.environ, 'JAX_PLATFORMS': 'cpu'}
    environment.pop('OMP_WAIT_POLICY', None)  # so that the command starts itself again
    done = subprocess.run(
        [sys.executable, '-m', 'fer_jax.benchmark', '--help'],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '--against' in done.stdout and 'cost analysis' in done.stdout
