"""Every config in every variant: run abstractly, and (slow) an epoch on a few simulated people."""

import csv
import functools
import importlib.util
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from fer_jax import config as configs
from fer_jax.experiment import run as experiment
from fer_jax.experiment.classifiers import ClassifierLearner
from fer_jax.experiment.sections import Sections
from fer_jax.kahou2015 import regularisers
from fer_jax.kahou2015.feature_fusion import FeatureFusion
from fer_jax.training.state import Batch, PerMember, Resident, Sums

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / 'configs').glob('*.py'))
# How a config's docstring begins: with its paper, or with what is of no paper.
PAPERS = ('jain2018', 'saurav2020', 'minaee2019', 'haddad2020', 'kahou2015', "fer_jax's own")
# What must be known before a number is believed, in this order.
ITEMS = ('Command', 'Hardware and time', 'Paper', 'Ours', 'Deviations')
# People drawn at most, one member of one seed and one epoch: whether it trains, not how well.
SUBJECTS = 20
# Label set -> classes, where they are not seven.
CLASSES = {'ferplus8': 8, 'ravdess8': 8, 'crema_d': 6, 'crema_d_rated': 6}
# The variant that a network behind another one needs a run of, with the key that names the run.
BEHIND = {
    'jaffe_cnn_rnn': ('init.run', 'jaffe_cnn_rnn', 'cnn'),
    'mmi_cnn_rnn': ('init.run', 'mmi_cnn_rnn', 'cnn'),
    'mmi_svm': ('features.run', 'mmi_cnn_rnn', 'cnn'),
    'afew_rnn': ('features.run', 'fer2013_cnn', 'afew'),
    'afew_rnn:registered': ('features.run', 'fer2013_cnn', 'afew,registered'),
    'afew_convlstm:two_branch': ('init.run', 'fer2013_two3', ''),
}


