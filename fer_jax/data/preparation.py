"""From a release on disk to a prepared dataset, written completely or not at all."""

import collections
import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from fer_jax.data import checksums, datasets, prepared
from fer_jax.data.faces import DETECTORS, cache, make_detector
from fer_jax.errors import UserError

_NAMED = 3  # how many dropped clips the summary names; all are stored


def prepare(
    name: str,
    release: str | Path,
    data_dir: str | Path | None = None,
    *,
    faces: str = '',
    weights: str | Path | None = None,
    skip_unreadable: bool = False,
    overwrite: bool = False,
    report: Callable[[str], None] = print,
    **options,
) -> dict:
    """Prepares a release, or says that this is done already.

    Records are written into a folder beside the final one, which takes their place in one rename:
    a preparation that is killed leaves nothing that passes for whole, and what it left is removed
    by the next one. What a detector found until then stays in a folder beside, .detections, and
    saves the next one the work; it goes when the dataset is whole, which holds the same faces.

    Args:
      name: one of `datasets.DATASETS`; own data have a name of their own, 'own:clinic'.
      release: folder with the owners' files, or with those of `fer_jax.simulate`; of own data also
        a manifest.
      data_dir: where prepared datasets lie (`prepared.data_root`).
      faces: how to find them, one of the builder's FACES; '' is its first. `datasets.SCENE` stores
        whole frames instead. Each has a place of its own.
      weights: file or folder with what a detector has learnt (`faces.make_detector`).
      skip_unreadable: keeps the readable frames of damaged films, and leaves out, and lists, the
        clips that cannot be read, unless they are many.
      overwrite: replaces what was prepared from another release or otherwise, or the same again.
      report: takes each line of the summary.
      options: what the dataset's builder takes besides, e.g. `ferplus` (path) for fer2013.
    Returns:
      The description stored beside the records (`prepared.describe`).
    Raises:
      UserError: anything wrong with the release or the detector, or another release, other
        options or other weights prepared at that place.
    """
    builder_class = datasets.builder_class(name)
    unknown = sorted(set(options) - set(builder_class.OPTIONS))
    if unknown:
        raise UserError(f'{name} takes no --{unknown[0]}; leave it out')
    target = prepared.location(name, data_dir, faces)
    way = faces or builder_class.FACES[0]
    searches = way in DETECTORS
    if weights is not None and not searches:
        raise UserError('--weights is for detectors: name one with --faces, or leave it out')
    detector = make_detector(way, weights=weights) if searches else None
    staging = target.parent / '.preparing'  # on the target's file system
    with _alone(staging, name):
        builder = builder_class(data_dir=staging, config=target.parent.name)
        builder.title = name
        scanned = builder.open(release, **options)
        if target.exists() and not overwrite:
            found = prepared.describe(name, data_dir, faces)
            elsewhere = 'choose another --data_dir, or replace it with --overwrite'
            if found['fingerprint'] != scanned.fingerprint:
                raise UserError(
                    f'{target} was prepared from another release or with other options '
                    f'({_origin(found)}) than {release} ({_kind(scanned.simulated)}): {elsewhere}'
                )
            if detector is not None and found['detector']['identity'] != detector.identity:
                raise UserError(
                    f'{target} was prepared with {_weights(found["detector"]["identity"])}, not '
                    f'with {_weights(detector.identity)}: {elsewhere}'
                )
            report(f'{name}: already prepared from this release at {target}{_without(found)}')
            return found
        builder.skip_unreadable = skip_unreadable
        detections = target.parent / '.detections'
        if detector is not None:
            builder.detector = cache.Cached(detector, detections)
            if len(builder.detector):
                known = f'{len(builder.detector):,} clips found before it stopped'
                report(f'{name}: goes on with the faces of {known}')
        _write(builder, Path(release).expanduser())
        checksums.write(Path(builder.data_dir))
        if target.exists():
            target.rename(staging / 'replaced')
        Path(builder.data_dir).rename(target)
        shutil.rmtree(detections, ignore_errors=True)
    found = prepared.describe(name, data_dir, faces)
    for line in summary(found):
        report(line)
    report(f'{name}: prepared at {target}{_without(found)}')
    return found


def _without(found: dict) -> str:
    """Returns the end of the last line, which counts the damaged clips that were left out."""
    left_out = sum(clip['reason'] == 'unreadable' for clip in found['dropped'])
    return f', WITHOUT {left_out:,} unreadable clip(s)' if left_out else ''


