"""Sound: openSMILE against itself by way of a file, components against NumPy, leaks, odd clips."""

import builtins
import dataclasses
import functools
import importlib.util
import wave
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data import prepared
from fer_jax.data.clips import ClipSet
from fer_jax.data.fitted import Fitted
from fer_jax.data.protocols import Fold, Protocol
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.experiment import run as experiment
from fer_jax.experiment.clips import ClipSource
from fer_jax.kahou2015 import audio
from fer_jax.training.members import make_members

RATE = 16000
CONFIG = Path(__file__).parents[2] / 'configs' / 'afew_audio.py'


@pytest.fixture
def opensmile():
    return pytest.importorskip('opensmile', reason='the extra `audio`, for research only')


def voice(seconds, pitch=140.0, seed=0, rate=RATE):
    """Harmonics that rise and fall, in noise: int16 [samples]."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * pitch * (t + 0.05 * np.sin(2 * np.pi * t))
    tone = sum(np.sin(k * phase) / k for k in range(1, 9)) * (1 + np.sin(5 * t))
    return np.round(3000 * tone + 200 * rng.standard_normal(len(t))).astype(np.int16)


def drawn(n=24):
    """Clips of two classes; the pictures say nothing."""
    rng = np.random.default_rng(1)
    return ClipSet(
        name='films',
        classes=('anger', 'fear'),
        simulated=True,
        frames=rng.integers(0, 255, (n, 1, 4, 4, 1)).astype(np.uint8),
        length=np.ones(n, np.int32),
        label=(np.arange(n) % 2).astype(np.int32),
        subject=np.full(n, ''),
        clip_id=np.array([f'train/{i:03}' for i in range(n)]),
        split=np.array(['train', 'validation'])[np.arange(n) // 2 % 2],
    )


def sound_of(clips):
    """Deep voices for one class, high ones for the other."""
    return {
        name: (voice(0.5, 110 + 90 * label + i, i), RATE)
        for i, (name, label) in enumerate(zip(clips.clip_id.tolist(), clips.label, strict=True))
    }


def test_features_are_those_of_a_file_on_disk(opensmile, tmp_path):
    """The samples in memory, and openSMILE reading a .wav with the same configuration."""
    sound = {}
    for name, rate in (('a', RATE), ('b', 44100)):
        sound[name] = voice(1.2, rate=rate), rate
        with wave.open(str(tmp_path / f'{name}.wav'), 'wb') as out:
            out.setparams((1, 2, rate, 0, 'NONE', ''))
            out.writeframes(sound[name][0].astype('<i2').tobytes())
    names, values = audio.extract(sound)
    assert values.shape == (2, 1582) and names == sorted(names) and len(set(names)) == 1582
    conf = Path(opensmile.__file__).parent / 'core/config/is09-13/IS10_paraling_compat.conf'
    reference = opensmile.Smile(feature_set=str(conf), feature_level='func')
    for row, name in zip(values, sound, strict=True):
        table = reference.process_file(str(tmp_path / f'{name}.wav'))
        np.testing.assert_array_equal(row, table[names].to_numpy()[0])
    pitch = values[0][names.index('F0final_sma_quartile2')]
    assert 90 < pitch < 200 and np.ptp(values, 0).max() > 0


def test_sound_of_no_length_worth_mentioning(opensmile, capsys):
    """One sample, one frame of a film, silence: finite values, and it is said."""
    sound = {
        'sample': (np.ones(1, np.int16), RATE),
        'frame': (voice(0.04), RATE),
        'silence': (np.zeros(RATE, np.int16), RATE),
    }
    _, values = audio.extract(sound)
    assert np.isfinite(values).all()
    assert 'sound of 2 clips is shorter than 0.1 s' in capsys.readouterr().out
    padded = np.pad(voice(0.04), (0, 960))
    np.testing.assert_array_equal(values[1], audio.extract({'x': (padded, RATE)})[1][0])


def test_features_are_computed_once(opensmile, tmp_path, monkeypatch):
    sound = {'a': (voice(0.3), RATE)}
    names, values = audio.kept(sound, tmp_path)
    monkeypatch.setattr(audio, 'extract', lambda sound: (['other'], np.zeros((1, 1))))
    again = audio.kept(sound, tmp_path)
    assert again[0] == names
    np.testing.assert_array_equal(again[1], values)
    assert audio.kept({'a': (voice(0.3, seed=1), RATE)}, tmp_path)[0] == ['other']
    assert len(list(tmp_path.iterdir())) == 2


def test_without_the_package_it_is_one_line(monkeypatch):
    load = builtins.__import__

    def refuse(name, *args, **given):
        if name == 'opensmile':
            raise ImportError(name)
        return load(name, *args, **given)

    monkeypatch.setattr(builtins, '__import__', refuse)
    with pytest.raises(UserError, match=r"pip install 'fer_jax\[audio\]'") as error:
        audio.extract({'a': (voice(0.3), RATE)})
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('whiten', [False, True])
def test_components_are_those_of_the_singular_values(whiten):
    values = awkward()
    train = np.arange(0, 30, 2)
    fit = audio.fit_components(values, train, 4, whiten)
    np.testing.assert_array_equal(fit.clips, train)
    mean, matrix = fit.value
    std = values[train].std(0)
    std[-1] = 1
    _, s, vt = np.linalg.svd((values[train] - values[train].mean(0)) / std, full_matrices=False)
    want = (values - values[train].mean(0)) / std @ vt[:4].T
    if whiten:
        want = want / s[:4] * np.sqrt(14)
    got = (values - mean) @ matrix
    sign = np.sign((want * got).sum(0))
    np.testing.assert_allclose(got, want * sign, rtol=1e-6, atol=1e-8)
    variances = np.ones(4) if whiten else s[:4] ** 2 / 14
    np.testing.assert_allclose(np.cov(got[train].T), np.diag(variances), atol=1e-8)
    for wrong in (-1, 7):
        with pytest.raises(UserError, match=f'{wrong}: the 15 training clips give 1 to 6'):
            audio.fit_components(values, train, wrong, whiten)


def awkward():
    """Thirty clips that span six directions, on scales that differ; one value never changes."""
    rng = np.random.default_rng(0)
    values = (
        rng.standard_normal((30, 6))
        @ rng.standard_normal((6, 50))
        * 10.0 ** (np.arange(50) % 9 - 4)
    )
    return np.concatenate([values, np.full((30, 1), 7.0)], 1)


def test_without_components_the_features_are_scaled():
    values, train = awkward(), np.arange(0, 30, 2)
    mean, matrix = audio.fit_components(values, train, 0).value
    got = (values - mean) @ matrix
    assert got.shape == values.shape
    np.testing.assert_allclose(got[train].mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(got[train, :-1].std(0), 1)
    assert (got[:, -1] == 0).all()


def test_speakers_are_scaled_by_their_own_clips():
    rng = np.random.default_rng(0)
    subject = np.array(['03', '08', '16'])[np.arange(30) % 3]
    own = rng.standard_normal((30, 5))
    offset = {'03': (100.0, 5.0), '08': (-20.0, 0.1), '16': (0.0, 1.0)}
    values = np.stack(
        [offset[name][0] + offset[name][1] * v for name, v in zip(subject, own, strict=True)]
    )
    scaled = audio.scale_speakers(values.astype(np.float32), subject)
    for name in offset:
        mine = own[subject == name]
        want = (mine - mine.mean(0)) / mine.std(0)
        np.testing.assert_allclose(scaled[subject == name], want, atol=2e-3)
    with pytest.raises(UserError, match='1 clips name no subject'):
        audio.scale_speakers(values, np.where(np.arange(30) == 4, '', subject))


def members_of(clips):
    """Two folds with two seeds each."""
    half = np.arange(len(clips)) % 4 < 2
    train, test = np.flatnonzero(half), np.flatnonzero(~half)
    folds = (Fold(train, train[:0], test), Fold(test, test[:0], train))
    protocol = Protocol('halves', False, folds)
    return make_members(
        protocol, clips, seeds=[0, 1], fold=-1, learning_rate=0.0, dropout_rate=0.0,
        class_weights=False, mean_std=False,
    )  # fmt: skip


def sound_from(folder, **changes):
    """Sound as a config has it by default, with changes."""
    keys = dict.fromkeys(('whiten', 'scale_speakers'), False) | {'file': ''}
    return audio.Sound(folder, 'films', '', **(keys | changes))


def test_whitening_and_speakers_are_as_asked(monkeypatch, tmp_path):
    clips = dataclasses.replace(drawn(), subject=np.array(['a', 'b'])[np.arange(24) // 12])
    values = np.random.default_rng(0).standard_normal((24, 20)) * np.arange(1, 21)
    monkeypatch.setattr(audio.Sound, 'features', lambda self, clips: values)
    _, heard = sound_from(tmp_path, components=3, whiten=True).groups(members_of(clips), clips)[0]
    train = members_of(clips)[0].fold.train
    np.testing.assert_allclose(heard.frames[train, 0].std(0, ddof=1), 1, rtol=1e-5)
    stage = sound_from(tmp_path, components=0, scale_speakers=True)
    _, heard = stage.groups(members_of(clips), clips)[0]
    scaled = audio.scale_speakers(values, clips.subject)
    want = (scaled - scaled[train].mean(0)) / scaled[train].std(0)
    np.testing.assert_allclose(heard.frames[:, 0], want, rtol=1e-4, atol=1e-5)
    chain = {'components': 0, 'whiten': False, 'features': 'F', 'scale_speakers': True}
    said = stage.in_words(chain)
    assert said.startswith('all features, scaled, of sound: F, each speaker scaled by all')
    before = {'components': 5, 'features': 'F', 'whiten': True, 'scale_speakers': False}
    assert stage.in_words(before) == '5 whitened principal components of sound: F'


def test_each_fold_has_components_of_its_training_clips(monkeypatch, tmp_path):
    clips = drawn()
    values = np.random.default_rng(0).standard_normal((len(clips), 20))
    monkeypatch.setattr(audio.Sound, 'features', lambda self, clips: values)
    stage = sound_from(tmp_path, components=3)
    groups = stage.groups(members_of(clips), clips)
    assert [[m.seed for m in members] for members, _ in groups] == [[0, 1], [0, 1]]
    for members, heard in groups:
        train = members[0].fold.train
        assert heard.frames.shape == (24, 1, 3) and heard.frames.dtype == np.float32
        np.testing.assert_allclose(heard.frames[train, 0].mean(0), 0, atol=1e-6)
        variance = heard.frames[train, 0].var(0)
        assert (np.diff(variance) < 0).all() and variance[0] > 1.2  # not whitened
        for member in members:
            np.testing.assert_array_equal(member.fits[-1].clips, train)
    fit = audio.fit_components
    monkeypatch.setattr(
        audio,
        'fit_components',
        lambda values, indices, *given: fit(values, np.arange(24), *given),
    )
    with pytest.raises(UserError, match='leak: the principal components of sound'):
        stage.groups(members_of(clips), clips)
    assert isinstance(fit(values, np.arange(9), 2), Fitted)


def test_a_clip_without_sound_is_left_out_or_refused(monkeypatch, tmp_path, capsys):
    clips = drawn(6)
    sound = sound_of(clips) | {'train/002': (np.zeros(0, np.int16), 0)}
    monkeypatch.setattr(prepared, 'load_audio', lambda name, **given: sound)
    stage = sound_from(tmp_path, components=2)
    with pytest.raises(UserError, match='1 clips have no sound: train/002; give --config.data'):
        stage.features(clips)
    give(clips, monkeypatch)
    heard = ClipSource.open(config_of()).load(tmp_path)
    assert capsys.readouterr().out == '1 clips without sound are left out: train/002\n'
    kept = [0, 1, 3, 4, 5]
    assert heard.clip_id.tolist() == clips.clip_id[kept].tolist()
    np.testing.assert_array_equal(heard.label, clips.label[kept])
    np.testing.assert_array_equal(heard.frames, clips.frames[kept])


def give(clips, monkeypatch):
    """Lets a config load these clips."""
    loaded = functools.wraps(prepared.load)(lambda name, **given: clips)
    monkeypatch.setattr(prepared, 'load', loaded)


def config_of(**changes):
    spec = importlib.util.spec_from_file_location('afew_audio', CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    config.update_from_flattened_dict({'data.name': 'films', 'sound.components': 5} | changes)
    return config


def test_a_run_learns_from_sound(opensmile, monkeypatch, tmp_path):
    clips = drawn()
    give(clips, monkeypatch)
    monkeypatch.setattr(prepared, 'load_audio', lambda name, **given: sound_of(clips))
    monkeypatch.setattr(
        ClipSource,
        'about',
        lambda source, clips, folder: {
            'name': clips.name, 'simulated': True, 'clips': len(clips), 'registration': 'none',
            'classes': list(clips.classes), 'class_counts': clips.class_counts, 'subjects': 0,
            'faces': 'drawn', 'fingerprint': 'f', 'dropped': [], 'faceless': [], 'differences': [],
        },
    )  # fmt: skip
    run = tmp_path / 'run'
    values = experiment.run(config_of(), workdir=str(run), data_dir=tmp_path, pages=False)
    assert values['last']['pooled_accuracy'] > 0.8
    said = rundir.read_json(run / 'dataset.json')['sound']
    assert said['components'] == 5 and said['features'].endswith('IS10_paraling_compat.conf')
    assert list((tmp_path / 'films').glob('sound-*.npz'))
