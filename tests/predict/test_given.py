"""Films and pictures among files and in folders, and their names."""

import pytest

from fer_jax.errors import UserError
from fer_jax.predict import jobs
from fer_jax.predict.films import Film
from fer_jax.predict.jobs import Given, Options


def test_files_are_found_and_named_apart(tmp_path):
    for name in ('a.mp4', 'a.avi', 'b.png', 'sub/a.mp4', 'notes.txt', 'sub/c.JPG'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'x')
    given = Given.find([str(tmp_path)])
    assert [name for name, _ in given.films] == ['a.avi', 'a.mp4', 'sub/a.mp4']
    assert [name for name, _ in given.pictures] == ['b.png', 'sub/c.JPG']
    assert jobs.stems(given.films) == ['a.avi', 'a.mp4', 'sub/a']
    two = Given.find([str(tmp_path / 'a.mp4'), str(tmp_path / 'sub/a.mp4')])
    assert [name for name, _ in two.films] == ['a.mp4', '2-a.mp4']
    (tmp_path / 'sub/2-a.mp4').write_bytes(b'x')
    three = Given.find([str(tmp_path / name) for name in ('a.mp4', 'sub/a.mp4', 'sub/2-a.mp4')])
    assert [name for name, _ in three.films] == ['a.mp4', '2-a.mp4', '2-2-a.mp4']
    assert len(Given.find([str(tmp_path / 'a.mp4')] * 2).films) == 1
    tables = [('Films.mp4', tmp_path), ('pictures.avi', tmp_path), ('sub/films.mp4', tmp_path)]
    assert jobs.stems(tables) == ['Films.mp4', 'pictures.avi', 'sub/films']
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='no film and no picture'):
        Given.find([str(tmp_path / 'empty')])
    with pytest.raises(UserError, match='no such file'):
        Given.find([str(tmp_path / 'gone')])


def test_what_was_written_before_and_what_a_system_made_is_no_film(tmp_path, monkeypatch):
    names = ['a.mp4', 'sub/b.mp4', 'a.overlay.mp4', '._a.mp4', '__MACOSX/a.mp4', 'sub/.old/b.mp4']
    for name in (*names, 'predictions/a.overlay.mp4', 'predictions/c.mp4', 'predictions/d.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b'x')
    monkeypatch.chdir(tmp_path)
    given = Given.find(['.'], 'predictions')
    assert [name for name, _ in given.films] == ['a.mp4', 'sub/b.mp4'] and not given.pictures
    assert [name for name, _ in Given.find(['.'], '.').films] == [
        'a.mp4', 'predictions/c.mp4', 'sub/b.mp4',
    ]  # fmt: skip
    assert [name for name, _ in Given.find(['a.overlay.mp4'], '.').films] == ['a.overlay.mp4']


def test_files_of_other_kinds_are_named_and_heic_is_refused(tmp_path):
    for name in ('a.jpg', 'IMG_1.HEIC', 'IMG_2.heic', 'notes.txt', 'README'):
        (tmp_path / name).write_bytes(b'x')
    (tmp_path / 'page.ts').write_text('export const GREETING = 1\n')
    (tmp_path / 'television.ts').write_bytes(b'G\x40\0\x10' + bytes(184))
    given = Given.find([str(tmp_path)])
    assert [name for name, _ in given.pictures] == ['a.jpg']
    assert [name for name, _ in given.films] == ['television.ts']
    assert given.passed_over == (
        'passed over: 2 .heic, 1 .ts, 1 .txt, 1 without an ending; save .heic and .heif as JPEG'
    )
    assert Given.find([str(tmp_path / 'a.jpg')]).passed_over == ''
    with pytest.raises(UserError, match='IMG_1.HEIC: .heic cannot be read; save .* as JPEG'):
        Given.find([str(tmp_path / 'IMG_1.HEIC')])
    for name in ('a.jpg', 'television.ts'):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match='no film and no picture .* passed over: 2 .heic'):
        Given.find([str(tmp_path)])


def test_another_film_of_the_same_name_does_not_take_the_place_of_the_first(
    tmp_path, people, scene, write_film, bands
):
    films = []
    for folder, count in (('monday', 2), ('tuesday', 3)):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / 'GX01.mp4'
        films.append(write_film(path, [scene((people[0][0], 20, 30))] * count))
    quick = Options(overlay=False, page=False)
    base = tmp_path / 'out' / 'GX01'
    jobs.predict_film(Film.open(films[0]), base, bands(), quick)
    before = base.with_suffix('.csv').read_bytes()
    with pytest.raises(UserError, match=r'GX01.json: of another film, .*monday.* another --out'):
        jobs.predict_film(Film.open(films[1]), base, bands(), quick)
    assert base.with_suffix('.csv').read_bytes() == before
    # The same film elsewhere, and another one in the place of the first, may replace the files.
    moved = films[0].rename(tmp_path / 'GX01.mp4')
    assert jobs.predict_film(Film.open(moved), base, bands(), quick)['counts']['frames'] == 2
    films[1].rename(films[0])
    assert jobs.predict_film(Film.open(films[0]), base, bands(), quick)['counts']['frames'] == 3
