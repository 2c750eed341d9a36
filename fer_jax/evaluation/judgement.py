"""Results of predictions that are no run's own: of a trained network on a dataset, of an ensemble.

They have one epoch, so that no rule of choosing one is in question.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fer_jax.evaluation import calibration, results
from fer_jax.evaluation.predictions import (
    IN_TRAINING,
    NONE,
    NOT_DUPLICATE,
    TEST,
    Predictions,
    Rows,
)

# The rule of `results` whose words do not matter here: there is one epoch.
_RULE = 'last'
METRICS = ('pooled_accuracy', 'mean_class_accuracy', 'macro_f1')


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The content of a page, results.json and a model card.

    Attributes:
      title: what was judged on what.
      lead: of how much, for people.
      predictions: one epoch.
      values: `results.compute` of all test clips, calibration at the given temperature.
      stamps: what must be known before a number is believed.
      counted: a row for each choice of test clips, the first of all: {what, n, removed, METRICS
        without 'pooled_', each with its <metric>_interval}.
      conditions: rows {condition, n, accuracy, accuracy_interval}, of pictures of some kind.
      facts: names and values for people.
    """

    title: str
    lead: str
    predictions: Predictions
    values: Mapping[str, Any]
    stamps: tuple[str, ...]
    counted: Sequence[Mapping[str, Any]]
    conditions: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def rows(self) -> Rows:
        """The predictions of the test clips."""
        return self.predictions.at(np.zeros(self.predictions.members, int))

    def figures(self) -> dict[str, Any]:
        """Returns all numbers as plain Python, for results.json and the model card."""
        return {
            'title': self.title,
            'lead': self.lead,
            'stamps': list(self.stamps),
            'counted': list(self.counted),
            'classes': self.values['classes'],
            'confusion': self.values['confusion'],
            'calibration': self.values['calibration'],
            'conditions': list(self.conditions),
            'facts': dict(self.facts),
        }

    def summary_text(self) -> str:
        """Formats the numbers for a terminal."""
        lines = [f'*** {stamp} ***' for stamp in self.stamps]
        head = f'{"":<44}{"n":>7}{"accuracy":>10}{"interval":>15}{"classes":>9}{"F1":>8}'
        lines += [f'{self.title}: {self.lead}', '', head]
        for row in self.counted:
            ends = row['accuracy_interval']
            shown = '' if ends is None else f'{100 * ends[0]:.1f} - {100 * ends[1]:.1f}'
            lines.append(
                f'{row["what"]:<44}{row["n"]:>7,}{100 * row["accuracy"]:>9.2f}%{shown:>15}'
                f'{100 * row["mean_class_accuracy"]:>8.2f}%{100 * row["macro_f1"]:>7.2f}%'
            )
        lines += ['', *results.calibration_lines(self.values['calibration'])]
        for row in self.values['classes']:
            recall = '    –' if row['recall'] is None else f'{100 * row["recall"]:>6.1f}%'
            lines.append(f'  recall of {row["class"]:<24}{recall}  of {row["n"]:,}')
        lines += [
            f'  {row["condition"]:<42}{row["n"]:>7,}{100 * row["accuracy"]:>9.2f}%'
            for row in self.conditions
        ]
        return '\n'.join(lines)


def judge(
    predictions: Predictions,
    *,
    title: str,
    lead: str,
    temperature: tuple[float, int] | None,
    stamps: Sequence[str] = (),
    choices: Mapping[str, np.ndarray] | None = None,
    conditions: Mapping[str, np.ndarray] | None = None,
    facts: Mapping[str, str] | None = None,
) -> Judgement:
    """Computes everything.

    Args:
      predictions: of one epoch, not calibrated.
      temperature: as of `calibration.temperature_of`; never fitted on these test clips.
      choices: {what: bool [clip]}, further choices of test clips beside all and those without
        copies.
      conditions: {condition: probabilities float [clip, class] of all clips under it, or bool
        [clip], the clips that are so}.

    Raises:
      UserError: no test clips.
    """
    choices = dict(choices or {})
    duplicate, tested = predictions.duplicate, predictions.part == TEST
    if (duplicate[tested] != NOT_DUPLICATE).any():
        choices['Without copies in training'] = duplicate != IN_TRAINING
        choices['Without copies in training or validation'] = duplicate == NOT_DUPLICATE
    values = _compute(predictions)
    zero = np.zeros(predictions.members, int)
    rows = predictions.at(zero)
    values['calibration'] = calibration.summary(rows, predictions, temperature)
    everything = _row('All test clips', values, values['n'])
    counted = [everything]
    for what, keep in choices.items():
        if (keep & tested).any():
            some = _compute(_of(predictions, keep))
            counted.append(_row(what, some, values['n']))
    conditioned = []
    for what, given in (conditions or {}).items():
        if given.dtype == bool:
            changed = _of(predictions, given)
        else:
            changed = dataclasses.replace(predictions, probabilities=given[None, None])
        if (changed.part == TEST).any():
            row = _row(what, _compute(changed), values['n'])
            keys = ('n', 'accuracy', 'accuracy_interval')
            conditioned.append({'condition': what, **{key: row[key] for key in keys}})
    return Judgement(
        title, lead, predictions, values, tuple(stamps), counted, conditioned, dict(facts or {})
    )


def _compute(predictions: Predictions) -> dict[str, Any]:
    zero = np.zeros(predictions.members, int)
    return results.compute(predictions, chosen={_RULE: zero})[_RULE]


def _of(predictions: Predictions, keep: np.ndarray) -> Predictions:
    """Leaves out all test clips but `keep`, bool [clip] or [member, clip]."""
    part = np.where((predictions.part == TEST) & ~keep, NONE, predictions.part)
    return dataclasses.replace(predictions, part=part.astype(np.int8))


def _row(what: str, values: Mapping[str, Any], total: int) -> dict[str, Any]:
    row: dict[str, Any] = {'what': what, 'n': values['n'], 'removed': total - values['n']}
    for name in METRICS:
        short = name.removeprefix('pooled_')
        row[short], row[f'{short}_interval'] = values[name], values['intervals'][name]
    return row
