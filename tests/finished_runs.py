"""A run's directory as fer_jax.main leaves it, with plausible random numbers in it."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax.evaluation import results
from fer_jax.evaluation.predictions import TEST, VALIDATION, Predictions

CLASSES = ('anger', 'contempt', 'disgust', 'fear', 'happiness', 'sadness', 'surprise')
CKPLUS_COUNTS = (45, 18, 59, 25, 69, 28, 83)
# Which class is taken for which: contempt and sadness are the hard ones.
SIMILAR = {0: 5, 1: 5, 2: 0, 3: 6, 4: 2, 5: 0, 6: 3}


def synthetic(
    *,
    folds: int = 10,
    epochs: int = 12,
    seeds: int = 1,
    subjects: int = 118,
    known_subjects: bool = True,
    validation: bool = True,
    duplicates: bool = False,
    seed: int = 0,
) -> Predictions:
    """Predictions of folds x seeds members on clips with CK+'s class counts."""
    rng = np.random.default_rng(seed)
    classes, clips = len(CLASSES), sum(CKPLUS_COUNTS)
    label = rng.permutation(np.repeat(np.arange(classes), CKPLUS_COUNTS)).astype(np.int32)
    owner = np.concatenate([np.arange(subjects), rng.integers(subjects, size=clips - subjects)])
    fold_of = owner % folds
    members = folds * seeds
    fold = np.tile(np.arange(folds), seeds).astype(np.int32)
    part = np.zeros((members, clips), np.int8)
    part[fold_of[None] == fold[:, None]] = TEST
    if validation:
        part[fold_of[None] == (fold[:, None] + 1) % folds] = VALIDATION
    train_counts = np.stack(
        [np.bincount(label[row == 0], minlength=classes) for row in part]
    ).astype(np.int64)

    difficulty = rng.normal(size=clips) + 0.8 * rng.normal(size=subjects)[owner]
    difficulty += np.array([0.3, 1.3, 0, 0.5, -1, 1, -1])[label]
    growth = 3.2 * (1 - np.exp(-np.arange(1, epochs + 1) / (epochs / 4)))
    logits = rng.normal(scale=0.7, size=(members, epochs, clips, classes))
    every = np.arange(clips)
    similar = np.array([SIMILAR[k] for k in range(classes)])
    logits[:, :, every, label] += growth[None, :, None]
    logits[:, :, every, similar[label]] += 0.9 * growth[:, None] * (0.8 + 0.35 * difficulty)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    probabilities = np.where(part[:, None, :, None] > 0, probabilities, np.nan)

    duplicate = np.zeros((members, clips), np.int8)
    if duplicates:
        duplicate[(part == TEST) & (every % 9 == 0)] = 2
        duplicate[(part == TEST) & (every % 30 == 1)] = 1
    return Predictions(
        probabilities=probabilities.astype(np.float16),
        part=part,
        label=label,
        subject=np.array([f'S{s:03d}' if known_subjects else '' for s in owner]),
        clip_id=np.array([f'S{s:03d}/{i:03d}' for i, s in enumerate(owner)]),
        classes=CLASSES,
        fold=fold,
        seed=np.repeat(np.arange(seeds), folds).astype(np.int32),
        epochs=np.full(members, epochs, np.int32),
        train_counts=train_counts,
        duplicate=duplicate,
    )


def other_system(predictions: Predictions, *, noise: float, seed: int) -> Predictions:
    """Makes the predictions of a less sure system on the same clips in the same folds."""
    rng = np.random.default_rng(seed)
    logits = np.log(np.maximum(predictions.probabilities.astype(np.float32), 1e-6))
    logits += rng.normal(scale=noise, size=logits.shape)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return dataclasses.replace(predictions, probabilities=probabilities.astype(np.float16))


