"""Networks that a run builds on: on its page, and on the card of its networks."""

import json

from fer_jax.reports import model_card, run_page


def test_the_chain_of_runs_is_named(make_predictions, make_run, tmp_path):
    run = make_run(tmp_path / 'last', make_predictions(folds=2, epochs=2), simulated=True)
    first = {'run': 'first', 'config': 'fer2013_cnn', 'dataset': 'fer2013', 'simulated': False}
    chain = {
        'run': 'cnn', 'config': 'jaffe_cnn_rnn', 'dataset': 'jaffe', 'simulated': True,
        'starts_from': {**first, 'fresh': []}, 'fresh': ['rnn/input/bias', 'rnn/input/kernel'],
    }  # fmt: skip
    path = run / 'dataset.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'starts_from': chain}))
    text = run_page.write_report(run).read_text(encoding='utf-8')
    expected = (
        '<dt>Starts from</dt><dd>cnn (jaffe_cnn_rnn on jaffe, simulated); fresh: rnn/input/bias, '
        'rnn/input/kernel; it started from first (fer2013_cnn on fer2013); fresh: nothing</dd>'
    )
    assert expected in text and 'Features from' not in text


def test_the_networks_that_taught_a_run_are_named(make_predictions, make_run, tmp_path):
    run = make_run(tmp_path / 'taught', make_predictions(folds=2, epochs=2), simulated=True)
    first = {'run': 'first', 'config': 'fer2013_plain', 'dataset': 'fer2013', 'simulated': False}
    teacher = {**first, 'run': 'second', 'taught_by': [{**first, 'share': 0.5}], 'share': 0.7}
    path = run / 'dataset.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'taught_by': [teacher]}))
    text = run_page.write_report(run).read_text(encoding='utf-8')
    assert (
        '<dt>Taught by</dt><dd>second (fer2013_plain on fer2013); share of a target: 0.7; it was '
        'taught by first (fer2013_plain on fer2013); share of a target: 0.5</dd>'
    ) in text


def test_a_class_with_a_bar_in_its_name_stays_in_its_cell():
    lines = model_card._table(('Class', 'n'), [('anger|fear', '7')])
    assert lines == ['| Class | n |', '| --- | ---: |', r'| anger\|fear | 7 |']


def test_a_model_s_card_names_the_whole_chain():
    first = {'run': 'A', 'config': 'fer2013_cnn', 'dataset': 'fer2013', 'simulated': False}
    own = {'config': 'own', 'dataset': 'own:photos', 'simulated': False}
    for link in ('starts_from', 'features_from', 'taught_by'):
        second = {**own, 'run': 'B', link: [first] if link == 'taught_by' else first}
        trained = {**own, 'run': 'C', 'labels': '', 'targets': 'labels', 'starts_from': second}
        said = model_card._data(trained)
        assert 'It builds on run B (own on own:photos). It builds on run A (fer2013_cnn' in said
        assert "FER2013's pictures were collected by a web search" in said
