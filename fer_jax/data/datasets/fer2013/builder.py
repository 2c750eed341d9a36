"""FER2013: 35,887 faces found by web search (goodfellow2013), with FER+ (barsoum2016)."""

import contextlib
from pathlib import Path

import numpy as np
from sklearn import metrics

from fer_jax.data.datasets import clip_builder, records
from fer_jax.data.datasets import release as releases
from fer_jax.data.datasets.fer2013 import forms
from fer_jax.errors import UserError

_FERPLUS_CSV = 'fer2013new.csv'
_SEVEN = forms.CLASSES
# The vote columns of FER+ in the file's order: a tie goes to the first.
_EIGHT = ('neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt')
_VOTES = (*_EIGHT, 'unknown', 'NF')
_TAGGERS = 10  # of every image but one, which nine tagged
_COUNTS = {str(count): count for count in range(_TAGGERS + 1)}
# Cohen's kappa of both label sets is 0.55 on the original files and 0 on rows in another order.
_LEAST_KAPPA = 0.2
_ENOUGH = 100  # rows, for a kappa that means something


class Builder(clip_builder.ClipBuilder):
    """Reads FER2013 in any of its forms (`forms`) and, where it is, FER+'s fer2013new.csv.

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

    FER+ joins by row position: its image names do not number the rows, so that it cannot be joined
    to folders of pictures. The frame is the 48x48 image as it is and the face box all of it; a
    detector adds landmarks (`faces.whole`). The 12 rows that are black all over stay, since the
    published counts contain them, with `has_face` False. Clip ids are `fer2013/00000000`, the row
    from 0, or the file's path.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Take fer2013.csv (emotion,pixels,Usage) or icml_face_data.csv from Kaggle's 2013 challenge
    'Challenges in Representation Learning: Facial Expression Recognition', and for the FER+ label
    sets fer2013new.csv from https://github.com/microsoft/FERPlus. Pass the folder that holds both.
    """
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
    NEEDS = dict.fromkeys(VOTED_SETS, 'fer2013new.csv in the release, or --ferplus=PATH')
    PUBLISHED_CLASSES = dict(zip(_SEVEN, (4953, 547, 5121, 8989, 6077, 4002, 6198), strict=True))
    PUBLISHED_SPLITS = {'train': 28709, 'validation': 3589, 'test': 3589}
    FACES = ('release', 'yunet', 'dlib', 'face_alignment')
    LANDMARKS = False
    WHOLE = True
    STORED_MARGIN = 1.0
    OPTIONS = ('ferplus',)

    def scan(self, release: Path, ferplus: str | Path = '') -> records.ScanResult:
        """Reads the whole release: labels, parts and, of a csv, pixels (83 MB).

        Args:
          ferplus: FER+'s csv; '' looks for fer2013new.csv beside the images.
        """
        form = forms.open_form(release)
        self._notes = list(form.notes)
        given = Path(ferplus).expanduser() if ferplus else form.folder / _FERPLUS_CSV
        votes = releases.optional(given)
        if ferplus and votes is None:
            raise UserError(f"{given}: no such file; --ferplus names FER+'s {_FERPLUS_CSV}")
        joined = votes is not None and form.voted > 0
        if votes is not None and not joined:
            if ferplus:
                raise UserError(f'{votes} cannot be joined: {form.unvoted}; leave --ferplus out')
            self._notes.append(f'{_FERPLUS_CSV} is not joined: {form.unvoted}')
        files, reasons = list(form.read), {}
        others, counts = [{}] * len(form.faces), [()] * len(form.faces)
        if votes is not None and joined:
            files.append(votes)
            others, counts, reasons = _read_votes(votes, form)
            for row in range(form.voted, len(form.faces)):
                others[row], counts[row] = {}, [0] * len(_VOTES)
                for label_set in list(self.LABEL_SETS)[1:]:
                    reasons[label_set, row] = f'{label_set}: {form.unvoted}'
        clips = [
            records.FoundClip(
                clip_id=f'fer2013/{face.name}',
                label=face.label,
                subject='',
                split=face.split,
                path=face.path,
                other_labels=other,
                votes=count,
                payload=face.image,
            )
            for face, other, count in zip(form.faces, others, counts, strict=True)
        ]
        return records.ScanResult(
            clips=clips,
            label_sets=tuple(self.LABEL_SETS) if joined else ('fer2013',),
            dropped=[
                {
                    'clip_id': clips[row].clip_id,
                    'path': clips[row].path,
                    'reason': reason,
                    'label_set': label_set,
                }
                for (label_set, row), reason in reasons.items()
            ],
            fingerprint=releases.fingerprint(form.folder, listed=form.listed, read=files),
            simulated=releases.simulated(form.folder),
        )

    def read(self, source, pool):
        image = source.payload
        if isinstance(image, Path):
            image = forms.read_image(image)
        edges = (-0.5, -0.5, forms.SIDE - 0.5, forms.SIDE - 0.5)
        box = np.full((1, 4), edges if image.any() else np.nan, np.float32)
        return [image], records.Faces(box, np.full((1, 68, 2), np.nan, np.float32))

    def _differences(self, counts, splits, subjects):
        return [*super()._differences(counts, splits, subjects), *self._notes]


