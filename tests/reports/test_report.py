"""The report: whole, self-contained, stamped, and the same numbers everywhere."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from fer_jax import atomic, cli
from fer_jax import report as command
from fer_jax.errors import UserError
from fer_jax.evaluation.table import (
    DIFFERENCE_INTERVAL,
    INTERVAL,
    NUMBER,
    PROBABILITY,
    SHARE,
    Column,
    Table,
    show,
)
from fer_jax.reports import figures, page, run_page
from fer_jax.reports.figures import Drawing

VOID = {'meta', 'link', 'br', 'img', 'hr', 'input'}


class Reader(HTMLParser):
    """Collects ids, addresses, captions and cells, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.addresses, self.captions = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == 'figcaption':
            self.captions.append('')
        if 'id' in attributes:
            self.ids.append(attributes['id'])
        self.addresses += [attributes[key] for key in ('src', 'href') if key in attributes]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if 'figcaption' in self.open:
            self.captions[-1] += data


@pytest.fixture(scope='module')
def drawn(finished_run, tmp_path_factory):
    """The report of the simulated run, in a folder of its own."""
    out = tmp_path_factory.mktemp('drawn')
    assert run_page.write_report(finished_run, out) == out / 'report.html'
    return out


def read_csv(path):
    """Rows of a CSV as dictionaries."""
    with path.open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_the_page_needs_nothing_else(drawn):
    text = (drawn / 'report.html').read_text(encoding='utf-8')
    reader = Reader(text)
    for address in reader.addresses:
        if address.startswith('figures/'):
            assert (drawn / address).is_file()
        elif address.startswith('#'):
            assert address[1:] in reader.ids
        else:
            assert address.startswith('data:')
    assert not re.search(r'@import|url\(\s*["\']?(?!#)|src="(?!data:)', text)
    assert len(reader.ids) == len(set(reader.ids))
    assert text.count('<svg ') == 11


def test_every_figure_table_and_csv_is_stamped_when_faces_are_simulated(drawn):
    text = (drawn / 'report.html').read_text(encoding='utf-8')
    reader = Reader(text)
    assert '<p class="stamp" role="note">SIMULATED FACES</p>' in text
    assert len(reader.captions) == 11 + 8 + 2  # drawings, tables, two grids of faces
    assert all(caption.startswith('SIMULATED FACES ') for caption in reader.captions)
    assert len(list((drawn / 'figures').glob('*.csv'))) == 17
    for path in (drawn / 'figures').glob('*.csv'):
        assert {row['stamps'] for row in read_csv(path)} == {'SIMULATED FACES'}, path.name
    for path in (drawn / 'figures').glob('*.svg'):
        assert 'SIMULATED FACES' in path.read_text(encoding='utf-8'), path.name


def test_other_stamps_seeds_and_duplicates_are_shown(make_predictions, make_run, tmp_path):
    predictions = make_predictions(folds=3, epochs=3, seeds=2, duplicates=True)
    run = make_run(tmp_path / 'shared', predictions, simulated=True, stamps=('subjects shared',))
    text = run_page.write_report(run).read_text(encoding='utf-8')
    assert 'role="note">SIMULATED FACES · subjects shared</p>' in text
    assert 'a subject may be on both sides' in text
    assert {'table-seeds', 'table-duplicates'} <= set(Reader(text).ids)
    assert 'Confusion matrix, 2 seeds together:' in text


def test_a_collapsed_network_is_named_on_the_page(make_predictions, make_run, tmp_path):
    predictions = make_predictions(folds=2, epochs=3)
    predictions.probabilities[1] = np.where(np.arange(7) == 4, 0.94, 0.01)
    folder = make_run(tmp_path / 'run', predictions, simulated=True)
    text = run_page.write_report(folder).read_text(encoding='utf-8')
    assert 'Collapsed: 1 of 2 networks name one class for every test clip (fold 1' in text


