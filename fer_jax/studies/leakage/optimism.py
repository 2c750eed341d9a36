"""The arithmetic of optimism: what the leaking way reports minus what the honest way reports."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from fer_jax.evaluation import bootstrap, rules
from fer_jax.studies.leakage.design import LeakageDesign
from fer_jax.studies.leakage.divisions import CLIPS, COPIES, SUBJECTS, UNITS, Copies
from fer_jax.studies.leakage.outcomes import Outcomes

FOLD, COMMON = 'fold', 'common'


@dataclasses.dataclass(frozen=True)
class Way:
    """One way of measuring an accuracy.

    Attributes:
      title: for people.
      leaking: it saw test clips, or their copies or subjects, before it judged them.
      right: bool [seed, item], each judged item.
      subject: int [item], whose it is.
    """

    title: str
    leaking: bool
    right: np.ndarray
    subject: np.ndarray


@dataclasses.dataclass(frozen=True)
class Pair:
    """A leak: the ways with it and without it, which differ in nothing else.

    Attributes:
      key: of files.
      leak: which of the four, 'a' to 'd'; '' for two at once.
      title: for people.
      leaking, honest: keys of ways.
    """

    key: str
    leak: str
    title: str
    leaking: str
    honest: str


PAIRS = (
    Pair('copies', 'a', 'Augmented before the division', 'copies', 'clips'),
    Pair('copies_originals', 'a', 'The same, original clips judged', 'copies_originals',
         'clips_originals'),
    Pair('subjects', 'b', 'Random clips, not subjects', 'clips_originals', 'subjects_originals'),
    Pair('copies_subjects', '', 'Both: random copies', 'copies', 'subjects'),
    Pair('epoch_fold', 'c', 'Best test epoch of each fold', 'epoch_test_fold', 'epoch_validation'),
    Pair('epoch_common', 'c', 'Best common test epoch', 'epoch_test_common', 'epoch_validation'),
    Pair('setting_fold', 'd', 'Best setting of each test fold', 'setting_test_fold',
         'setting_validation'),
    Pair('setting_common', 'd', 'Best common setting on test', 'setting_test_common',
         'setting_validation'),
    Pair('both_fold', '', 'Both: of each test fold', 'both_test_fold', 'both_validation'),
    Pair('both_common', '', 'Both: common, on test', 'both_test_common', 'both_validation'),
)  # fmt: skip
DIVISION_TITLES = {
    COPIES: 'Copies divided at random',
    CLIPS: 'Clips divided at random',
    SUBJECTS: 'Subjects divided',
}
CHOICE_TITLES = {'epoch': 'Epoch', 'setting': 'Setting', 'both': 'Setting and epoch'}
RULE_TITLES = {
    'validation': 'of each fold, on inner validation subjects',
    'test_fold': 'of each fold, on its test clips',
    'test_common': 'common to all folds, on the test clips',
}


def choose(correct: np.ndarray, loss: np.ndarray, scope: str) -> np.ndarray:
    """Chooses the option with most correct clips; of equals the lowest loss, then the first.

    Args:
      correct, loss: float64 [S, F, P], of P options in each fold of each seed.
      scope: 'fold' chooses for each fold by itself, 'common' one for all folds of a seed.

    Returns:
      int [S, F].
    """
    if scope == COMMON:
        correct, loss = (np.broadcast_to(x.sum(1, keepdims=True), x.shape) for x in (correct, loss))
    seeds, folds, options = correct.shape
    flat = zip(correct.reshape(-1, options), loss.reshape(-1, options), strict=True)
    return np.array([rules.best_epoch(*one) for one in flat]).reshape(seeds, folds)


def _options(outcomes: Outcomes, reference: int) -> dict[str, dict[str, np.ndarray]]:
    """Arranges what is chosen among: scores [S, F, P] by options, `right` [S, P, N]."""
    scores = {
        'test': outcomes.test_right,
        'test_loss': outcomes.loss,
        'validation': outcomes.validation_right,
        'validation_loss': outcomes.validation_loss,
    }
    seeds, folds = outcomes.loss.shape[:2]
    clips = outcomes.right.shape[-1]
    return {
        'epoch': {name: score[:, :, reference] for name, score in scores.items()}
        | {'right': outcomes.right[:, reference]},
        'setting': {name: score[..., -1] for name, score in scores.items()}
        | {'right': outcomes.right[:, :, -1]},
        'both': {name: score.reshape(seeds, folds, -1) for name, score in scores.items()}
        | {'right': outcomes.right.reshape(seeds, -1, clips)},
    }


def choices(outcomes: Outcomes, reference: int) -> dict[str, dict[str, np.ndarray]]:
    """Lists the option int [S, F] of each rule: {'epoch' | 'setting' | 'both': {rule: option}}.

    For 'both' an option is setting x epochs + epoch.
    """
    return {
        what: {
            'validation': choose(given['validation'], given['validation_loss'], FOLD),
            'test_fold': choose(given['test'], given['test_loss'], FOLD),
            'test_common': choose(given['test'], given['test_loss'], COMMON),
        }
        for what, given in _options(outcomes, reference).items()
    }


def ways(outcomes: Outcomes, copies: Copies, reference: int) -> dict[str, Way]:
    """Lists all ways of measuring, by key."""
    found = {}
    for row, what in enumerate(UNITS):
        title, leaks = DIVISION_TITLES[what], what != SUBJECTS
        right = outcomes.divided[row]
        found[what] = Way(title, leaks, right, copies.subject)
        found[f'{what}_originals'] = Way(
            f'{title}, originals judged', leaks, right[:, copies.original],
            copies.subject[copies.original],
        )  # fmt: skip
    subject = copies.subject[copies.original]
    seed, clip = np.arange(outcomes.seeds)[:, None], np.arange(len(subject))
    for what, given in _options(outcomes, reference).items():
        for rule, option in choices(outcomes, reference)[what].items():
            right = given['right'][seed, option[seed, outcomes.fold], clip]
            title = f'{CHOICE_TITLES[what]} {RULE_TITLES[rule]}'
            found[f'{what}_{rule}'] = Way(title, rule != 'validation', right, subject)
    last = outcomes.right[:, reference, -1]
    found['last'] = Way('Nothing chosen: last epoch, reference setting', False, last, subject)
    return found


def counted(way: Way, subjects: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts correct items float64 [S, C] and items [C] of each subject."""
    correct = np.stack(
        [np.bincount(way.subject, weights=right, minlength=subjects) for right in way.right]
    )
    return correct, np.bincount(way.subject, minlength=subjects).astype(np.float64)


