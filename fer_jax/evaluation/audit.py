"""The leak audit: counts and lists what several parts of a protocol's folds have in common."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fer_jax.data import leaks, similarity
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import PARTS, Fold, Protocol
from fer_jax.evaluation.table import COUNT, Column, Table

# Evaluated part, and the parts whose clips it should not contain.
CROSSINGS = (
    ('validation', ('train',)),
    ('test', ('train',)),
    ('test', ('validation',)),
    ('test', ('train', 'validation')),
)
TITLES = {'train': 'training', 'validation': 'validation', 'test': 'test'}
KINDS = {
    similarity.IDENTICAL: 'identical',
    similarity.NEARLY: 'nearly identical',
    similarity.MIRRORED: 'mirrored',
}
UNKNOWN, NONE, LEAK, NOTE = 'unknown', 'none', 'leak', 'note'


@dataclasses.dataclass(frozen=True)
class Made:
    """Views that training makes of clips in one fold, or a statistic that is fitted on them.

    Attributes:
      fold: the fold's number.
      name: for tables, e.g. 'class weights'.
      clip: int [n], the clips, one for each view.
      train: int [m], the clips that may be used: the training clips, and the validation clips as
        well where a member is trained again.
      view: whether these are views.
    """

    fold: int
    name: str
    clip: np.ndarray
    train: np.ndarray
    view: bool

    @property
    def outside(self) -> np.ndarray:
        """The clips that should not be among them, int [k], each once."""
        return np.setdiff1d(self.clip, self.train)


@dataclasses.dataclass(frozen=True)
class Pair:
    """A clip of one part that is like a clip of another.

    Attributes:
      clip, source: indices; `source` is the one that training, or choosing, saw.
      part, source_part: their parts.
      kind: of `KINDS`.
      distance: differing bits of the hashes of `frame` and `source_frame`.
      folds: in how many folds.
    """

    clip: int
    source: int
    part: str
    source_part: str
    kind: int
    distance: int
    frame: int
    source_frame: int
    folds: int


@dataclasses.dataclass(frozen=True)
class Audit:
    """The result of an audit: what was examined and what was found.

    Attributes:
      clips, protocol: as examined.
      folds: number -> fold, those of the protocol that were examined.
      made: what training makes in each of them.
      groups, links: identical clips, and groups that look alike.
      crossings: for each of `CROSSINGS`, the matches in each fold.
      stamps: shown on everything.
      refusal: why a run would refuse these folds; '' where it would not.
    """

    clips: ClipSet
    protocol: Protocol
    folds: Mapping[int, Fold]
    made: Sequence[Made]
    groups: np.ndarray
    links: similarity.Links
    crossings: Mapping[tuple[str, tuple[str, ...]], Sequence[similarity.Matches]]
    stamps: tuple[str, ...]
    refusal: str


def examine(
    clips: ClipSet,
    protocol: Protocol,
    numbers: Sequence[int],
    made: Sequence[Made],
    *,
    stamps: tuple[str, ...] = (),
    refusal: str = '',
) -> Audit:
    """Looks for identical and similar clips in different parts of the folds `numbers`."""
    groups = leaks.duplicates(clips)
    links = similarity.links(clips, groups)
    folds = {number: protocol.folds[number] for number in numbers}
    crossings = {}
    for judged, sources in CROSSINGS:
        crossings[judged, sources] = [
            similarity.matches(
                groups,
                links,
                np.concatenate([getattr(fold, part) for part in sources]),
                getattr(fold, judged),
            )
            for fold in folds.values()
        ]
    return Audit(clips, protocol, folds, made, groups, links, crossings, stamps, refusal)


def pairs(audit: Audit) -> list[Pair]:
    """Lists the pairs of similar clips in two parts, the nearest of each clip, over all folds."""
    found: dict[tuple, list] = {}
    for (judged, sources), matches in audit.crossings.items():
        if len(sources) != 1:  # the union of two others
            continue
        for match in matches:
            columns = (match.clip, match.source, match.kind, match.distance, match.frame)
            for row in zip(*(*columns, match.source_frame), strict=True):
                clip, source, *rest = (int(value) for value in row)
                found.setdefault((clip, source, judged, sources[0]), [*rest, 0])[-1] += 1
    return [Pair(*key, *values) for key, values in sorted(found.items())]


def findings(audit: Audit) -> Table:
    """Tabulates the findings, a row for each question."""
    clips, sizes = audit.clips, np.bincount(audit.groups)
    known = set(clips.subject.tolist()) - {''}
    shared = {row['subject'] for row in _shared_subjects(audit)}
    mirrored = int(audit.links.mirrored.sum())
    copies = [made for made in audit.made if made.view]
    fits = [made for made in audit.made if not made.view]
    missing = {
        name
        for fold in audit.folds.values()
        for name, count in zip(clips.classes, _counts(clips, fold.train), strict=True)
        if not count
    }
    rows = [
        ('Subjects in two parts of a fold', len(shared) if known else None, len(known) or None,
         LEAK if known else UNKNOWN),
        ('Clips of unknown subject', int(np.sum(clips.subject == '')), len(clips), NOTE),
        ('Views for training made of clips of other parts',
         sum(int(np.isin(made.clip, made.outside).sum()) for made in copies),
         sum(len(made.clip) for made in copies), LEAK),
        ('Fitted statistics that saw clips of other parts',
         sum(len(made.outside) > 0 for made in fits), len(fits), LEAK),
        ('Clips that repeat another, pixel by pixel', len(clips) - len(sizes), len(clips), NOTE),
        ('Groups of identical clips with more than one label',
         len(leaks.label_conflicts(audit.groups, clips.label)), int(np.sum(sizes > 1)), NOTE),
        ('Pairs of different clips that look alike', len(audit.links.one) - mirrored, None, NOTE),
        ('Pairs of different clips that are alike when mirrored', mirrored, None, NOTE),
        ('Classes without a training clip in some fold', len(missing), len(clips.classes), NOTE),
    ]  # fmt: skip
    return Table(
        'findings',
        'The whole dataset, all folds together.',
        (
            Column('question', 'What'),
            Column('found', 'Found', COUNT),
            Column('of', 'Of', COUNT),
            Column('verdict', 'Verdict'),
        ),
        [
            {'question': question, 'found': n, 'of': of, 'verdict': verdict if n != 0 else NONE}
            for question, n, of, verdict in rows
        ],
        frozenset(i for i, row in enumerate(rows) if row[3] == LEAK and row[1]),
    )


def crossings(audit: Audit) -> Table:
    """Counts the clips of one part that another part has as well, or nearly."""
    rows = []
    for (judged, sources), matches in audit.crossings.items():
        clips = sum(len(getattr(fold, judged)) for fold in audit.folds.values())
        sizes = [sum(len(getattr(f, part)) for f in audit.folds.values()) for part in sources]
        if not clips or not all(sizes):
            continue
        kind = np.concatenate([match.kind for match in matches])
        other = np.concatenate(
            [audit.clips.label[m.clip] != audit.clips.label[m.source] for m in matches]
        )
        seen = ' or '.join(TITLES[part] for part in sources)
        rows.append(
            {
                'crossing': f'{TITLES[judged].capitalize()} clips in {seen}',
                'clips': clips,
                **{name: int(np.sum(kind == number)) for number, name in KINDS.items()},
                'other_label': int(other[kind == similarity.IDENTICAL].sum()),
                'other_label_near': int(other[kind == similarity.NEARLY].sum()),
            }
        )
    return Table(
        'crossings',
        'Clips of one part of a fold that are like a clip of another part, summed over folds; each '
        f'under the first column that holds. Nearly identical: at most {similarity.NEAR} of '
        f'{similarity.BITS} bits of the perceptual hashes of two frames differ.',
        (
            Column('crossing', 'What'),
            Column('clips', 'Clips', COUNT),
            *(Column(name, name.capitalize(), COUNT) for name in KINDS.values()),
            Column('other_label', 'Identical with another label', COUNT),
            Column('other_label_near', 'Nearly identical with another label', COUNT),
        ),
        rows,
    )


def _shared_subjects(audit: Audit) -> list[dict]:
    found: dict[tuple[str, tuple[str, str]], int] = {}
    for fold in audit.folds.values():
        for between, names in leaks.shared(fold, audit.clips.subject).items():
            for name in names:
                found[name, between] = found.get((name, between), 0) + 1
    return [
        {
            'subject': name,
            'parts': ' and '.join(TITLES[part] for part in between),
            'folds': folds,
            'clips': int(np.sum(audit.clips.subject == name)),
        }
        for (name, between), folds in sorted(found.items())
    ]


def subjects(audit: Audit) -> Table | None:
    """Tabulates the subjects that two parts of a fold share; None where there are none."""
    columns = (
        Column('subject', 'Subject'),
        Column('parts', 'In both'),
        Column('folds', 'Folds', COUNT),
        Column('clips', 'Clips', COUNT),
    )
    rows = _shared_subjects(audit)
    caption = 'Subjects in two parts of a fold.'
    return Table('shared_subjects', caption, columns, rows) if rows else None


def similar(audit: Audit, found: Sequence[Pair]) -> Table | None:
    """Tabulates the pairs, nearest first; None where there are none."""
    clips = audit.clips
    rows = [
        {
            'clip': str(clips.clip_id[pair.clip]),
            'part': TITLES[pair.part],
            'label': label_of(clips, pair.clip),
            'subject': str(clips.subject[pair.clip]),
            'source_clip': str(clips.clip_id[pair.source]),
            'source_part': TITLES[pair.source_part],
            'source_label': label_of(clips, pair.source),
            'source_subject': str(clips.subject[pair.source]),
            'kind': KINDS[pair.kind],
            'distance': pair.distance,
            'folds': pair.folds,
        }
        for pair in sorted(found, key=lambda pair: (pair.kind, pair.distance, pair.clip))
    ]
    columns = (
        Column('clip', 'Clip'),
        Column('part', 'Part'),
        Column('label', 'Label'),
        Column('subject', 'Subject', shown=False),
        Column('source_clip', 'Is like'),
        Column('source_part', 'Of part'),
        Column('source_label', 'With label'),
        Column('source_subject', 'Its subject', shown=False),
        Column('kind', 'How'),
        Column('distance', 'Bits', COUNT),
        Column('folds', 'Folds', COUNT),
    )
    caption = 'Each clip with the clip of another part that is most like it.'
    return Table('similar_clips', caption, columns, rows) if rows else None


def conflicts(audit: Audit) -> Table | None:
    """Tabulates groups of identical clips with more than one label; None where there are none."""
    rows = [
        {
            'clips': ' '.join(audit.clips.clip_id[members].tolist()),
            'labels': ' '.join(label_of(audit.clips, index) for index in members),
            'n': len(members),
        }
        for members in conflicting(audit)
    ]
    columns = (Column('n', 'Clips', COUNT), Column('labels', 'Labels'), Column('clips', 'Ids'))
    caption = 'Groups of clips identical pixel by pixel that carry more than one label.'
    return Table('label_conflicts', caption, columns, rows) if rows else None


def conflicting(audit: Audit) -> Iterator[np.ndarray]:
    """Yields the clips, int [clip], of each group with more than one label."""
    for number in leaks.label_conflicts(audit.groups, audit.clips.label):
        yield np.flatnonzero(audit.groups == number)


def made(audit: Audit) -> Table:
    """Tabulates what training makes of which clips, fold by fold."""
    rows = []
    for item in audit.made:
        rows.append(
            {
                'fold': item.fold,
                'name': item.name,
                'made': len(item.clip) if item.view else 1,
                'clips': len(np.unique(item.clip)),
                'train': len(item.train),
                'outside': len(item.outside),
            }
        )
    return Table(
        'made_from_clips',
        'Views and fitted statistics of each fold, and the clips that they were made of.',
        (
            Column('fold', 'protocol.fold', COUNT),
            Column('name', 'What'),
            Column('made', 'How many', COUNT),
            Column('clips', 'Made of clips', COUNT),
            Column('train', 'Training clips', COUNT),
            Column('outside', 'Of other parts', COUNT),
        ),
        rows,
    )


def balance(audit: Audit) -> Table:
    """Counts clips of each class in each part; of several folds the fewest and the most."""
    clips, columns = audit.clips, [Column('class', 'Class'), Column('clips', 'All clips', COUNT)]
    counts = _counts(clips, np.arange(len(clips)))
    rows = [{'class': name, 'clips': int(n)} for name, n in zip(clips.classes, counts, strict=True)]
    for part in PARTS:
        by_fold = np.stack([_counts(clips, getattr(fold, part)) for fold in audit.folds.values()])
        if not by_fold.any():
            continue
        ends = {part: by_fold.min(0)}
        titles = [TITLES[part].capitalize()]
        if len(by_fold) > 1:
            ends = {f'{part}_fewest': by_fold.min(0), f'{part}_most': by_fold.max(0)}
            titles = [f'{titles[0]}, fewest', f'{titles[0]}, most']
        for (key, values), title in zip(ends.items(), titles, strict=True):
            columns.append(Column(key, title, COUNT))
            for row, value in zip(rows, values, strict=True):
                row[key] = int(value)
    caption = 'Clips of each class in each part' + ' of a fold' * (len(audit.folds) > 1) + '.'
    return Table('class_balance', caption, tuple(columns), rows)


def shares(audit: Audit) -> dict[str, np.ndarray]:
    """Computes each class's share of each part that has clips, float [class], over all folds."""
    counts = {
        part: sum(
            (_counts(audit.clips, getattr(fold, part)) for fold in audit.folds.values()),
            start=np.zeros(len(audit.clips.classes), int),
        )
        for part in PARTS
    }
    return {part: count / count.sum() for part, count in counts.items() if count.any()}


def _counts(clips: ClipSet, index: np.ndarray) -> np.ndarray:
    label = clips.label[index]
    return np.bincount(label[label >= 0], minlength=len(clips.classes))


def label_of(clips: ClipSet, index: int) -> str:
    """Returns the name of a clip's class; '' where it has none."""
    return clips.classes[clips.label[index]] if clips.label[index] >= 0 else ''