def test_the_numbers_are_those_of_results_json(drawn, finished_run):
    values = json.loads((finished_run / 'results.json').read_text())
    text = (drawn / 'report.html').read_text(encoding='utf-8')
    assert f'<p class="big">{100 * values["val_best"]["pooled_accuracy"]:.2f} ' in text
    for row in read_csv(drawn / 'figures' / 'rules.csv'):
        entry = values[row['rule']]
        assert float(row['pooled_accuracy']) == pytest.approx(entry['pooled_accuracy'], abs=1e-6)
        assert float(row['interval_low']) == pytest.approx(
            entry['intervals']['pooled_accuracy'][0], abs=1e-6
        )
        assert row['optimistic'] == ('yes' if entry['optimistic'] else 'no')
    for row in read_csv(drawn / 'figures' / 'optimism.csv'):
        entry = next(entry for entry in values.values() if entry['title'] == row['title'])
        assert float(row['optimism']) == pytest.approx(entry['optimism'], abs=1e-6)
        for end, value in zip(('low', 'high'), entry['optimism_interval'], strict=True):
            assert float(row[f'optimism_interval_{end}']) == pytest.approx(value, abs=1e-6)
        assert show(DIFFERENCE_INTERVAL, entry['optimism_interval']) in text
    folds = read_csv(drawn / 'figures' / 'folds.csv')
    assert sum(int(row['test_clips']) for row in folds) == 327
    assert 'python -m fer_jax.main --config=configs/ckplus_c3d.py:simulated' in text
    assert 'no face in any of its 14 frames' in text


def test_a_fold_has_one_number_in_every_file(drawn, finished_run):
    known = read_csv(finished_run / 'predictions.csv')
    expected = {row['member']: row['fold'] for row in known}
    assert '0' in expected.values()
    for name in ('folds', 'accuracy_curves', 'loss_curves'):
        rows = read_csv(drawn / 'figures' / f'{name}.csv')
        assert {row['member']: row['fold'] for row in rows} == expected, name


def test_drawing_again_gives_the_same_bytes(drawn, finished_run, tmp_path):
    run_page.write_report(finished_run, tmp_path)
    names = sorted(path.relative_to(drawn) for path in drawn.rglob('*') if path.is_file())
    assert names == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob('*') if p.is_file())
    for name in names:
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes(), name


