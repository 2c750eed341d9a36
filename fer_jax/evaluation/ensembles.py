"""Several runs as one system: the mean of their probabilities, judged as a run is."""

from collections.abc import Sequence

import numpy as np

from fer_jax.errors import UserError
from fer_jax.evaluation import calibration, judgement, pairing
from fer_jax.evaluation.judgement import Judgement
from fer_jax.evaluation.predictions import TEST, VALIDATION, Predictions
from fer_jax.evaluation.results import calibrated_at
from fer_jax.evaluation.rules import RULES, choose, preferred
from fer_jax.evaluation.rundir import Run


def judge(runs: Sequence[Run]) -> Judgement:
    """Judges the mean of runs as one system.

    Its temperature is fitted on the validation clips that no network was trained on.

    Raises:
      UserError: as of `mean`, or a run that is given twice.
    """
    paths = [run.path.resolve() for run in runs]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise UserError(f'{twice[0]} is given twice: name different runs')
    predictions = mean(runs)
    names = [path.name for path in paths]
    dataset, networks = runs[0].dataset, sum(_counted(run.predictions)[0].sum() for run in runs)
    stamps = tuple(dict.fromkeys(stamp for run in runs for stamp in run.stamps))
    return judgement.judge(
        predictions,
        title=f'Ensemble of {len(runs)} runs',
        lead=f'mean of {networks} networks of {", ".join(names)} on {dataset["name"]}',
        temperature=calibration.temperature_of(
            predictions, np.zeros(predictions.members, int), averaged=False
        ),
        stamps=stamps,
        facts={
            'Runs': ', '.join(map(str, paths)),
            'Dataset': dataset['name'],
            'Epochs': '; '.join(
                f'{run.path.name}: {RULES[preferred(choose(run.predictions))].meaning}'
                for run in runs
            ),
            'Protocol': runs[0].folds['protocol'],
            'Fingerprint': dataset['fingerprint'],
        },
    )


def mean(runs: Sequence[Run]) -> Predictions:
    """Averages the probabilities of all networks of the same fold, of all runs and seeds.

    Each network counts at its epoch under its run's own headline rule; a network that diverged does
    not count. Columns are matched by the names of classes.

    Returns:
      A member for each fold that has a network, and one epoch; of validation clips those that no
      network of the fold was trained on. A copy of a clip that any of them was trained on is
      marked as one.

    Raises:
      UserError: runs of other data, classes, test clips, labels or training clips.
    """
    for other in runs[1:]:
        if reason := pairing.refusal(runs[0], other):
            raise UserError(reason)
    first = runs[0].predictions
    folds = np.unique(first.fold)
    columns = {name: column for column, name in enumerate(first.classes)}
    clips = {name: row for row, name in enumerate(first.clip_id.tolist())}
    shape = (len(folds), len(clips), len(first.classes))
    total = {part: np.zeros(shape) for part in (VALIDATION, TEST)}
    count = {part: np.zeros(shape[:2], int) for part in (VALIDATION, TEST)}
    networks = np.zeros(len(folds), int)
    duplicate = np.zeros(shape[:2], np.int8)
    for run in runs:
        table = run.predictions
        order = [table.classes.index(name) for name in columns]
        row_of = np.array([clips.get(name, -1) for name in table.clip_id.tolist()])
        tested, validated = _epochs(table)
        for part, epoch in ((TEST, tested), (VALIDATION, validated)):
            rows = table.at(epoch, part)
            place = np.searchsorted(folds, rows.fold), row_of[rows.clip]
            known = place[1] >= 0
            place = place[0][known], place[1][known]
            np.add.at(total[part], place, rows.probabilities[known][:, order])
            np.add.at(count[part], place, 1)
        # Of one run's copies of clips that it held out, another's network may have seen the clip.
        found = np.flatnonzero(row_of >= 0)
        for member in np.flatnonzero(tested >= 0).tolist():
            place = np.searchsorted(folds, table.fold[member]), row_of[found]
            duplicate[place] = np.maximum(duplicate[place], table.duplicate[member, found])
        counted = table.fold[validated >= 0]
        networks += np.bincount(np.searchsorted(folds, counted), minlength=len(folds))
    part = np.zeros(shape[:2], np.int8)
    # A clip that chose an epoch in one run may have been trained on in another one.
    part[(count[VALIDATION] == networks[:, None]) & (networks[:, None] > 0)] = VALIDATION
    part[count[TEST] > 0] = TEST
    probabilities = np.full(shape, np.nan, np.float32)
    for name in (VALIDATION, TEST):
        mine = part == name
        probabilities[mine] = total[name][mine] / count[name][mine][:, None]
    judged = (part == TEST).any(1)  # not of a fold that diverged in every run
    folds, part, probabilities = folds[judged], part[judged], probabilities[judged]
    # A member that was trained again has other counts than the one that chose for it.
    order = np.argsort(~_counted(first)[0], kind='stable')
    own = [next(i for i in order if first.fold[i] == fold) for fold in folds.tolist()]
    return Predictions(
        probabilities=probabilities[:, None],
        part=part,
        label=first.label,
        subject=first.subject,
        clip_id=first.clip_id,
        classes=first.classes,
        fold=folds.astype(np.int32),
        seed=np.zeros(len(folds), np.int32),
        epochs=np.ones(len(folds), np.int32),
        train_counts=first.train_counts[own],
        duplicate=duplicate[judged],
        target=first.target,
    )


def _epochs(table: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Returns the epochs, int [M], of a run's test and of its validation clips; -1: left out."""
    chosen = choose(table)
    rule = preferred(chosen)
    return chosen[rule], calibrated_at(rule, chosen)


def _counted(table: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Tells which members judge test clips, and which validation clips, bool [M] each."""
    tested, validated = _epochs(table)
    return tested >= 0, validated >= 0
