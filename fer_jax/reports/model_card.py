"""README.md of a model folder: its model card, from config.json and the figures of evaluate.

`evaluate --card` writes evaluations.json into the folder and the card again, so that every figure
of the card was computed from the files beside it.
"""

import json
import string
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from fer_jax import atomic
from fer_jax.data import cropping
from fer_jax.errors import UserError
from fer_jax.evaluation import calibration, rundir
from fer_jax.reports import page
from fer_jax.training import model_folder, transfer

EVALUATIONS = 'evaluations.json'

# What must be known of datasets that networks were trained on.
_KNOWN = {
    'fer2013': (
        "FER2013's pictures were collected by a web search: the rights of those who are shown and "
        'of those who took the pictures are unresolved. It names neither age, sex nor origin of '
        'anybody. Its parts have identical pictures, which are counted apart below.'
    )
}


def text(folder: Path) -> str:
    """Composes the card of a model folder from its config.json and, where it is, evaluations.json.

    Raises:
      UserError: a file is damaged.
    """
    config = model_folder.read_config(folder)
    template = resources.files('fer_jax.reports').joinpath('model_card.md').read_text('utf-8')
    found = evaluations(folder)
    trained = config['trained_on']
    simulated = trained['simulated']
    return string.Template(template).substitute(
        name=config['name'],
        summary=_summary(config),
        classes=', '.join(config['classes']),
        input=_input(config),
        note=page.NOTE,
        simulated='It was trained on SIMULATED faces: it is a test of the programs, not of faces.\n'
        if simulated
        else '',
        data=_data(trained),
        calibration=_temperature(config),
        figures='\n'.join(map(_evaluation, found.values()))
        or 'None yet: evaluate writes them here with --card.\n',
        sha256=config['weights']['sha256'],
        commit=trained['commit'],
    )


def evaluations(folder: Path) -> dict[str, dict[str, Any]]:
    """Reads evaluations.json: {dataset and labels: figures}; empty where there is none."""
    path = folder / EVALUATIONS
    if not path.is_file():
        return {}
    try:
        return rundir.read_json(path)
    except UserError as error:
        raise UserError(f'{path} is damaged: delete it and evaluate again') from error


def _summary(config: Mapping[str, Any]) -> str:
    members, parameters = len(config['members']), config['weights']['parameters']
    networks = 'One network' if members == 1 else f'{members} networks, whose mean counts,'
    return (
        f'{networks} of kind `{config["model"]["name"]}` with {parameters:,} parameters'
        f'{" together" * (members > 1)}, kernels stored as {config["weights"]["kernels"]}. It '
        f'gives a probability for each of {len(config["classes"])} names of expressions.'
    )


def _input(config: Mapping[str, Any]) -> str:
    data, inputs = config['data'], config['inputs']
    colour = 'grey' if data['channels'] == 1 else 'colour'
    shown = f'a {colour} picture of one face, {data["size"]} x {data["size"]} pixels'
    if data['frames'] > 1 and not data['stills']:
        shown = f'{data["frames"]} frames ({data["sampling"]}), each {shown}'
    parts = [
        shown,
        f'margin {data["margin"]:g} times the face box',
        f'registration {data["registration"]}',
        f'equalisation {inputs["equalize"]}',
        f'normalisation {inputs["normalize"]}',
    ]
    if (kind := data.get('equalize', 'none')) != 'none':
        parts.append(f'equalised before it is resized: {cropping.IN_WORDS[kind]}')
    if inputs['crop']:
        parts.append(f'the central {inputs["crop"]} x {inputs["crop"]} pixels')
    if inputs['mirrored']:
        parts.append('judged with its mirror image')
    return '; '.join(parts)


def _data(trained: Mapping[str, Any]) -> str:
    labels = f', labels {trained["labels"]}' if trained['labels'] else ''
    votes = " (targets: the raters' votes)" if trained['targets'] == 'votes' else ''
    said = f'{trained["dataset"]}{labels}{votes}, config {trained["config"]}, run {trained["run"]}.'
    before = transfer.earlier(trained)
    for chain in before:
        said += f' It builds on run {chain["run"]} ({chain["config"]} on {chain["dataset"]}).'
    datasets = {part for chain in (trained, *before) for part in _parts(chain)}
    return '\n'.join([said, *(_KNOWN[name] for name in sorted(datasets & set(_KNOWN)))])


