"""Protocols: which clips of a dataset are for training, for validation and for test.

A protocol is a name, folds of clip indices, and a promise: whether subjects are kept apart. `leaks`
holds it to the promise.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError

NAMES = ('official', 'random', 'idstep', 'balanced', 'loso', 'across')
PARTS = ('train', 'validation', 'test')
# Random choices of held-out subjects from which the one nearest to the class proportions is taken.
_CANDIDATES = 200


@dataclasses.dataclass(frozen=True)
class Fold:
    """One division of the clips; indices into a ClipSet, ascending.

    Attributes:
      train: int [clip], fitted on.
      validation: int [clip], to choose the epoch on; empty where the protocol holds nothing out.
      test: int [clip], to measure on.
      inner: its test part is the validation part of a fold, see `Protocol.inner`.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    inner: bool = dataclasses.field(default=False, kw_only=True)

    def merged(self) -> 'Fold':
        """Returns the fold with its validation clips moved to its training clips."""
        train = np.sort(np.concatenate([self.train, self.validation]))
        return Fold(train, self.validation[:0], self.test)


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A list of folds and what it promises.

    Attributes:
      name: with its numbers, e.g. 'idstep10', 'balanced10', 'loso', 'official', 'random80x5', or
        'random70+10x5' where 10 % of the clips are for validation.
      subject_disjoint: no subject is in two parts of a fold.
      folds: of all repeats, one repeat after another.
      repeats: how often every clip may be tested.
    """

    name: str
    subject_disjoint: bool
    folds: tuple[Fold, ...]
    repeats: int = 1

    def merged(self) -> 'Protocol':
        """Returns the protocol with each fold's validation clips moved to its training clips."""
        return dataclasses.replace(self, folds=tuple(fold.merged() for fold in self.folds))

    def inner(self) -> 'Protocol':
        """Returns the protocol with each validation part as the test part, to compare settings.

        The test clips are left out. Every fold holds out clips of its own, so that a clip may be
        tested in each.
        """
        folds = tuple(Fold(f.train, f.validation[:0], f.validation, inner=True) for f in self.folds)
        return dataclasses.replace(self, folds=folds, repeats=len(folds))


def make_protocol(
    clips: ClipSet,
    *,
    name: str,
    k: int = 0,
    repeats: int = 1,
    seed: int = 0,
    train_fraction: float = 0.8,
    validation: float = 0.0,
    equal_test: bool = False,
    target: str = '',
) -> Protocol:
    """Divides a dataset's clips by one of six rules; those without a label are in no part.

    - 'official': the parts that the dataset's owners give. Not subject-disjoint. Where they do not
      publish the test labels (AFEW), their validation part is the test part, as in the papers.
    - 'random': clips drawn at random, each class in proportion, `repeats` times. Not
      subject-disjoint (saurav2020 on SAVEE, minaee2019, jain2018).
    - 'idstep': k folds by subject; with the subjects in ascending order fold i tests
      subjects[i::k]. CK+'s convention (Liu et al. 2014, Jung et al. 2015): on its 327 clips folds
      of 33, 39, 40, 35, 30, 37, 29, 29, 33, 22.
    - 'balanced': k folds by subject of nearly equal size; the largest subject goes first, each to
      the smallest fold so far, as in scikit-learn's GroupKFold. Of the ten accuracies that
      haddad2020 prints for row c2 on CK+ (Table 4) nine fit folds of these sizes; those of 'idstep'
      do not fit.
    - 'loso': leave one subject out, for each subject (haddad2020, sec. 4.1).
    - 'across': training on all clips of a combined set's other datasets; validation on the part of
      `target` that its owners give for training, test on the rest of it. Not subject-disjoint.
      kahou2015 (sec. 2.1.3) stops a network for stills by AFEW's training and validation parts
      together; here the validation part stays unseen, because what is built on that network is
      tested on it.

    Args:
      clips: the dataset.
      k: folds, of 'idstep' and 'balanced'.
      repeats: draws, of 'random'.
      seed: of 'random' and of what is held out for validation.
      train_fraction: of 'random', the training part; what is left beside training and validation is
        the test part.
      validation: the fraction held out to choose the epoch. By subject: of the training part's
        subjects, with class proportions near the training part's; 'random': of all clips;
        'official': of the training clips, where the owners give no validation part.
      equal_test: of 'random', as many test clips of each class, the part's size shared out and
        rounded, instead of in proportion (minaee2019, sec. IV-B: 10 on JAFFE, 1,000 on FERG).
      target: of 'across', the name of the dataset that does not train.

    Raises:
      UserError: a rule that these clips or numbers do not allow.
    """
    labelled = np.flatnonzero(clips.label >= 0)
    if len(labelled) < len(clips):
        clips = clips.take(labelled)
    if len(np.unique(clips.label)) < 2:
        raise UserError(f'{clips.name}: {len(clips)} clips of one class cannot train a classifier')
    if name == 'official':
        protocol = Protocol('official', False, (_official(clips, validation, seed),))
    elif name == 'across':
        protocol = Protocol(f'across-{target}', False, (_across(clips, target),))
    elif name == 'random':
        if repeats < 1:
            raise UserError(f'protocol.repeats is {repeats}: give at least 1')
        fractions = train_fraction, validation
        folds = [
            _random(clips.label, *fractions, equal_test, np.random.default_rng([seed, repeat]))
            for repeat in range(repeats)
        ]
        shares = f'{100 * train_fraction:g}' + f'+{100 * validation:g}' * bool(validation)
        protocol = Protocol(f'random{shares}x{repeats}', False, tuple(folds), repeats)
    else:
        number_of_clip = _by_subject(clips, name, k)
        folds = [
            _hold_out_subjects(
                clips, number_of_clip == number, validation, np.random.default_rng([seed, number])
            )
            for number in range(number_of_clip.max() + 1)
        ]
        protocol = Protocol(name if name == 'loso' else f'{name}{k}', True, tuple(folds))
    folds = [Fold(*(labelled[getattr(fold, part)] for part in PARTS)) for fold in protocol.folds]
    return dataclasses.replace(protocol, folds=tuple(folds))


