"""FER2013: 35,887 faces found by web search (goodfellow2013), with FER+ (barsoum2016)."""

import csv
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from fer_jax.data.datasets import clip_builder, records
from fer_jax.data.datasets import release as releases
from fer_jax.errors import UserError

_CSV, _FERPLUS_CSV = 'fer2013.csv', 'fer2013new.csv'
_SIDE = 48
# The owners' Usage -> the name of that part in all datasets.
_SPLITS = {'Training': 'train', 'PublicTest': 'validation', 'PrivateTest': 'test'}
_SEVEN = ('anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral')
# The vote columns of FER+ in the file's order: a tie goes to the first.
_EIGHT = ('neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt')
_VOTES = (*_EIGHT, 'unknown', 'NF')


class Builder(clip_builder.ClipBuilder):
    """Reads fer2013.csv and, where it is, FER+'s fer2013new.csv, joined row by row.

    Label sets, stored side by side:
      fer2013: the csv's own numbers, 0 anger, 1 disgust, 2 fear, 3 happiness, 4 sadness, 5
        surprise, 6 neutral.
      ferplus8: the class with most of FER+'s ten votes among its eight emotions. Rows without an
        image name (FER+ took those pictures out) or without a vote for any of the eight are dropped
        from this set; votes for 'unknown' and 'no face' are not counted. A tie goes to the earlier
        column of the file.
      ferplus7: the same without the contempt column. On PrivateTest this gives anger 331, disgust
        28, fear 95, happiness 929, neutral 1,294, sadness 450, surprise 446: 3,573 rows, the total
        that minaee2019's Figure 8 shows, classes within 4 (its tie rule is not stated).

    The votes themselves are stored too, and make the targets of the two sets (`ClipSet.target`).

    FER+ joins by row position: its image names do not number the rows. The frame is the 48x48 image
    as it is and the face box all of it. The 12 rows that are black all over stay, since the
    published counts contain them, with `has_face` False. Clip ids are `fer2013/00000000`, the row
    from 0.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Take fer2013.csv (emotion,pixels,Usage) from Kaggle's 2013 challenge 'Challenges in
    Representation
    Learning: Facial Expression Recognition', and for the FER+ label sets fer2013new.csv from
    https://github.com/microsoft/FERPlus. Pass the folder that holds both.
    """
    VERSION = tfds.core.Version('1.1.0')  # 1.0.0 stored no votes
    DESCRIPTION = (
        'FER2013: 35,887 grey 48x48 faces, 7 emotions; FER+ labels where its votes are given.'
    )
    HOMEPAGE = 'https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge'
    CITATION = """@inproceedings{goodfellow2013,
      title={Challenges in representation learning: A report on three machine learning contests},
      author={Goodfellow, Ian J. and others}, booktitle={ICONIP}, year={2013}}
    @inproceedings{barsoum2016,
      title={Training deep networks for facial expression recognition with crowd-sourced label
        distribution},
      author={Barsoum, Emad and Zhang, Cha and Canton Ferrer, Cristian and Zhang, Zhengyou},
      booktitle={ICMI}, year={2016}}"""
    LABEL_SETS = {'fer2013': _SEVEN, 'ferplus7': _SEVEN, 'ferplus8': (*_SEVEN, 'contempt')}
    VOTES = (*_EIGHT, 'unknown', 'no face')
    VOTED_SETS = ('ferplus7', 'ferplus8')
    PUBLISHED_CLASSES = dict(zip(_SEVEN, (4953, 547, 5121, 8989, 6077, 4002, 6198), strict=True))
    PUBLISHED_SPLITS = {'train': 28709, 'validation': 3589, 'test': 3589}
    LANDMARKS = False
    STORED_MARGIN = 1.0
    OPTIONS = ('ferplus',)

    def scan(self, release: Path, ferplus: str | Path = '') -> records.Manifest:
        """Reads the whole csv: labels, parts and pixels (83 MB).

        Args:
          ferplus: FER+'s csv; '' looks for fer2013new.csv beside fer2013.csv.
        """
        folder = releases.root(release, 'FER2013', {_CSV: "from Kaggle's 2013 challenge"})
        votes = Path(ferplus).expanduser() if ferplus else folder / _FERPLUS_CSV
        if ferplus and not votes.is_file():
            raise UserError(f"{votes}: no such file; --ferplus names FER+'s {_FERPLUS_CSV}")
        labels, splits, images = _read_faces(folder / _CSV)
        files, reasons = [folder / _CSV], {}
        others, counts = [{}] * len(labels), [()] * len(labels)
        if votes.is_file():
            files.append(votes)
            others, counts, reasons = _read_votes(votes, len(labels))
        clips = [
            records.ClipSource(
                clip_id=f'fer2013/{row:08d}',
                label=_SEVEN[label],
                subject='',
                split=split,
                path=f'{_CSV}:{row + 2}',  # the line, of which the first is the header
                other_labels=other,
                votes=count,
                payload=image,
            )
            for row, (label, split, image, other, count) in enumerate(
                zip(labels, splits, images, others, counts, strict=True)
            )
        ]
        return records.Manifest(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS) if votes.is_file() else ('fer2013',),
            dropped=[
                {
                    'clip_id': clips[row].clip_id,
                    'path': clips[row].path,
                    'reason': reason,
                    'label_set': label_set,
                }
                for (label_set, row), reason in reasons.items()
            ],
            fingerprint=releases.fingerprint(folder, listed=[], read=files),
            simulated=releases.simulated(folder),
        )

    def read(self, source, pool):
        image = source.payload
        edges = (-0.5, -0.5, _SIDE - 0.5, _SIDE - 0.5)
        box = np.full((1, 4), edges if image.any() else np.nan, np.float32)
        return [image], records.Faces(box, np.full((1, 68, 2), np.nan, np.float32))

    def record(self, source, pool):
        (image,), faces = self.read(source, pool)
        return {
            'frames': image[None],
            'box': faces.box,
            'landmarks': faces.landmarks,
            'has_face': np.isfinite(faces.box).all(1),
        }