def drawn(correct: np.ndarray, total: np.ndarray, draws: int = bootstrap.DRAWS) -> np.ndarray:
    """Draws accuracies float64 [D] by resampling subjects and seeds, each with replacement.

    The same subjects and seeds are drawn whatever is counted, so that differences are paired.

    Args:
      correct: float64 [S, C]; total: [C].
    """
    seeds, subjects = correct.shape
    of_subject = np.concatenate(list(bootstrap.resampled(subjects, draws, bootstrap.SEED)))
    of_seed = np.concatenate(list(bootstrap.resampled(seeds, draws, bootstrap.SEED + 1)))
    right = ((of_seed @ correct) * of_subject).sum(1)
    return right / (seeds * (of_subject @ total))


def compute(
    outcomes: Outcomes, copies: Copies, design: LeakageDesign, draws: int = bootstrap.DRAWS
) -> dict[str, Any]:
    """Computes what results.json holds, all plain Python.

    Shares in 0..1: ways {key: title, leaking, accuracy, interval, seeds, n} and optimism [key,
    leak, title, leaking, honest, difference, interval, seeds, positive], whose difference is the
    leaking accuracy minus the honest one: the mean over seeds of the pooled accuracy of all judged
    items. Intervals: percentiles of `drawn`; networks are not trained and nothing is chosen anew in
    a draw. divisions, settings, curves: what the figures show.
    """
    found = ways(outcomes, copies, design.reference)
    subjects = int(copies.subject.max()) + 1
    accuracies, samples, told = {}, {}, {}
    for key, way in found.items():
        correct, total = counted(way, subjects)
        accuracies[key] = way.right.mean(1)
        samples[key] = drawn(correct, total, draws)
        told[key] = {
            'title': way.title,
            'leaking': way.leaking,
            'accuracy': float(accuracies[key].mean()),
            'interval': bootstrap.interval(samples[key]).tolist(),
            'seeds': accuracies[key].tolist(),
            'n': way.right.shape[1],
        }
    pairs = []
    for pair in PAIRS:
        each = accuracies[pair.leaking] - accuracies[pair.honest]
        differences = samples[pair.leaking] - samples[pair.honest]
        pairs.append(
            {
                **dataclasses.asdict(pair),
                'difference': float(each.mean()),
                'interval': bootstrap.interval(differences).tolist(),
                'seeds': each.tolist(),
                'positive': int((each > 0).sum()),
            }
        )
    return {
        'clips': int(copies.original.sum()),
        'copies': len(copies.source),
        'subjects': subjects,
        'seeds': outcomes.seeds,
        'classes': copies.clips.class_counts,
        'draws': draws,
        'level': bootstrap.LEVEL,
        'ways': told,
        'optimism': pairs,
        'divisions': _divisions(outcomes),
        'settings': _settings(outcomes, design),
        'curves': _curves(outcomes, design.reference),
    }