def test_a_report_that_fails_leaves_the_old_one(drawn, finished_run, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    shutil.copytree(drawn, out)
    (out / 'figures' / 'rules.csv').write_text('of an older report')
    before = {p: p.read_bytes() for p in out.rglob('*') if p.is_file()}

    def full(*_):
        raise OSError('no space left on device')

    monkeypatch.setattr(atomic.os, 'replace', full)
    with pytest.raises(OSError, match='no space left'):
        run_page.write_report(finished_run, out)
    assert {p: p.read_bytes() for p in out.rglob('*') if p.is_file()} == before

    monkeypatch.setattr(run_page.plots, 'ranking', full)
    with pytest.raises(OSError, match='no space left'):
        run_page.write_report(finished_run, tmp_path / 'new')
    assert not (tmp_path / 'new').exists()


def test_leave_one_subject_out_on_licensed_faces(make_predictions, make_run, tmp_path):
    run = make_run(
        tmp_path / 'loso',
        make_predictions(folds=40, subjects=40, epochs=2, validation=False),
        simulated=False,
    )
    text = run_page.write_report(run).read_text(encoding='utf-8')
    # A hundred folds are folded, and no picture of them is drawn.
    assert '<summary>40 folds</summary>' in text
    assert 'band: the middle half of 40 members' in text
    assert 'figure-folds' not in Reader(text).ids
    assert not (run / 'figures' / 'folds.svg').exists()
    # Nothing is stamped.
    assert 'SIMULATED' not in text
    assert 'class="stamp"' not in text
    assert 'class="mark"' not in text
    assert 'stamps' not in read_csv(run / 'figures' / 'folds.csv')[0]


def test_inline_figures_follow_the_theme_and_files_do_not(drawn):
    svg = (drawn / 'figures' / 'confusion.svg').read_text(encoding='utf-8')
    assert ElementTree.fromstring(svg).tag.endswith('svg')
    assert figures.COLOURS['ink'] in svg
    inline = figures.inline(Drawing('a', 'x < y', '', svg, ''))
    assert inline.startswith('<svg viewBox="0 0 ')
    assert 'aria-label="x &lt; y"' in inline
    assert not any(colour in inline for colour in figures.COLOURS.values())
    assert 'var(--ink)' in inline
    used = set(re.findall(r'(?:url\(|href=")#([\w-]+)', inline))
    assert used <= set(re.findall(r'id="([\w-]+)"', inline))


def test_tables_show_per_cent_and_write_shares():
    table = Table(
        't', 'a <caption>', (Column('a', 'A', SHARE), Column('b', 'B', INTERVAL)),
        [{'a': 0.12345678, 'b': (0.1, 0.2)}, {'a': None, 'b': None}],
    )  # fmt: skip
    assert table.csv(()) == 'a,b_low,b_high\n0.123457,0.1,0.2\n,,\n'
    assert table.csv(('X',)).splitlines()[1] == '0.123457,0.1,0.2,X'
    html = page.table(table, ())
    assert 'a &lt;caption&gt;' in html
    assert '<td class="share" data-value="0.12345678">12.35</td>' in html
    assert '<td class="interval" data-value="0.1">10.0 – 20.0</td>' in html
    assert html.count('data-value="">–</td>') == 2


def test_differences_numbers_and_p_values_as_people_read_them():
    assert show(DIFFERENCE_INTERVAL, (-0.0184, 0.0779)) == '−1.8 to +7.8'
    assert show(NUMBER, -1.234) == '−1.23'
    shown = [show(PROBABILITY, p) for p in (1.0, 0.0362, 0.001, 0.00057, 0.0001, 0.00009, 0)]
    assert shown == ['1.0000', '0.0362', '0.0010', '0.00057', '0.00010', '<0.0001', '<0.0001']


def call(*argv):
    """Runs the command as its users do, with errors left to the test."""
    cli.call(command.main, command.define, list(argv))


def test_the_command_draws_a_finished_run_from_its_files(finished_run, tmp_path, capsys):
    call(str(finished_run), f'--out={tmp_path / "out"}')
    assert (tmp_path / 'out' / 'report.html').is_file()
    printed = capsys.readouterr().out
    assert printed.startswith('*** SIMULATED FACES ***')
    assert printed.rstrip().endswith('report.html')


def remove(name):
    """Damage: a file of the run is gone."""
    return lambda run: (run / name).unlink()


def write(name, text):
    """Damage: a file of the run holds something else."""
    return lambda run: (run / name).write_text(text)


def lines(name, change):
    """Damage: other lines in a file."""

    def damage(run):
        path = run / name
        path.write_text(''.join(change(path.read_text().splitlines(keepends=True))))

    return damage


def cell(name, column, text):
    """Damage: another cell in the last row of a csv."""

    def change(rows):
        cells = rows[-1].split(',')
        cells[column] = text
        return [*rows[:-1], ','.join(cells)]

    return lines(name, change)


def value(name, key, new):
    """Damage: another value of a key."""

    def damage(run):
        path = run / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: new}))

    return damage


def array(name, new):
    """Damage: another first value in an array of the probabilities."""

    def damage(run):
        path = run / 'probabilities.npz'
        with np.load(path) as saved:
            arrays = dict(saved)
        arrays[name] = arrays[name].copy()
        place = (0, 0, np.flatnonzero(arrays['part'][0])[0], 0) if name == 'probabilities' else 0
        arrays[name][place] = new
        np.savez(path, **arrays)

    return damage


