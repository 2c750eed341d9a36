"""TFD: grey 48x48 faces from many collections, few of them with an expression (susskind2010)."""

from pathlib import Path

import numpy as np

from fer_jax.data.datasets import clip_builder, records
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError

_MAT, _SIDE, _FOLDS = 'TFD_48x48.mat', 48, 5
# In the order of labs_ex's numbers, from 1; -1 is a row without a label.
_CLASSES = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral')
# What folds holds for a row: its part in that fold.
_PARTS = {0: '', 1: 'train', 2: 'validation', 3: 'test'}
_LABELLED = 4178


class Builder(clip_builder.ClipBuilder):
    """Reads the rows of TFD_48x48.mat that have an expression label.

    `images` [N, 48, 48] holds the pictures, `labs_ex` [N, 1] the expression (1 anger, 2 disgust, 3
    fear, 4 happiness, 5 sadness, 6 surprise, 7 neutral, -1 none), `labs_id` [N, 1] the person (-1
    unknown) and `folds` [N, 5] the owners' five ways of parting the labelled rows (1 training, 2
    validation, 3 test, 0 neither). One of the five becomes the split: option `fold`. The frame is
    the picture as it is and the face box all of it; a detector adds landmarks (`faces.whole`).
    Clip ids are `tfd/000000`, the row from 0.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Ask the owners at the University of Toronto for TFD_48x48.mat (images, labs_ex, labs_id, folds)
    and pass the folder that holds it. --fold=2 (1 to 5) takes another of the five official folds.
    """
    DESCRIPTION = 'Toronto Face Database: 4,178 labelled grey 48x48 faces, 7 classes, 5 folds.'
    HOMEPAGE = 'https://www.cs.toronto.edu/'
    CITATION = """@techreport{susskind2010,
      title={The Toronto Face Database},
      author={Susskind, Josh M. and Anderson, Adam K. and Hinton, Geoffrey E.},
      institution={University of Toronto}, number={UTML TR 2010-001}, year={2010}}"""
    LABEL_SETS = {'tfd': _CLASSES}
    FACES = ('release', 'yunet', 'dlib', 'face_alignment')
    LANDMARKS = False
    WHOLE = True
    STORED_MARGIN = 1.0
    OPTIONS = ('fold',)

    def scan(self, release: Path, fold: int = 1) -> records.ScanResult:
        """Reads the whole file (260 MB of pictures).

        Args:
          fold: which official fold becomes the split, 1 to 5.
        """
        if str(fold) not in map(str, range(1, _FOLDS + 1)):
            raise UserError(f'--fold={fold}: TFD has the folds 1 to {_FOLDS}')
        folder = releases.root(release, 'TFD', {_MAT: "the owners' file of 48x48 faces"})
        path = folder / _MAT
        images, expression, person, folds = _read_mat(path)
        rows = np.flatnonzero(expression != -1)
        part = folds[:, int(fold) - 1]
        clips = [
            records.FoundClip(
                clip_id=f'tfd/{row:06d}',
                label=_CLASSES[expression[row] - 1],
                subject='' if person[row] == -1 else str(person[row]),
                split=_PARTS[part[row]],
                path=f'{_MAT}:{row}',
                payload=np.ascontiguousarray(images[row])[..., None],
            )
            for row in rows.tolist()
        ]
        unlabelled = len(expression) - len(rows)
        reason = f'{unlabelled:,} of {len(expression):,} rows have no expression label'
        dropped = [{'clip_id': _MAT, 'path': _MAT, 'reason': reason, 'label_set': ''}]
        return records.ScanResult(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS),
            dropped=dropped if unlabelled else [],
            fingerprint=releases.fingerprint(folder, listed=[], read=[path]) + f'-fold{fold}',
            simulated=releases.simulated(folder),
        )

    def read(self, source, pool):
        return [source.payload], releases.whole_pictures([source.payload])

    def _differences(self, counts, splits, subjects):
        found = sum(counts['tfd'].values())
        lines = super()._differences(counts, splits, subjects)
        if found != _LABELLED:
            lines.append(f'labelled pictures: {found:,} of {_LABELLED:,} published')
        return lines


def _read_mat(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Reads images uint8 [N, 48, 48], expressions [N], persons [N], folds [N, 5], all checked."""
    import scipy.io  # only here, and half a second

    wanted = {'images': (_SIDE, _SIDE), 'labs_ex': (1,), 'labs_id': (1,), 'folds': (_FOLDS,)}
    again = "take the owners' file again"
    try:
        found = scipy.io.loadmat(path, variable_names=list(wanted))
    except NotImplementedError as error:  # as h5py reads it
        raise UserError(
            f'{path}: a MATLAB 7.3 file (HDF5); save it once more in MATLAB with save(..., "-v7")'
        ) from error
    except Exception as error:  # SciPy's parser meets a damaged file with whatever comes up
        raise UserError(f'{path}: truncated, damaged or no MATLAB file; {again}') from error
    for name, shape in wanted.items():
        if name not in found:
            raise UserError(f"{path}: no variable '{name}' in it; {again}")
        if not isinstance(found[name], np.ndarray) or found[name].dtype.kind not in 'biuf':
            raise UserError(f'{path}: {name} is no full array of real numbers; {again}')
        if found[name].shape != (len(found['images']), *shape):
            size, expected = (
                ' x '.join(map(str, sides)) for sides in (found[name].shape, ('N', *shape))
            )
            raise UserError(f'{path}: {name} is {size} instead of {expected}; {again}')
    if found['images'].dtype != np.uint8:
        raise UserError(f'{path}: {found["images"].dtype} pixels instead of uint8; {again}')
    for name in ('labs_ex', 'labs_id', 'folds'):
        wrong = np.argwhere(~(np.isfinite(found[name]) & (found[name] == np.rint(found[name]))))
        if len(wrong):
            row = wrong[0][0]
            raise UserError(
                f'{path}, row {row}: {name} is {found[name][tuple(wrong[0])]}, no whole number; '
                f'correct the row or {again}'
            )
    expression, person = found['labs_ex'][:, 0].astype(int), found['labs_id'][:, 0].astype(int)
    folds = found['folds'].astype(int)
    for name, values, allowed in (
        ('labs_ex', expression, (-1, *range(1, len(_CLASSES) + 1))),
        ('folds', folds, tuple(_PARTS)),
    ):
        wrong = np.argwhere(~np.isin(values, allowed))
        if len(wrong):
            row, *_ = wrong[0]
            raise UserError(
                f'{path}, row {row}: {name} is {values[tuple(wrong[0])]}, not one of '
                f'{", ".join(map(str, allowed))}; correct the row or {again}'
            )
    return found['images'], expression, person, folds
