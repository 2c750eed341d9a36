"""The arithmetic of optimism: what the leaking way reports minus what the honest way reports."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fer_jax.evaluation import bootstrap, rules
from fer_jax.laboratory.design import Design
from fer_jax.laboratory.divisions import CLIPS, COPIES, SUBJECTS, UNITS, Copies
from fer_jax.laboratory.outcomes import Outcomes

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
    Pair('copies_originals', 'a', 'the same, original clips only', 'copies_originals',
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