@pytest.mark.parametrize(
    'damage, message',
    [
        (remove('DONE'), 'has not finished .no DONE'),
        (remove('dataset.json'), r'dataset\.json is missing'),
        (remove('metrics.csv'), r'metrics\.csv is missing'),
        (remove('samples.npz'), r'samples\.npz is missing'),
        (remove('probabilities.npz'), r'probabilities\.npz is missing'),
        (write('folds.json', '{"protocol": '), r'folds\.json is not JSON'),
        (write('folds.json', '[]'), r'folds\.json holds no JSON object'),
        (write('folds.json', '{}'), r'folds\.json lacks protocol'),
        (
            write(
                'folds.json',
                '{"protocol": "x", "subject_disjoint": true, "stamps": [], "folds": []}',
            ),
            'of different runs',
        ),
        (write('samples.npz', 'no zip'), r'samples\.npz is damaged'),
        (write('filters.npz', 'no zip'), r'filters\.npz is damaged'),
        (write('metrics.csv', 'member,epoch\n0,1\n'), r'metrics\.csv is damaged'),
        (write('metrics.csv', ''), r'metrics\.csv is damaged .*member 0 has epochs none'),
        (lines('metrics.csv', lambda rows: rows[:1]), r'metrics\.csv is damaged .*member 0 has'),
        (lines('metrics.csv', lambda rows: rows[:-1]), r'metrics\.csv is damaged .*member 9 has'),
        (cell('metrics.csv', 0, '1000000000'), r'metrics\.csv is damaged .*member 1000000000'),
        (cell('metrics.csv', 0, '-1'), r'metrics\.csv is damaged .*member -1'),
        (cell('metrics.csv', 3, '1000000000'), r'metrics\.csv is damaged .*epochs'),
        (cell('metrics.csv', 3, '0'), r'metrics\.csv is damaged .*epochs'),
        (cell('metrics.csv', 5, 'x'), r'metrics\.csv is damaged'),
        (write('metrics.csv', 'a' * 200_000), r'metrics\.csv is damaged'),
        (value('folds.json', 'folds', 3), r"folds\.json: 'folds' is no list"),
        (value('folds.json', 'folds', [3] * 10), r'folds\.json: fold 0 is not lists'),
        (value('folds.json', 'stamps', None), r"folds\.json: 'stamps' is no list"),
        (value('dataset.json', 'class_counts', []), r"dataset\.json: 'class_counts' is no dict"),
        (value('dataset.json', 'class_counts', {}), r'dataset\.json: .* lacks anger'),
        (value('dataset.json', 'clips', '3'), r"dataset\.json: 'clips' is no int"),
        (value('dataset.json', 'dropped', [3]), r'dataset\.json: .* is not a clip'),
        (write('dataset.json', '[' * 100_000), r'dataset\.json is not JSON'),
        (array('probabilities', 1.5), r'probabilities\.npz is damaged .probabilities .* 0 to 1'),
        (array('probabilities', -0.5), r'probabilities\.npz is damaged .probabilities .* 0 to 1'),
        (array('fold', -1), r'probabilities\.npz is damaged .fold must lie'),
        (array('fold', 77), 'of different runs'),
        (array('label', 7), r'probabilities\.npz is damaged .label must lie in 0 to 6'),
        (array('label', -1), r'probabilities\.npz is damaged .label must lie in 0 to 6'),
        (array('part', 5), r'probabilities\.npz is damaged .part must lie'),
        (array('epochs', 0), r'probabilities\.npz is damaged .epochs run must lie'),
    ],
)
def test_a_damaged_run_is_one_line_and_nothing_is_written(finished_run, tmp_path, damage, message):
    run = tmp_path / 'run'
    shutil.copytree(finished_run, run)
    damage(run)
    with pytest.raises(UserError, match=message) as error:
        call(str(run), f'--out={tmp_path / "out"}')
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_a_missing_run_and_no_run_are_errors(tmp_path):
    with pytest.raises(UserError, match='there is no run at'):
        call(str(tmp_path / 'none'))
    with pytest.raises(UserError, match='name a run, or runs to compare'):
        call()


def test_samples_without_a_pixel_are_refused(finished_run, tmp_path):
    run = tmp_path / 'run'
    shutil.copytree(finished_run, run)
    with np.load(run / 'samples.npz') as saved:
        ids = saved['clip_id']
    np.savez(run / 'samples.npz', frames=np.zeros((len(ids), 48, 0), np.uint8), clip_id=ids)
    with pytest.raises(UserError, match='samples.npz holds frames without a pixel'):
        cli.call(command.main, command.define, [str(run)])


def test_a_folder_in_the_page_s_place_is_named(finished_run, tmp_path):
    out, place = tmp_path / 'out', tmp_path / 'out' / 'report.html'
    place.mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as caught:
        cli.call(command.main, command.define, [str(finished_run), f'--out={out}'])
    assert atomic.refusal(caught.value) == f'{place}: Is a directory; give a file'
    assert [path.name for path in out.iterdir()] == ['report.html']


def test_a_file_in_the_folder_s_place_is_named(finished_run, tmp_path):
    place = tmp_path / 'hostname'
    place.write_text('mine')
    with pytest.raises(FileExistsError) as caught:
        cli.call(command.main, command.define, [str(finished_run), f'--out={place}'])
    assert atomic.refusal(caught.value).startswith(f'{place}: File exists; give another folder')
    assert place.read_text() == 'mine'