@contextlib.contextmanager
def _alone(staging: Path, name: str) -> Iterator[None]:
    """Locks a dataset's folder for one preparation and yields an empty staging folder.

    The lock is on the folder itself and goes with the process that holds it. Folders made for a
    preparation that fails go too.
    """
    parent = staging.parent
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(parent, os.O_RDONLY)
    except OSError as error:
        raise UserError(
            f'{parent}: cannot write there ({error.strerror}); choose another --data_dir'
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f'{parent}: another preparation of {name} is running there; wait for its end'
            ) from error
        try:
            shutil.rmtree(staging, ignore_errors=True)  # of a preparation that was killed
            staging.mkdir()
            yield
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            for folder in made:
                with contextlib.suppress(OSError):  # not empty: prepared
                    folder.rmdir()
    finally:
        os.close(handle)


def _write(builder, release: Path) -> None:
    """Writes the records by TFDS, with the builder's own progress bar in place of TFDS's."""
    import tensorflow_datasets as tfds

    builder.info.metadata['release'] = os.fspath(release.resolve())
    tfds.disable_progress_bar()
    # TFDS announces every download on stdout; there is none.
    with contextlib.redirect_stdout(None):
        builder.download_and_prepare(
            file_format='array_record',
            download_config=tfds.download.DownloadConfig(
                manual_dir=os.fspath(release), try_download_gcs=False
            ),
        )


def _kind(simulated: dict | None) -> str:
    return "the owners' files" if simulated is None else 'simulated'


def _origin(found: dict) -> str:
    return f'{_kind(found["simulated"])}, {found["release"]}'


def _weights(identity: dict) -> str:
    """Describes a detector and its weights in words."""
    files = [f'{name} ({digest[:8]})' for name, digest in identity['weights'].items()]
    options = {key: value for key, value in identity.items() if key not in ('name', 'weights')}
    listed = [*files, *(f'{key} {value}' for key, value in options.items())]
    return f'{identity["name"]} ({", ".join(listed)})'


def summary(found: dict) -> list[str]:
    """Returns lines that describe a preparation: counts, what was dropped, differences."""
    name = found['dataset']
    people = f' of {found["subjects"]} subjects' if found['subjects'] else ''
    stamp = '' if found['simulated'] is None else ', SIMULATED faces'
    lines = [f'{name}: {found["clips"]:,} clips{people}, {found["frames"]:,} frames{stamp}']
    for label_set, counts in found['class_counts'].items():
        listed = ', '.join(f'{label} {count:,}' for label, count in counts.items())
        lines.append(f'  {label_set} ({sum(counts.values()):,}): {listed}')
    if found['splits']:
        lines.append(
            '  parts: ' + ', '.join(f'{part} {n:,}' for part, n in found['splits'].items())
        )
    if found['unlabelled']:
        lines.append(f'  kept, without a label: {found["unlabelled"]:,}')
    if found.get('edition'):
        lines.append(f'  edition by its counts: {found["edition"]}')
    reasons = sorted({clip['reason'] for clip in found['dropped']})
    for reason in reasons:
        ids = [clip['clip_id'] for clip in found['dropped'] if clip['reason'] == reason]
        lines.append(f'  dropped, {reason}: {_some(ids)}')
    lines += [f'    {clip["fault"]}' for clip in found['dropped'] if 'fault' in clip]
    if found['detector'] and found['frames']:
        points = f'landmarks in {found["landmarked"]:,} frames'
        without = 'no landmarks: registration falls back to the face box'
        finder = found['detector']['package']
        lines.append(
            f'  faces found by {found["detector"]["identity"]["name"]} ({finder}), '
            + (points if found['landmarked'] else without)
        )
    if found['sounds']:
        lines.append(f'  sounds, without a picture: {found["sounds"]:,}')
    if found['incomplete']:
        lines.append(
            f'  damaged films of which some frames are kept: {_some(list(found["incomplete"]))}'
        )
        lines += [f'    {fault}' for fault in found['incomplete'].values()]
    if found['turned']:
        degrees = collections.Counter(found['turned'].values())
        listed = ', '.join(
            f'{count:,} by {turn} degrees' for turn, count in sorted(degrees.items())
        )
        lines.append(
            f'  turned against the clock, where faces are surest ({listed}): '
            + _some(list(found['turned']))
        )
    if found['faceless']:
        lines.append(f'  kept, without a face in any frame: {_some(found["faceless"])}')
    if found['faceless_frames']:
        count = sum(found['faceless_frames'].values())
        clips = _some(list(found['faceless_frames']))
        lines.append(f'  {count:,} frames without a face in clips that have one, {clips}')
    if found['differences']:
        sign = 'warning' if found['simulated'] is None else 'note (simulated release)'
        lines += [f'{sign}: {difference}' for difference in found['differences']]
    return lines


def _some(ids: list[str]) -> str:
    more = (
        f' and {len(ids) - _NAMED:,} more (metadata.json lists them)' if len(ids) > _NAMED else ''
    )
    return f'{len(ids):,}: {", ".join(ids[:_NAMED])}{more}'
