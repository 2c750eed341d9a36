"""Manifests of own data: tables as people write them, and every mistake in one message."""

import unicodedata

import pytest

from fer_jax.errors import UserError
from tests.data.datasets.test_own import builder, film, labels, manifest, picture, scanned


@pytest.mark.parametrize(
    'text, options',
    [
        ('path,label\na.png,x\nb.png,y\n', {}),
        ('path,label\r\na.png,x\r\n\r\nb.png,y\r\n', {'newline': ''}),
        ('path,label\na.png,x\nb.png,y\n', {'encoding': 'utf-8-sig'}),
        ('path,label\na.png,x\nb.png,y\n', {'encoding': 'utf-16'}),
        ('path;label\na.png;x\nb.png;y\n', {}),
        ('"Path" , "LABEL"\n"a.png", x \n".\\b.png",y\n', {}),
        ('path\tlabel\na.png\tx\nb.png\ty\n', {'name': 'clinic.tsv'}),
        (',path,label\n0,a.png,x\n1,b.png,y\n', {}),
        ('sep=;\r\npath;label\r\na.png;x\r\nb.png;y\r\n', {'newline': ''}),
        ('sep=|\npath|label\na.png|x\nb.png|y\n', {}),
        ('path;label;;\na.png;x;;\nb.png;y;;\n', {}),
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path, text, options):
    for name in 'ab':
        picture(tmp_path / f'{name}.png')
    found = scanned(tmp_path, manifest(tmp_path, text, **options))
    assert labels(found) == [('a.png', 'x'), ('b.png', 'y')]


@pytest.mark.parametrize('file, cell', [('NFD', 'NFC'), ('NFC', 'NFD')])
def test_paths_with_accents_are_found_however_they_are_written(tmp_path, file, cell):
    on_disk = unicodedata.normalize(file, 'étés/é1.png')
    picture(tmp_path / on_disk)
    (tmp_path / unicodedata.normalize(file, 'é.txt')).write_text('1 2')
    path, points = (unicodedata.normalize(cell, name) for name in ('étés\\é1.png', 'é.txt'))
    table = manifest(tmp_path, f'path,label,landmarks\n{path},x,{points}\n')
    found = scanned(tmp_path, table, subject_pattern=unicodedata.normalize(cell, r'é\d'))
    assert labels(found) == [(on_disk, 'x')]
    assert [clip.subject for clip in found.clips] == ['é1']


def everything_wrong(folder):
    """A manifest in which people's mistakes are made, each at least once."""
    for name in 'abcdefgh':
        picture(folder / f'{name}.png')
    film(folder / 'film.avi')
    (folder / 'notes.doc').write_text('!')
    picture(folder.parent / 'outside.png')
    (folder / 'empty').mkdir()
    return manifest(
        folder,
        'path,label,subject,split,start_s,end_s\n'
        'gone.png,joy,1,train,,\n'  # 2
        'lost.png,joy,1,train,,\n'
        'a.png,,1,train,,\n'  # 4
        'b.png,joy,2,train,,\n'
        'b.png,anger,2,train,,\n'
        'c.png,joy,3,train,,\n'  # 7
        'd.png,joy,3,test,,\n'
        'film.avi,joy,4,train,0.8,0.5\n'
        '../outside.png,joy,4,train,,\n'  # 10
        'e.png,joy,5,holdout,,\n'
        'notes.doc,joy,5,train,,\n'
        'f.png,joy,5,train,1,2\n'  # 13
        'film.avi,joy,5,train,soon,\n'
        'empty,joy,5,train,,\n'
        'g.png,joy\n'  # 16: a spreadsheet leaves trailing cells out
        'h.png,joy,6,train,,,,\n'
        ',joy,6,train,,\n',
    )


def test_every_mistake_is_said_all_of_a_kind_in_one_line(tmp_path):
    path = everything_wrong(tmp_path / 'clinic')
    with pytest.raises(UserError) as caught:
        scanned(tmp_path, path)
    first, *lines = str(caught.value).splitlines()
    assert first == f'{path}: mistakes of {len(lines)} kinds:'
    wanted = [
        'files that are not there (2): gone.png (line 2), lost.png (line 3); paths are relative',
        'label empty in a row that is to train (1): a.png (line 4); fill it in, or leave the split '
        'empty: unlabelled clips are in no fold',
        "two labels for one file (1): b.png (line 5 'joy', line 6 'anger')",
        'a subject in two splits (1): 3 (test and train)',
        'start after end (1): film.avi (line 9): 0.8 to 0.5',
        f'path outside the folder {path.parent} (1): ../outside.png (line 10)',
        "unknown split 'holdout' (1): e.png (line 11)",
        'no picture, film or sound by their names (1): notes.doc (line 12)',
        'times of something that is no film or sound (1): f.png (line 13)',
        'start_s or end_s that is no number of seconds (1): film.avi (line 14)',
        'folders without a picture in them (1): empty (line 15)',
        'no split, where other rows have one (2): e.png (line 11), g.png (line 16)',
        'rows that have not 6 cells as the header (1): line 17',
        'path empty (1): line 18',
    ]
    assert len(lines) == len(wanted)
    for said in wanted:
        (line,) = [line for line in lines if line.startswith(f'  {said}')]
        assert '; ' in line  # what to do


def test_a_path_too_long_for_a_file_is_one_that_is_not_there(tmp_path):
    path = manifest(tmp_path, f'path,label\n{"a" * 300}.png,joy\ngone.png,joy\n')
    with pytest.raises(UserError, match=r'not there \(2\): a+.png \(line 2\), gone.png \(line 3\)'):
        scanned(tmp_path, path)


def test_one_kind_is_one_line_and_long_lists_are_cut(tmp_path):
    rows = ''.join(f'{k}.png,joy\n' for k in range(9))
    path = manifest(tmp_path, f'path,label\n{rows}')
    with pytest.raises(UserError) as caught:
        scanned(tmp_path, path)
    assert str(caught.value) == (
        f'{path}: files that are not there (9): 0.png (line 2), 1.png (line 3), 2.png (line 4), '
        f'3.png (line 5), 4.png (line 6) and 4 more; paths are relative to {tmp_path}; correct them'
    )


@pytest.mark.parametrize(
    'text, message',
    [
        ('file,label\n', "no column 'path' in the header 'file, label'"),
        ('path,lable\n', "no column 'label' in the header 'path, lable'"),
        ('path,label,age,site\n', r'unknown column .2.: age, site; .*--ignore_columns=age,site'),
        ('path,label,path\n', 'a column twice in the header path, label, path'),
        ('', "no column 'path' in the header ''"),
        ('path,"label\na.png,joy\n', 'line 2: a line break in the header; is a quote not closed'),
    ],
)
def test_a_header_that_cannot_be_read(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        scanned(tmp_path, manifest(tmp_path, text))


def test_a_quote_that_is_not_closed_is_no_label(tmp_path):
    picture(tmp_path / 'a.png')
    path = manifest(tmp_path, 'path,label,note\na.png,"joy\na.png,joy,\n')
    with pytest.raises(UserError, match='cells with a line break in them .1.: line 3'):
        scanned(tmp_path, path, ignore_columns='note')
    path = manifest(tmp_path, 'path,label,note\na.png,joy,"two\nlines"\n')
    assert labels(scanned(tmp_path, path, ignore_columns='note')) == [('a.png', 'joy')]


def test_a_column_that_is_ignored_is_not_looked_at_though_it_is_known(tmp_path):
    picture(tmp_path / 'a.png')
    picture(tmp_path / 'b.png', 30)
    path = manifest(tmp_path, 'path,label,subject,split\na.png,joy,p1,train\nb.png,anger,p1,test\n')
    with pytest.raises(UserError, match='a subject in two splits'):
        scanned(tmp_path, path)
    found = scanned(tmp_path, path, ignore_columns='Split')
    assert [(clip.subject, clip.split) for clip in found.clips] == [('p1', ''), ('p1', '')]
    assert scanned(tmp_path, path, ignore_columns='subject').fingerprint != found.fingerprint
    with pytest.raises(UserError, match="--ignore_columns names 'label', which is needed"):
        scanned(tmp_path, path, ignore_columns='label')


def test_subjects_written_in_two_ways_get_a_hint(tmp_path):
    subjects = ['1', '01', 'P2', 'p02', '3', '3', '10', '100', 'a0', 'a']
    for number in range(len(subjects)):
        picture(tmp_path / f'{number}.png')
    lines = ''.join(f'{n}.png,c{n % 2},{subject}\n' for n, subject in enumerate(subjects))
    own = builder(tmp_path)
    own.open(manifest(tmp_path, f'path,label,subject\n{lines}'))
    first, second = own._hints
    assert 'capitals or leading zeros only' in first and ': 01, 1; write each person' in first
    assert ': P2, p02; ' in second