def parse_name(name: str) -> dict[str, Any]:
    """Reads the arguments of `make_protocol` from a protocol's name as reports print it.

    'idstep10' and 'balanced10' have k = 10; 'random80x5' trains on 80 % of the clips, five times,
    and 'random80+10x5' holds 10 % of them out besides; 'across-afew' keeps afew from training;
    'loso' and 'official' have no number.

    Raises:
      UserError: no such name.
    """
    if name in ('official', 'loso'):
        return {'name': name}
    if match := re.fullmatch(r'(idstep|balanced)(\d+)', name):
        return {'name': match[1], 'k': int(match[2])}
    if match := re.fullmatch(r'random(\d+(?:\.\d+)?)(?:\+(\d+(?:\.\d+)?))?x(\d+)', name):
        options = {'train_fraction': float(match[1]) / 100, 'repeats': int(match[3])}
        if match[2]:
            options['validation'] = float(match[2]) / 100
        return {'name': 'random', **options}
    if match := re.fullmatch(r'across-([\w:-]+)', name):
        return {'name': 'across', 'target': match[1]}
    raise UserError(
        f"unknown protocol '{name}': idstep10, balanced10 (any number of folds), loso, official, "
        'random80x5 or random80+10x5 (per cent for training and validation, times), or across-afew '
        '(a dataset of several)'
    )


def shorten(names: Sequence[str], most: int = 5) -> str:
    """Shortens a list of names for a message of one line: 'a, b and 3 more'."""
    rest = len(names) - most
    return ', '.join(names[:most]) + (f' and {rest} more' if rest > 0 else '')


def _official(clips: ClipSet, validation: float, seed: int) -> Fold:
    unknown = sorted(set(clips.split.tolist()) - set(PARTS))
    parts = {part: np.flatnonzero(clips.split == part) for part in PARTS}
    if not len(parts['test']):  # the owners keep its labels: their validation part judges
        parts['validation'], parts['test'] = parts['test'], parts['validation']
    if unknown or not len(parts['train']) or not len(parts['test']):
        raise UserError(
            f'{clips.name} has no official training and test parts for all clips: choose one of '
            f'{", ".join(NAMES[1:])} as protocol.name'
        )
    if validation and len(parts['validation']):
        raise UserError(
            f'protocol.validation is {validation}, but {clips.name} has an official validation '
            'part: leave it 0'
        )
    if validation:
        count = validation * len(parts['train'])
        rng = np.random.default_rng(seed)
        held_out = _stratified(clips.label, parts['train'], count, rng)
        parts['train'] = np.setdiff1d(parts['train'], held_out)
        parts['validation'] = held_out
    return Fold(*(parts[part] for part in PARTS))


def _across(clips: ClipSet, target: str) -> Fold:
    names = clips.name.split('+')
    if target not in names or len(names) < 2:
        raise UserError(
            f"protocol.target is '{target}': give one of several datasets of data.name "
            f'({clips.name}), which is not to train'
        )
    own = clips.dataset_number == names.index(target)
    chooses = own & (clips.split == 'train')
    if not chooses.any() or not (own & ~chooses).any():
        raise UserError(
            f'protocol.target is {target}, whose owners give no training part beside others: '
            'choose another'
        )
    return Fold(*(np.flatnonzero(part) for part in (~own, chooses, own & ~chooses)))