def drawn_face(kind: int, number: int) -> np.ndarray:
    """A line face uint8 [96,96] whose mouth and brows depend on its class."""
    image = np.full((96, 96), 60 + 5 * (number % 9), np.uint8)
    cv2.ellipse(image, (48, 50), (31, 40), 0, 0, 360, 190 - 4 * (number % 7), -1, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.circle(image, (48 + 13 * side, 42), 4 + 2 * (kind in (3, 6)), 40, -1, cv2.LINE_AA)
        tilt = 4 * ((kind in (3, 5)) - (kind in (0, 2)))
        start, end = (48 + 7 * side, 31 - tilt), (48 + 20 * side, 31)
        cv2.line(image, start, end, 50, 3, cv2.LINE_AA)
    if kind in (3, 6):
        cv2.ellipse(image, (48, 70), (8, 11), 0, 0, 360, 40, -1, cv2.LINE_AA)
    elif kind == 4:
        cv2.ellipse(image, (48, 62), (15, 12), 0, 10, 170, 40, 3, cv2.LINE_AA)
    else:
        cv2.ellipse(image, (48, 78), (13, 8 - 3 * (kind == 1)), 0, 190, 350, 40, 3, cv2.LINE_AA)
    return image


def write_run(run: Path, predictions: Predictions, *, simulated: bool, stamps: tuple = ()) -> Path:
    """Writes every file of a finished run but the report."""
    run.mkdir(parents=True)
    predictions.save(run / 'probabilities.npz')
    folds = [
        {
            name: predictions.clip_id[predictions.part[member] == part].tolist()
            for name, part in (('train', 0), ('validation', VALIDATION), ('test', TEST))
        }
        for member in range(predictions.fold.max() + 1)
    ]
    counts = np.bincount(predictions.label, minlength=len(CLASSES)).tolist()
    files = {
        'config.json': {
            'name': 'ckplus_c3d:simulated' if simulated else 'ckplus_c3d',
            'model': {'name': 'c3d', 'activation': 'relu', 'dropout_rate': 0.2511},
            'train': {'epochs': 12, 'batch_size': 30, 'learning_rate': 1e-4},
        },
        'versions.json': {
            'command': 'python -m fer_jax.main --config=configs/ckplus_c3d.py:simulated',
            'commit': '0123456789abcdef', 'jax': '0.10.2', 'flax': '0.12.8', 'numpy': '2.4.6',
        },
        'folds.json': {
            'protocol': f'idstep{len(folds)}', 'subject_disjoint': 'subjects shared' not in stamps,
            'stamps': list(stamps), 'folds': folds,
        },
        'dataset.json': {
            'name': 'ckplus', 'simulated': simulated, 'clips': len(predictions.label),
            'classes': list(CLASSES), 'class_counts': dict(zip(CLASSES, counts, strict=True)),
            'subjects': len(np.unique(predictions.subject)), 'faces': 'release',
            'registration': 'none', 'fingerprint': '9f86d081884c7d65',
            'dropped': [
                {'clip_id': 'S042/004', 'reason': 'no label file in Emotion/S042/004'},
                {'clip_id': 'S117/002', 'reason': 'no face in any of its 14 frames'},
            ],
        },
    }  # fmt: skip
    for name, value in files.items():
        (run / name).write_text(json.dumps(value), encoding='utf-8')

    lines = [
        'member,fold,seed,epoch,learning_rate,train_loss,train_accuracy,validation_loss,'
        'validation_accuracy,test_loss,test_accuracy'
    ]
    for member in range(predictions.members):
        scores = {}
        for part in (VALIDATION, TEST):
            probabilities, label = predictions.course(member, part)
            true = probabilities[:, np.arange(len(label)), label]
            if len(label):
                accuracy = (probabilities.argmax(-1) == label).mean(1)
                scores[part] = list(zip(-np.log(true).mean(1), accuracy, strict=True))
        for epoch in range(predictions.epochs[member]):
            loss, accuracy = scores[TEST][epoch]
            cells = [member, predictions.fold[member], predictions.seed[member], epoch + 1, 1e-4]
            cells += [f'{0.8 * loss:.5f}', f'{min(1, accuracy + 0.01 * epoch):.5f}']
            for part in (VALIDATION, TEST):
                cells += [f'{v:.5f}' for v in scores[part][epoch]] if part in scores else ['', '']
            lines.append(','.join(map(str, cells)))
    (run / 'metrics.csv').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    frames = np.stack([drawn_face(k, i) for i, k in enumerate(predictions.label)])
    np.savez(run / 'samples.npz', frames=frames, clip_id=predictions.clip_id)
    results.write(run)
    (run / 'DONE').write_text('', encoding='utf-8')
    return run


@pytest.fixture(scope='session')
def predictions() -> Predictions:
    """Ten folds, one seed, subjects known, validation clips."""
    return synthetic()


@pytest.fixture(scope='session')
def finished_run(tmp_path_factory, predictions) -> Path:
    """A simulated run; tests only read it and write elsewhere."""
    path = tmp_path_factory.mktemp('runs') / 'ckplus_c3d-0123abcd'
    return write_run(path, predictions, simulated=True)


@pytest.fixture(scope='session')
def other_run(tmp_path_factory, predictions) -> Path:
    """Another simulated run on the folds of `finished_run`; tests only read it."""
    path = tmp_path_factory.mktemp('runs') / 'ckplus_c3d-4567cdef'
    return write_run(path, other_system(predictions, noise=1.0, seed=1), simulated=True)


@pytest.fixture(scope='session')
def make_other():
    """The function that makes another system's predictions."""
    return other_system


@pytest.fixture(scope='session')
def make_predictions():
    """The function that makes predictions, for tests that need other kinds."""
    return synthetic


@pytest.fixture(scope='session')
def make_run():
    """The function that writes a run's directory."""
    return write_run
