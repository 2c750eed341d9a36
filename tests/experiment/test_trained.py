"""Networks of finished runs, applied when the runs' data are gone; what is kept of each member."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from fer_jax import config as configs
from fer_jax.data import fitted
from fer_jax.errors import UserError
from fer_jax.evaluation import predictions
from fer_jax.experiment import fits
from fer_jax.experiment import run as experiment
from fer_jax.experiment.fits import MemberFits
from fer_jax.experiment.sections import Sections
from fer_jax.experiment.trained import TrainedNetwork

ROOT = Path(__file__).parents[2]
# Everything that can be fitted: registration, images and class weights; members trained again.
CHANGES = {
    'simulated.subjects': 8, 'data.frames': 2, 'data.size': 24, 'data.registration': 'mean_shape',
    'protocol.k': 2, 'protocol.validation': 0.3, 'inputs.equalize': 'histogram',
    'inputs.normalize': 'mean_std', 'loss.class_weights': True, 'train.retrain': True,
    'train.epochs': 3, 'train.batch_size': 8, 'optimizer.learning_rate': 3e-3,
}  # fmt: skip


@pytest.fixture(scope='module')
def place(tmp_path_factory, drawn_data):
    """A finished run, what it was built from, and each member's frames as they were loaded."""
    folder = tmp_path_factory.mktemp('trained')
    config = configs.load_config(ROOT / 'configs' / 'ckplus_c3d.py', 'simulated')
    config.update_from_flattened_dict(CHANGES)
    with config.unlocked():
        config.inputs.update({'crop': 20, 'mirrored': True})
        model = {'name': 'frame_cnn', 'structure': 'two3', 'width': 0.25, 'dropout_rate': 0.0}
        config.model = model
    data = shutil.copytree(drawn_data, folder / 'data')
    experiment.run(config, workdir=str(folder / 'run'), data_dir=data, pages=False)
    built = experiment.build(experiment.resolve(config), data)
    source = Sections.open(config).clips
    prepared = source.ensure_prepared(data)
    stored = [MemberFits.load(fits.path_of(folder / 'run', m.index)) for m in built.everyone]
    clips = [source.load(prepared, own.registration) for own in stored]
    shutil.rmtree(data)
    return folder / 'run', built, stored, clips


def test_what_was_fitted_for_a_member_is_kept_with_the_run(place):
    run, built, stored, _ = place
    assert len(stored) == 4
    for member, own in zip(built.everyone, stored, strict=True):
        assert own.classes == built.clips.classes
        assert set(own.values) == {
            fitted.MEAN_SHAPES, fitted.TARGET_SHAPE, fitted.CLASS_WEIGHTS, fitted.MEAN_STD
        }  # fmt: skip
        for fit in member.fits:
            expected = fit.value if isinstance(fit.value, tuple) else (fit.value,)
            for one, other in zip(own.values[fit.name], expected, strict=True):
                np.testing.assert_array_equal(one, other)
                assert one.dtype == other.dtype
        np.testing.assert_array_equal(own.mean_std, (member.mean, member.std))
    # The folds' images differ, and so do those of a member that saw the validation clips as well.
    means = [own.mean_std[0] for own in stored]
    assert all((means[0] != mean).any() for mean in means[1:])


def test_a_network_is_applied_without_the_data_of_its_run(place):
    run, built, stored, clips = place
    assert not (run.parent / 'data').exists()
    table = predictions.load(run / 'probabilities.npz')
    for number, loaded in enumerate(clips):
        network = TrainedNetwork.open(run, number)
        assert network.classes == table.classes and network.shape == loaded.frames.shape[1:]
        found = network.probabilities(loaded.frames, loaded.length)
        assert found.dtype == np.float32 and found.shape == (len(loaded), len(table.classes))
        tested = np.isin(loaded.clip_id, table.clip_id[table.part[number] == predictions.TEST])
        rows = np.searchsorted(table.clip_id, loaded.clip_id[tested])
        saved = table.probabilities[number, network.epoch - 1, rows]
        np.testing.assert_allclose(found[tested], saved, atol=2e-3)
    # All frames count where no length is given.
    whole = loaded.length == 2
    np.testing.assert_allclose(network.probabilities(loaded.frames[whole]), found[whole], atol=1e-6)


def test_what_cannot_be_applied_is_one_sentence(place, tmp_path):
    run, _, _, clips = place
    frames = clips[0].frames
    network = TrainedNetwork.open(run, 0)
    with pytest.raises(UserError, match='saw frames of 24 pixels with 1 channel'):
        network.probabilities(frames[:, :, ::2, ::2])
    with pytest.raises(UserError, match='saw clips of 2 frames, these have 1'):
        network.probabilities(frames[:, :1])
    with pytest.raises(UserError, match='has members 0 to 3, none of 4'):
        TrainedNetwork.open(run, 4)
    with pytest.raises(UserError, match='has not finished .no DONE'):
        TrainedNetwork.open(tmp_path, 0)
    copy = tmp_path / 'copy'
    shutil.copytree(run, copy)
    path = fits.path_of(copy, 1)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match='fitted.npz is damaged'):
        TrainedNetwork.open(copy, 1)
    path.unlink()
    with pytest.raises(UserError, match='fitted.npz is missing: train its run again'):
        TrainedNetwork.open(copy, 1)


def test_a_target_shape_registers_other_faces_likewise(place):
    """The mean shape of the training clips, moved by the stored similarity, lies on it."""
    _, built, stored, _ = place
    member, own = built.everyone[0], stored[0]
    ((target,), (matrices,)) = (own.values[fitted.TARGET_SHAPE], own.values[fitted.MEAN_SHAPES])
    shape = fitted.mean_shapes(built.clips, member.fold.train, 5)
    np.testing.assert_allclose(target, shape[0])
    np.testing.assert_allclose(matrices[0], np.eye(3)[:2], atol=1e-9)
    again = fitted.fit_registration(
        dataclasses.replace(built.clips, landmarks=1.5 * built.clips.landmarks + 2),
        member.fold.train, kind='mean_shape', points=5, target=target,
    )  # fmt: skip
    moved = target @ again.value[0][:, :2].T + again.value[0][:, 2]
    np.testing.assert_allclose(moved, 1.5 * target + 2, rtol=1e-6)
