"""The manifests of docs/data.md: each recipe is run as it stands, in a miniature of its layout."""

import collections
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_jax.data import preparation, prepared
from fer_jax.simulation.people import movie, voice

PAGE = (Path(__file__).parents[3] / 'docs' / 'data.md').read_text()
RECIPES = dict(re.findall(r'```python\n# (\w+)\n(.*?)```', PAGE, re.DOTALL))
SEVEN = ('anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'surprise')


def picture(path):
    """A picture unlike any other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = [*path.as_posix().encode()]
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n')


def emodb(root):
    """Two speakers say something in each emotion, in a voice each, anger twice; a Mac's file."""
    for speaker in ('03', '14'):
        rng = np.random.default_rng(int(speaker))
        own = voice.sample(rng)
        for letter, emotion in zip('WLEAFTN', ('anger', 'neutral', *['fear'] * 5), strict=True):
            for take in 'ab' if letter == 'W' else 'a':
                said = voice.speak(own, emotion, 0.4, rng)
                movie.write_sound(root / f'{speaker}a01{letter}{take}.wav', said.sound, voice.RATE)
    (root / '._03a01Wa.wav').write_bytes(b'of a Mac')


def raf_db(root):
    names = [f'{part}_{k:05d}' for part in ('train', 'test') for k in range(1, 8)]
    text(root / 'EmoLabel/list_patition_label.txt', *(f'{n}.jpg {int(n[-1])}' for n in names))
    for name in names:
        picture(root / f'Image/aligned/{name}_aligned.jpg')


def affectnet(root):
    for part in ('train_set', 'val_set'):
        for k in range(10):  # 8 none, 9 uncertain
            picture(root / part / 'images' / f'{k}.jpg')
            (root / part / 'annotations').mkdir(exist_ok=True)
            np.save(root / part / 'annotations' / f'{k}_exp.npy', str(k))


def dfew(root):
    for first, split in ((0, 'train'), (7, 'test')):
        rows = [f'{first + k},{k}' for k in range(1, 8)]
        path = root / f'EmoLabel_DataSplit/{split}(single-labeled)/set_1.csv'
        text(path, '\ufeffvideo_name,label', *rows)
        for k in range(1, 8):
            for frame in (1, 2, 10):
                picture(root / f'Clip/clip_224x224_16f/{first + k:05d}/{frame}.jpg')


def ferv39k(root):
    classes = ('Angry', 'Disgust', 'Fear', 'Happy', 'Neutral', 'Sad', 'Surprise')
    for number, split in (('0010', 'train'), ('0267', 'test')):
        text(
            root / f'4_setups/All_scenes/{split}_All.csv',
            *(f'Action/{label}/{number} {label}' for label in classes),
        )
        for label in classes:
            for frame in (0, 1):
                picture(root / f'2_ClipsforFaceCrop/Action/{label}/{number}/{frame}.jpg')


def kdef(root):
    """Two people in a session each, from the front and one side; and a name that says nothing."""
    for person in ('AF01', 'BM35'):
        for emotion in ('AF', 'AN', 'DI', 'HA', 'NE', 'SA', 'SU'):
            for side in ('S', 'HL'):
                picture(root / person / f'{person}{emotion}{side}.JPG')
    picture(root / 'BM35' / 'BM35H.JPG')


# Recipe -> what lays its files out, the classes, and clips in each split.
LAYOUTS = {
    'emodb': (emodb, {*SEVEN[:5], 'boredom', 'sadness'}, {'': 16}),
    'raf_db': (raf_db, {*SEVEN}, {'train': 7, 'test': 7}),
    'affectnet': (affectnet, {*SEVEN, 'contempt'}, {'train': 8, 'validation': 8}),
    'dfew': (dfew, {*SEVEN}, {'train': 7, 'test': 7}),
    'ferv39k': (ferv39k, {*SEVEN}, {'train': 7, 'test': 7}),
    'kdef': (kdef, {*SEVEN}, {'': 28}),
}


def test_every_recipe_has_a_layout():
    assert set(RECIPES) == set(LAYOUTS)


@pytest.mark.parametrize('name', LAYOUTS)
def test_a_recipe_writes_a_manifest_that_is_prepared(name, tmp_path):
    lay_out, classes, splits = LAYOUTS[name]
    lay_out(tmp_path)
    subprocess.run([sys.executable, '-c', RECIPES[name]], cwd=tmp_path, check=True)
    faces = '' if name == 'emodb' else 'none'
    said = []
    preparation.prepare(
        f'own:{name}', tmp_path / 'manifest.csv', tmp_path / 'data', faces=faces, report=said.append
    )
    found = prepared.describe(f'own:{name}', tmp_path / 'data', faces)
    assert set(found['label_sets']['own']) == classes and not found['dropped']
    clips = prepared.load(
        f'own:{name}', data_dir=tmp_path / 'data', faces=faces, frames=1, sampling='last', size=16
    )
    assert collections.Counter(clips.split.tolist()) == splits
    label = np.array(clips.classes)[clips.label]
    at = dict(zip(clips.clip_id.tolist(), label.tolist(), strict=True))
    if name == 'emodb':  # sounds, for which no detector is asked
        assert found['sounds'] == 16 and found['subjects'] == 2 and found['faceless'] == []
        assert at['14a01Wb.wav'] == 'anger' and at['03a01La.wav'] == 'boredom'
        assert not any('faces found' in line for line in said)
        sound = prepared.load_audio('own:emodb', data_dir=tmp_path / 'data')
        assert {rate for _, rate in sound.values()} == {voice.RATE}
    elif name == 'raf_db':
        assert at['Image/aligned/test_00004_aligned.jpg'] == 'happiness'
    elif name == 'affectnet':
        assert at['val_set/images/7.jpg'] == 'contempt'
    elif name == 'dfew':
        assert found['frames'] == 42 and at['Clip/clip_224x224_16f/00014/'] == 'fear'
    elif name == 'kdef':
        assert set(clips.subject.tolist()) == {'F01', 'M35'}
        assert at['BM35/BM35AFHL.JPG'] == 'fear' and at['AF01/AF01ANS.JPG'] == 'anger'
    else:
        assert at['2_ClipsforFaceCrop/Action/Sad/0267/'] == 'sadness'