def _columns(reader, path: Path, wanted: tuple[str, ...]) -> list[int]:
    """Where the wanted columns stand in a csv, whatever their order."""
    header = [name.strip() for name in next(reader, [])]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise UserError(
            f"{path}: no column '{missing[0]}' in the header '{','.join(header)[:80]}'; it should "
            f'have {",".join(wanted)}: take the original file'
        )
    return [header.index(name) for name in wanted]


def _read_faces(path: Path) -> tuple[list[int], list[str], np.ndarray]:
    """Reads fer2013.csv: labels 0 to 6, names of the parts and uint8 [N, 48, 48, 1]."""
    labels, splits, images = [], [], []
    with open(path, newline='', encoding='utf-8', errors='replace') as file:
        reader = csv.reader(file)
        emotion, pixels, usage = _columns(reader, path, ('emotion', 'pixels', 'Usage'))
        for row in tqdm(reader, desc=f'reading {path.name}', unit=' rows', disable=None):
            where = f'{path}, line {reader.line_num}'
            if len(row) <= max(emotion, pixels, usage):
                raise UserError(
                    f'{where}: {len(row)} column(s); the row is cut off: take the original file'
                )
            if row[emotion].strip() not in ('0', '1', '2', '3', '4', '5', '6'):
                raise UserError(
                    f"{where}: emotion '{row[emotion][:20]}' is not one of 0 to 6; correct the row"
                )
            if row[usage].strip() not in _SPLITS:
                raise UserError(
                    f"{where}: Usage '{row[usage][:20]}' is none of {', '.join(_SPLITS)}"
                )
            labels.append(int(row[emotion]))
            splits.append(_SPLITS[row[usage].strip()])
            images.append(_image(row[pixels], where))
    if not images:
        raise UserError(f'{path}: no rows after the header; take the original file')
    return labels, splits, np.stack(images)


def _image(text: str, where: str) -> np.ndarray:
    try:
        values = np.fromstring(text, dtype=np.int64, sep=' ')  # four times as fast as splitting
    except ValueError as error:
        raise UserError(f'{where}: pixels that are no whole numbers; correct the row') from error
    if len(values) != _SIDE * _SIDE:
        raise UserError(
            f'{where}: {len(values):,} pixels instead of {_SIDE * _SIDE:,} ({_SIDE}x{_SIDE}); '
            'correct the row or take the original file'
        )
    if values.min() < 0 or values.max() > 255:
        raise UserError(f'{where}: a pixel lies outside 0 to 255; correct the row')
    return values.astype(np.uint8).reshape(_SIDE, _SIDE, 1)


def _read_votes(
    path: Path, rows: int
) -> tuple[list[dict[str, str]], list[list[int]], dict[tuple[str, int], str]]:
    """Reads FER+'s votes and lets them decide.

    Returns:
      For each row its class in ferplus7 and ferplus8, '' where dropped; its ten votes; and why it
      was dropped, by label set and row.
    """
    names, votes = [], []
    with open(path, newline='', encoding='utf-8', errors='replace') as file:
        reader = csv.reader(file)
        name, *columns = _columns(reader, path, ('Image name', *_VOTES))
        for row in reader:
            try:
                votes.append([int(row[column]) for column in columns])
                names.append(row[name].strip())
            except (IndexError, ValueError) as error:
                raise UserError(
                    f'{path}, line {reader.line_num}: {len(_VOTES)} votes expected, but {error}; '
                    'take the original file'
                ) from error
    if len(votes) != rows:
        raise UserError(
            f'{path}: {len(votes):,} rows, but {_CSV} has {rows:,}; the two are joined row by row: '
            'take both original files'
        )
    table = np.array(votes)
    classes, reasons = [{} for _ in range(rows)], {}
    for label_set, count in (('ferplus7', 7), ('ferplus8', 8)):
        counted = table[:, :count]
        best, any_vote = counted.argmax(1), counted.any(1)  # argmax: the first of equals
        for row in range(rows):
            if names[row] and any_vote[row]:
                classes[row][label_set] = _VOTES[best[row]]
            else:
                why = 'no vote for its classes' if names[row] else 'no image name in FER+'
                reasons[label_set, row] = f'{label_set}: {why}'
    return classes, votes, reasons