def _parts(chain: Mapping[str, Any]) -> list[str]:
    return [] if chain['simulated'] else chain['dataset'].split('+')


def _temperature(config: Mapping[str, Any]) -> str:
    said = 'No temperature was fitted: there were no validation clips.'
    if config['temperature'] is not None:
        said = (
            f'Probabilities are calibrated by a temperature of {config["temperature"]:.3f}, fitted '
            f'on {config["validation_clips"]:,} validation clips.'
        )
    return f'{said} predict calls a highest probability below {calibration.UNCERTAIN:g} uncertain.'


def _evaluation(found: Mapping[str, Any]) -> str:
    """One dataset's figures as Markdown."""
    stamps = ''.join(f'**{stamp}.** ' for stamp in found['stamps'])
    lines = [f'### {found["title"]}', '', f'{stamps}{found["lead"]}', '']
    counted = [
        (
            row['what'], f'{row["n"]:,}', _share(row['accuracy'], row['accuracy_interval']),
            _share(row['mean_class_accuracy'], row['mean_class_accuracy_interval']),
            _share(row['macro_f1'], row['macro_f1_interval']),
        )
        for row in found['counted']
    ]  # fmt: skip
    lines += _table(
        ('Test clips', 'n', 'Accuracy, %', 'Mean over classes, %', 'Macro F1, %'), counted
    )
    lines += [
        '',
        'In brackets: 95 % intervals, by bootstrap. All that follows is of the first row.',
    ]
    classes = [
        (row['class'], f'{row["n"]:,}', _share(row['recall'], row['recall_interval']),
         _share(row['precision']), _share(row['f1']))
        for row in found['classes']
    ]  # fmt: skip
    lines += ['', *_table(('Class', 'n', 'Recall, %', 'Precision, %', 'F1, %'), classes)]
    calibration = [
        (title, _share(each['error']), f'{each["loss"]:.3f}',
         '–' if each['votes_loss'] is None else f'{each["votes_loss"]:.3f}')
        for title, each in (
            ('as they are', found['calibration']['raw']),
            ('calibrated', found['calibration']['scaled']),
        )
        if each
    ]  # fmt: skip
    head = ('Probabilities', 'Calibration error, %', 'Loss on labels', "On raters' votes")
    lines += [
        '',
        *_table(head, calibration),
        '',
        'Losses are negative log-likelihoods in nats.',
        '',
    ]
    kept = [
        (f'{100 * row["kept"]:.0f} %', f'{row["threshold"]:.2f}', _share(row['accuracy']))
        for row in found['calibration']['kept']
    ]
    lines += _table(('Clips kept, the surest', 'Highest probability from', 'Accuracy, %'), kept)
    if found['conditions']:
        rows = [
            (row['condition'], f'{row["n"]:,}', _share(row['accuracy'], row['accuracy_interval']))
            for row in found['conditions']
        ]
        lines += ['', *_table(('Pictures', 'n', 'Accuracy, %'), rows)]
    return '\n'.join([*lines, ''])


def _share(value: float | None, interval: Sequence[float] | None = None) -> str:
    if value is None:
        return '–'
    ends = '' if interval is None else f' ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})'
    return f'{100 * value:.2f}{ends}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    # A bar in a class's name would begin another cell.
    rows = [[cell.replace('|', r'\|') for cell in row] for row in rows]
    lines = [head, ['---'] + ['---:'] * (len(head) - 1), *rows]
    return [f'| {" | ".join(cells)} |' for cells in lines]


def add(folder: Path, key: str, figures: Mapping[str, Any]) -> None:
    """Puts an evaluation into evaluations.json, in place of an earlier one of the same data.

    Args:
      key: of the data.
      figures: of a judgement; what the card does not show is left out, numbers have six digits.
    """
    shown = {name: value for name, value in figures.items() if name not in ('confusion', 'facts')}
    rounded = json.loads(json.dumps(shown), parse_float=lambda text: round(float(text), 6))
    found = evaluations(folder) | {key: rounded}
    atomic.write_text(folder / EVALUATIONS, json.dumps(found, separators=(',', ':')) + '\n')
    atomic.write_text(folder / model_folder.CARD, text(folder))