def load(path: Path):
    """The config's module."""
    spec = importlib.util.spec_from_file_location(f'config_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def variants() -> list:
    """Each config as published, and with each variant that its get_config names."""
    found = []
    for path in CONFIGS:
        listed = re.search(r'variants: ([^.]+)\.', load(path).get_config.__doc__)
        names = [name.strip().replace('=N', '=0') for name in listed.group(1).split(',')]
        found += [pytest.param(path, name, id=f'{path.stem}:{name}') for name in ('', *names)]
    return found


def trained() -> list:
    """Variants that train by steps, but the size and the choice of a fold."""
    found = []
    for parameter in variants():
        path, variant = parameter.values
        config = load(path).get_config(variant)
        if 'train' in config and 'models' not in config and not variant.startswith(('simul', 'fo')):
            found.append(parameter)
    return found


def ablations() -> list:
    """Each ablation that a config declares for itself as published."""
    found = []
    for path in CONFIGS:
        module = load(path)
        names = (
            module.get_ablations(module.get_config()) if hasattr(module, 'get_ablations') else ()
        )
        found += [pytest.param(path, name, id=f'{path.stem}:{name}') for name in names]
    return found


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_docstring_says_what_is_needed_to_judge_a_result(path):
    doc = load(path).__doc__
    assert doc.startswith(PAPERS)
    places = [re.search(rf'\b{item}\b', doc) for item in ITEMS]
    assert all(places), [item for item, place in zip(ITEMS, places, strict=True) if not place]
    assert [place.start() for place in places] == sorted(place.start() for place in places)
    assert f'configs/{path.name}' in doc


@pytest.mark.parametrize(('path', 'variant'), variants())
def test_config_runs_abstractly(path, variant):
    config = load(path).get_config(variant)
    # All keys of its kinds and no other: tests/test_defaults.py asks that each of them is used.
    assert configs.complete(config).to_dict() == config.to_dict()
    run_abstractly(config)


@pytest.mark.parametrize(('path', 'name'), ablations())
def test_reading_runs_abstractly(path, name):
    module = load(path)
    config = module.get_config()
    ablation = module.get_ablations(config)[name]
    changed = configs.changed(config, name, ablation)
    assert configs.identity(changed) != configs.identity(config)
    assert ablation.why.endswith('.')
    run_abstractly(configs.complete(changed))


@pytest.mark.parametrize(('path', 'variant'), variants())
def test_readings_fit_every_variant(path, variant):
    module = load(path)
    config = module.get_config(variant)
    for name, ablation in getattr(module, 'get_ablations', lambda config: {})(config).items():
        configs.complete(configs.changed(config, name, ablation))


@pytest.mark.parametrize(('path', 'variant'), variants())
def test_every_ablation_is_named_on_the_page_of_its_paper(path, variant):
    module = load(path)
    config = module.get_config(variant)
    page = ROOT / 'docs' / 'papers' / f'{config.get("paper")}.md'
    if page.exists() and hasattr(module, 'get_ablations'):
        text = page.read_text()
        missing = [name for name in module.get_ablations(config) if f'`{name}`' not in text]
        assert not missing


def fuse_abstractly(fusion):
    """The fusion network of a config of several models, and its penalty."""
    network = FeatureFusion(7, tuple(fusion.units), fusion.common, fusion.activation)
    features = [jax.ShapeDtypeStruct((5, size), jnp.float32) for size in (105, 10, 200)]
    variables = jax.eval_shape(network.init, jax.random.key(0), features)
    assert jax.eval_shape(network.apply, variables, features).shape == (5, 7)
    penalty = functools.partial(regularisers.penalty, **fusion.penalty)
    assert jax.eval_shape(penalty, variables['params']).shape == ()


def run_abstractly(config):
    """A training step and an evaluation step of the config's system, shapes and types only."""
    if 'models' in config:  # made of other configs
        for own in (config.frames.training, *config.models.values()):
            run_abstractly(own)
        fuse_abstractly(config.fusion)
        return
    classes = CLASSES.get(config.data.labels, 7)
    sections = Sections.open(config)
    learner = sections.learner
    if isinstance(learner, ClassifierLearner):  # fitted at once: there is no step to trace
        assert callable(learner.classifier.fit) and callable(learner.classifier.predict)
        return
    learner.check_source(sections.section or None, None)
    system = learner.system(classes)

    def array(dtype, *shape):
        return jax.ShapeDtypeStruct(shape, dtype)

    size, channels = config.data.size, config.data.channels
    clips, rows = 5, min(config.train.batch_size, 4)
    fitted = (size, size, channels) if config.inputs.normalize == 'mean_std' else (1, 1, 1)
    scalar = array(jnp.float32)
    per_member = PerMember(
        key=jax.eval_shape(lambda: jax.random.key(0)),
        learning_rate=scalar,
        dropout_rate=scalar,
        total_steps=scalar,
        class_weight=array(jnp.float32, classes),
        mean=array(jnp.float32, *fitted),
        std=array(jnp.float32, *fitted),
    )
    resident = Resident(
        frames=array(
            jnp.uint8, clips, 1 if config.data.stills else config.data.frames, size, size, channels
        ),
        length=array(jnp.int32, clips),
        label=array(jnp.int32, clips),
        target=array(jnp.float32, clips, classes) if config.loss.targets == 'votes' else None,
    )
    batch = Batch(
        clip=array(jnp.int32, rows),
        affine=array(jnp.float32, rows, 2, 3),
        contrast=array(jnp.float32, rows),
        mask=array(jnp.bool_, rows),
    )
    sums = jax.eval_shape(Sums.zero)

    state = jax.eval_shape(system.init, per_member, resident)
    after = jax.eval_shape(system.train_step, state, sums, per_member, resident, batch)
    # A step returns what it takes: else it could not be donated, scanned or resumed.
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), (state, sums)
    )
    probabilities = jax.eval_shape(system.evaluate_step, state, per_member, resident, batch.clip)
    assert probabilities.shape == (rows, classes)
    assert probabilities.dtype == jnp.float32


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Runs a variant once and tells the folder of its run."""
    data_dir, runs = tmp_path_factory.mktemp('data'), tmp_path_factory.mktemp('runs')

    @functools.cache
    def run(stem, variant):
        config = load(CONFIGS[0].parent / f'{stem}.py').get_config(
            ','.join(filter(None, (variant, 'simulated')))
        )
        config.simulated.subjects = min(config.simulated.subjects, SUBJECTS)
        config.train.update({'epochs': 1, 'seeds': 1})
        if 'fold' in config.protocol:
            config.protocol.fold = 0
        key, first, own = BEHIND.get(f'{stem}:{variant}') or BEHIND.get(stem) or ('', '', '')
        if key and own not in variant.split(','):
            same = variant if first == stem and variant != 'tanh' else ''
            config.update_from_flattened_dict(
                {key: str(run(first, ','.join(filter(None, (own, same)))))}
            )
        folder = runs / f'{stem}_{variant}'
        experiment.run(config, workdir=str(folder), data_dir=data_dir, pages=False)
        return folder

    return run


@pytest.mark.slow
@pytest.mark.parametrize(('path', 'variant'), trained())
def test_variant_trains_on_simulated_faces(path, variant, run):
    folder = run(path.stem, variant)
    config = json.loads((folder / 'config.json').read_text())
    assert config['simulated']['subjects'] and (folder / 'DONE').exists()
    with (folder / 'predictions.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    # Each clip that judges counts once under a rule.
    judged = [(row['rule'], row['part'], row['member'], row['clip_id']) for row in rows]
    assert len(judged) == len(set(judged))