def _read_votes(
    path: Path, form: forms.Form
) -> tuple[list[dict[str, str]], list[list[int]], dict[tuple[str, int], str]]:
    """Reads FER+'s votes and lets them decide.

    Returns:
      For each row its class in ferplus7 and ferplus8, '' where dropped; its ten votes; and why it
      was dropped, by label set and row.

    Raises:
      UserError: the file is damaged, or its rows are not those of the images: by their number,
        by the part that both state of a row, or by labels that agree no more than by chance.
    """
    names, votes, usages, rows = [], [], [], len(form.faces)
    with contextlib.closing(forms.lines(path)) as reader:
        usage, name, *columns = forms.columns(reader, path, ('Usage', 'Image name', *_VOTES))
        for line, row in reader:
            try:
                counts = [_COUNTS[row[column].strip()] for column in columns]
                usages.append((row[usage].strip(), line))
                names.append(row[name].strip())
            except (IndexError, KeyError) as error:
                raise UserError(
                    f'{path}, line {line}: {len(_VOTES)} votes of 0 to {_TAGGERS} '
                    f'expected, but {error}; take the original file'
                ) from error
            if sum(counts) not in (_TAGGERS - 1, _TAGGERS):
                raise UserError(
                    f'{path}, line {line}: {sum(counts)} votes, but {_TAGGERS} raters gave one '
                    'each; take the original file'
                )
            votes.append(counts)
    if len(votes) != rows:
        raise UserError(
            f'{path}: {len(votes):,} rows, but the images have {rows:,}; the two are joined row by '
            'row: take both original files'
        )
    for face, (part, line) in zip(form.faces[: form.voted], usages, strict=False):
        if forms.SPLITS.get(part) != face.split:
            raise UserError(
                f"{path}, line {line}: Usage '{part[:20]}', but {face.path} is of {face.split}; "
                'the two are joined row by row: take both original files'
            )
    table = np.array(votes)
    classes, reasons = [{} for _ in range(rows)], {}
    for label_set, count in (('ferplus7', 7), ('ferplus8', 8)):
        counted = table[:, :count]
        best, any_vote = counted.argmax(1), np.any(counted, 1)  # argmax: the first of equals
        for row in range(rows):
            if names[row] and any_vote[row]:
                classes[row][label_set] = _VOTES[best[row]]
            else:
                why = 'no vote for its classes' if names[row] else 'no image name in FER+'
                reasons[label_set, row] = f'{label_set}: {why}'
    _check_agreement(path, form, classes)
    return classes, votes, reasons


def _check_agreement(path: Path, form: forms.Form, classes: list[dict[str, str]]) -> None:
    """Refuses votes that agree with the images' own labels no more than by chance."""
    both = [
        (face.label, own['ferplus7'])
        for face, own in zip(form.faces[: form.voted], classes, strict=False)
        if face.label and 'ferplus7' in own
    ]
    if len(both) < _ENOUGH:
        return
    kappa = metrics.cohen_kappa_score(*zip(*both, strict=True))
    if not kappa >= _LEAST_KAPPA:
        same = sum(one == other for one, other in both) / len(both)
        raise UserError(
            f"{path}: its labels agree with the images' own on {same:.1%} of the rows (kappa "
            f'{kappa:.2f}; 62.9% and 0.55 in the original files): rows are in another order; take '
            'both original files'
        )