def _random(
    label: np.ndarray,
    train_fraction: float,
    validation: float,
    equal_test: bool,
    rng: np.random.Generator,
) -> Fold:
    test_fraction = 1 - train_fraction - validation
    if train_fraction <= 0 or test_fraction < 1e-9:
        raise UserError(
            f'protocol.train_fraction is {train_fraction} and validation {validation}: both parts '
            'and the test part, which is the rest, must have clips'
        )
    everything = np.arange(len(label))
    draw = _equally if equal_test else _stratified
    test = draw(label, everything, test_fraction * len(label), rng)
    rest = np.setdiff1d(everything, test)
    held_out = everything[:0]
    if validation:
        held_out = _stratified(label, rest, validation * len(label), rng)
    return Fold(np.setdiff1d(rest, held_out), held_out, test)


def _stratified(
    label: np.ndarray, among: np.ndarray, count: float, rng: np.random.Generator
) -> np.ndarray:
    """Draws round(count) of the clips `among`, each class in proportion (largest remainders)."""
    count = round(count)
    if not 0 < count < len(among):
        raise UserError(f'protocol: a part of {count} of {len(among)} clips; change the fractions')
    classes, sizes = np.unique(label[among], return_counts=True)
    quota = count * sizes / len(among)
    take = np.floor(quota).astype(int)
    by_remainder = np.lexsort((rng.random(len(classes)), take - quota))
    take[by_remainder[: count - take.sum()]] += 1
    return _drawn(label, among, classes, take, rng)


def _equally(
    label: np.ndarray, among: np.ndarray, count: float, rng: np.random.Generator
) -> np.ndarray:
    """Draws about `count` of the clips `among`, equally many of each class."""
    classes, sizes = np.unique(label[among], return_counts=True)
    each = round(count / len(classes))
    if not 0 < each < sizes.min():
        raise UserError(
            f'protocol.equal_test: {each} test clips of each class, of which the smallest has '
            f'{sizes.min()}; change the fractions'
        )
    return _drawn(label, among, classes, np.full(len(classes), each), rng)


def _drawn(label, among, classes, take, rng) -> np.ndarray:
    """Draws so many of each class, ascending."""
    drawn = [
        rng.choice(among[label[among] == k], n, replace=False)
        for k, n in zip(classes, take, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def _by_subject(clips: ClipSet, name: str, k: int) -> np.ndarray:
    """Assigns each clip the fold that tests it, int [clip], 0 to k - 1, by subject."""
    if (clips.subject == '').any():
        count = np.sum(clips.subject == '')
        raise UserError(
            f'{clips.name}: {count} clips name no subject, so {name} cannot divide them: use '
            'official or random as protocol.name, and 0 as protocol.k'
        )
    names, row = _subjects(clips.subject)
    k = len(names) if name == 'loso' else k
    if len(names) < 2 or k > len(names):
        raise UserError(
            f'{clips.name} has {len(names)} subjects, {name} needs at least {max(k, 2)}'
            + (': lower protocol.k' if len(names) >= 2 else '')
        )
    if k < 2:
        raise UserError(f'protocol.k is {k}: {name} needs at least 2 folds')
    if name != 'balanced':
        return np.arange(len(names))[row] % k
    sizes, total = np.bincount(row), np.zeros(k, int)
    fold_of_subject = np.zeros(len(names), int)
    for subject in np.argsort(sizes, kind='stable')[::-1]:
        fold_of_subject[subject] = np.argmin(total)
        total[fold_of_subject[subject]] += sizes[subject]
    return fold_of_subject[row]


def _hold_out_subjects(
    clips: ClipSet, test: np.ndarray, validation: float, rng: np.random.Generator
) -> Fold:
    """Returns the fold that tests the clips `test` (bool [clip]); holds training subjects out."""
    train = np.flatnonzero(~test)
    if not validation:
        return Fold(train, train[:0], np.flatnonzero(test))
    names, row = _subjects(clips.subject[train])
    count = max(1, round(validation * len(names)))
    if count >= len(names):
        raise UserError(
            f'protocol.validation is {validation}: it would hold out {count} of {len(names)} '
            'training subjects'
        )
    classes = np.zeros((len(names), len(clips.classes)))
    np.add.at(classes, (row, clips.label[train]), 1)
    drawn = rng.permuted(np.tile(np.arange(len(names)), (_CANDIDATES, 1)), axis=1)[:, :count]
    # Pearson's statistic of the held-out class counts; classes absent from training count nothing.
    expected = classes.sum(0) * count / len(names)
    misfit = ((classes[drawn].sum(1) - expected) ** 2 / np.maximum(expected, 1e-9)).sum(1)
    held_out = np.isin(row, drawn[np.argmin(misfit)])
    return Fold(train[~held_out], train[held_out], np.flatnonzero(test))


def _subjects(subject: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Returns the subjects, sorted by name with numbers by value, and each clip's position."""

    def key(name):
        return [int(x) if x.isdecimal() else x for x in re.split(r'(\d+)', name)], name

    names = sorted(set(subject.tolist()), key=key)
    position = {name: i for i, name in enumerate(names)}
    return names, np.array([position[name] for name in subject.tolist()])