def _divisions(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Lists each division's sizes, and what training saw of the test."""
    return [
        {
            'division': DIVISION_TITLES[what],
            'trained': float(outcomes.trained[row].mean()),
            'tested': float(outcomes.tested[row].mean()),
            'seen_clip': float(outcomes.seen_clip[row].mean()),
            'seen_subject': float(outcomes.seen_subject[row].mean()),
        }
        for row, what in enumerate(UNITS)
    ]


def _settings(outcomes: Outcomes, design: LeakageDesign) -> list[dict[str, Any]]:
    """Lists each setting at its last epoch: accuracies over folds and seeds, how often chosen."""
    chosen = choices(outcomes, design.reference)['setting']
    validated = outcomes.validated.sum()
    return [
        {
            'learning_rate': learning_rate,
            'dropout_rate': dropout_rate,
            'reference': number == design.reference,
            'validation_accuracy': float(
                outcomes.validation_right[:, :, number, -1].sum() / validated
            ),
            'test_accuracy': float(outcomes.right[:, number, -1].mean()),
            **{rule: int((option == number).sum()) for rule, option in chosen.items()},
        }
        for number, (learning_rate, dropout_rate) in enumerate(design.settings)
    ]


def _curves(outcomes: Outcomes, reference: int) -> dict[str, list]:
    """Returns accuracies [S, F, E] by epoch under the reference setting, and the chosen epochs."""
    tested = np.stack(
        [np.bincount(fold, minlength=outcomes.loss.shape[1]) for fold in outcomes.fold]
    )
    validation = outcomes.validation_right[:, :, reference] / outcomes.validated[..., None]
    test = outcomes.test_right[:, :, reference] / tested[..., None]
    epochs = choices(outcomes, reference)['epoch']
    return {
        'validation': validation.tolist(),
        'test': test.tolist(),
        **{f'{rule}_epochs': (option + 1).tolist() for rule, option in epochs.items()},
    }


def summary_text(values: Mapping[str, Any]) -> str:
    """Formats the measurement as plain text for a terminal, at most 79 columns."""
    lines = [f'*** {stamp} ***' for stamp in values['stamps']]
    lines += [
        f'{values["clips"]} clips of {values["subjects"]} simulated people, '
        f'{values["seeds"]} seed{"s" * (values["seeds"] > 1)}; accuracies in per cent,',
        'optimism (with the leak minus without it) in points with its '
        f'{100 * values["level"]:.0f} % interval',
        '',
        f'   {"leak":<33}{"with":>8}{"without":>8}{"optimism":>10}{"interval":>16}',
    ]
    for pair in values['optimism']:
        leaking, honest = (100 * values['ways'][pair[k]]['accuracy'] for k in ('leaking', 'honest'))
        low, high = (100 * end for end in pair['interval'])
        mark = f'({pair["leak"]})' if pair['leak'] else ''
        lines.append(
            f'{mark:<4}{pair["title"]:<32}{leaking:>8.2f}{honest:>8.2f}'
            f'{100 * pair["difference"]:>+10.2f}{f"{low:+.1f} to {high:+.1f}":>17}'
        )
    return '\n'.join(lines)
