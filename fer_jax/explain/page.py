"""The page of what a finished run's network looks at: its figures and the arrays behind them."""

import io
from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np

from fer_jax import atomic
from fer_jax.explain import inside, inside_plots, saliency_plots
from fer_jax.explain.network import ZERO, Trained
from fer_jax.explain.saliency import Study
from fer_jax.reports import page
from fer_jax.reports.figures import Drawing

# Page, arrays and, in a run, their folder are named after the command.
NAME = 'explain'


def write(
    trained: Trained, study: Study, kind: str, out: Path, versions: Mapping[str, str]
) -> Path:
    """Draws the page and returns its path.

    Writes explain.html, which needs nothing else, and figures/ (every figure as SVG, every number
    drawn as CSV, all arrays as explain.npz) into `out`; they appear whole or not at all.

    Args:
      kind: what the maps show, of `occlusion.KINDS`.
      versions: command, packages, devices, of the drawing.
    """
    stamps = trained.run.stamps
    names = trained.clips.clip_id[study.clip].tolist()
    typical = [study.typical(k) for k in study.named]
    arrays = {
        'simulated': np.array(trained.clips.simulated),
        'classes': np.array(study.classes),
        'clip_id': np.array(names),
        'label': study.label,
        'corners': study.windows.corners,
        'probabilities': study.probabilities,
        'pictures': study.pictures,
        **{f'{each}_maps': study.windows.spread(study.values(each)) for each in ('flip', 'fall')},
    }
    zero = trained.pictures(np.zeros_like(trained.seen(study.clip[:1])[0, 0]))
    groups = {
        'saliency': saliency_plots.maps(study, kind, names, stamps)
        + [saliency_plots.means(study, kind, stamps)],
        'occluded': saliency_plots.occluded(study, zero, stamps),
        'warps': _warps(trained, study, typical, arrays),
        'filters': _filters(trained, arrays),
        'time': _time(trained, study, typical, arrays),
    }
    table = study.table()
    files: dict[str, str | bytes] = {
        'saliency.csv': table.csv(stamps),
        f'{NAME}.npz': _npz(arrays),
    }
    for drawing in sum(groups.values(), []):
        files |= {f'{drawing.name}.svg': drawing.svg, f'{drawing.name}.csv': drawing.csv}
    shown = {
        name: page.pair(*(page.drawing(drawing, stamps) for drawing in drawings))
        for name, drawings in groups.items()
        if drawings
    }
    sections = [
        ('about', 'What is shown', _about(trained, study) + page.table(table, stamps)),
        ('saliency', 'Where the network looks', shown['saliency']),
        ('occluded', 'Occluded faces', shown['occluded']),
        *(
            (name, title, said + shown[name])
            for name, title, said in (
                ('warps', 'What the transformer samples', ''),
                ('filters', 'First filters', ''),
                ('time', 'As frames are revealed', _TIME),
            )
            if name in shown
        ),
        ('provenance', 'How to repeat it', _provenance(trained, versions)),
    ]
    member = trained.member
    lead = (
        f'{trained.clips.name} · member {member.index} (fold {member.fold_number}, seed '
        f'{member.seed}) after epoch {trained.network.epoch}'
    )
    text = page.page(f'{trained.run.name}: what the network looks at', lead, stamps, sections)
    return atomic.publish_page(out, text, files, f'{NAME}.html')


_TIME = (
    '<p>What the network says of the first frame, the first two, and so on. The frames not yet '
    'revealed are filled by repeating the last one that is, as short clips are filled when they '
    'are loaded: a network that does not know a clip’s length takes that for a face that has '
    'come to rest.</p>'
)


def _warps(
    trained: Trained, study: Study, typical: list[int], arrays: dict[str, np.ndarray]
) -> list[Drawing]:
    found = inside.warps(trained, study.clip[typical])
    if found is None:
        return []
    theta, sampled = found
    arrays |= {'theta': theta, 'sampled': sampled, 'warped_clip_id': arrays['clip_id'][typical]}
    titles = [study.classes[k] for k in study.named]
    names = arrays['warped_clip_id'].tolist()
    drawing = inside_plots.warps(
        study.pictures[typical], theta, sampled, titles, names, trained.run.stamps
    )
    return [drawing]


def _filters(trained: Trained, arrays: dict[str, np.ndarray]) -> list[Drawing]:
    # What the first layer computes: with its branches, where the network has some.
    found = inside.first_filters(trained.network.folded().variables['params'])
    arrays |= {f'filters_{layer.replace("/", "_")}': kernel for layer, kernel in found.items()}
    return inside_plots.filters(found, trained.run.stamps)


def _time(
    trained: Trained, study: Study, typical: list[int], arrays: dict[str, np.ndarray]
) -> list[Drawing]:
    clip = study.clip[typical]
    lengths = trained.clips.length[clip]
    if trained.clips.frames.shape[1] == 1:
        return []
    courses = inside.over_time(trained, clip)
    frames = trained.pictures(trained.seen(clip))
    names = arrays['clip_id'][typical]
    longest = np.full((len(clip), lengths.max(), len(study.classes)), np.nan, np.float32)
    for row, course in enumerate(courses):
        longest[row, : len(course)] = course
    arrays |= {'over_time': longest, 'over_time_clip_id': names, 'over_time_frames': frames}
    return inside_plots.over_time(
        frames, courses, study.named, names.tolist(), study.classes, trained.run.stamps
    )


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _about(trained: Trained, study: Study) -> str:
    """Describes what was done, in words."""
    windows, films = study.windows, trained.clips.frames.shape[1] > 1
    normalize = trained.network.system.inputs['normalize']
    said = (
        f'A square of {windows.size} x {windows.size} pixels is zeroed in what the network sees, '
        f'in {len(windows)} places of each face of {windows.shape[0]} x {windows.shape[1]}'
        f'{", in all frames of a clip at once" * films}, and the network is asked again '
        f'(minaee2019, sec. IV-C). Zero, after normalisation, is {ZERO[normalize]}. A place counts '
        'where hiding it makes the prediction wrong, or by how far the probability of the true '
        'class falls. Only test clips that the network gets right are taken.'
    )
    html = f'<p>{escape(said)}</p>'
    missing = [name for k, name in enumerate(study.classes) if k not in study.named]
    if missing:
        html += (
            f'<p>This network gets no test clip of {escape(" or ".join(missing))} right: no map '
            'of it can be shown.</p>'
        )
    if not trained.clips.simulated:
        html += '<p>The page shows faces of the dataset: do not publish it.</p>'
    return html


def _provenance(trained: Trained, versions: Mapping[str, str]) -> str:
    """Lists the run, the command, the run's settings and the versions."""
    run = trained.run
    said = {
        'Run': run.path.resolve().name,
        'Its command': run.versions.get('command'),
        'Its commit': run.versions.get('commit'),
    }
    return page.facts(said) + page.provenance(run.config, versions)
