"""Pictures: every kind is read, a row a face, the sheet shows them."""

import csv
import itertools
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_jax.predict import jobs, pipeline, stills
from fer_jax.predict.detection import FaceFinder
from fer_jax.predict.jobs import Options
from fer_jax.predict.orientation import Orientation


@pytest.fixture(scope='module')
def picture(people, scene):
    return scene((people[0][1], 40, 30), (people[1][2], 270, 40))


def saved(folder, name, image, **options):
    """Writes a picture with Pillow and returns its path."""
    path = folder / name
    Image.fromarray(image).save(path, **options)
    return path


def predicted(paths, folder, model):
    files = [(path.name, path) for path in paths]
    return jobs.predict_pictures(files, folder / 'out', model, Options())


def boxes(rows):
    edges = ('left', 'top', 'right', 'bottom')
    return np.array([[float(row[edge]) for edge in edges] for row in rows])


def test_the_same_picture_in_many_forms_gives_the_same_faces(picture, tmp_path, bands):
    paths = [saved(tmp_path, 'a.png', picture), saved(tmp_path, 'b.webp', picture, quality=95)]
    for orientation in range(2, 9):
        # Stored so that obeying the tag shows the picture upright.
        shown = Image.fromarray(picture)
        inverse = {
            2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }[orientation]  # fmt: skip
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f'exif{orientation}.jpg'
        shown.transpose(inverse).save(path, exif=exif, quality=96)
        paths.append(path)
    path = tmp_path / 'deep.png'
    cv2.imwrite(str(path), picture[..., ::-1].astype(np.uint16) * 257)
    paths.append(path)
    Image.fromarray(picture).convert('CMYK').save(tmp_path / 'cmyk.jpg', quality=96)
    alpha = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    paths += [tmp_path / 'cmyk.jpg', saved(tmp_path, 'alpha.png', alpha)]
    Image.fromarray(picture).convert('P', palette=Image.Palette.ADAPTIVE).save(
        tmp_path / 'palette.png'
    )
    Image.fromarray(picture).convert('L').save(tmp_path / 'grey.jpg', quality=96)
    paths += [tmp_path / 'palette.png', tmp_path / 'grey.jpg']
    rows = predicted(paths, tmp_path, bands())
    wanted = [row for row in rows if row['path'] == 'a.png']
    assert len(wanted) == 2
    for path in paths:
        own = [row for row in rows if row['path'] == path.name]
        assert [row['status'] for row in own] == ['face'] * 2, path.name
        assert np.abs(boxes(own) - boxes(wanted)).max() < 3, path.name
        assert [row['label'] for row in own] == [row['label'] for row in wanted], path.name


@pytest.mark.parametrize('turns', [1, 2, 3])
def test_a_picture_on_its_side_is_turned_and_boxes_are_its_own(picture, tmp_path, bands, turns):
    turned = np.ascontiguousarray(np.rot90(picture, turns))
    paths = [saved(tmp_path, 'a.png', picture), saved(tmp_path, 'turned.png', turned)]
    rows = predicted(paths, tmp_path, bands())
    one, other = ([row for row in rows if row['path'] == path.name] for path in paths)
    assert sorted(row['label'] for row in one) == sorted(row['label'] for row in other)
    for row in boxes(other):
        left, top, right, bottom = np.rint(row).astype(int)
        cut = np.rot90(turned[top:bottom, left:right], -turns)
        # The same part of the upright picture lies somewhere in it.
        match = cv2.matchTemplate(picture, np.ascontiguousarray(cut), cv2.TM_SQDIFF_NORMED)
        place = np.unravel_index(match.argmin(), match.shape)
        apart = np.abs(boxes(one)[:, [1, 0]] - place).max(1).min()
        assert match.min() < 1e-3 and apart < 4


@pytest.mark.parametrize('axes', list(itertools.product((False, True), repeat=3)))
def test_boxes_go_back_through_any_turn(axes):
    image = np.zeros((30, 50, 1), np.uint8)
    image[5:12, 20:40] = 1
    orientation = Orientation(*axes)
    y, x = np.nonzero(orientation.apply(image).squeeze())
    shown = np.array([x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5])
    assert stills.unturned(shown, orientation, 50, 30).tolist() == [19.5, 4.5, 39.5, 11.5]


def test_unreadable_pictures_and_pictures_without_faces_have_rows(picture, tmp_path, bands):
    paths = [saved(tmp_path, 'a.png', picture), saved(tmp_path, 'wall.png', picture[:20])]
    (tmp_path / 'empty.jpg').write_bytes(b'')
    (tmp_path / 'cut.png').write_bytes((tmp_path / 'a.png').read_bytes()[:2000])
    rows = predicted([*paths, tmp_path / 'empty.jpg', tmp_path / 'cut.png'], tmp_path, bands())
    status = {row['path']: row['status'] for row in rows}
    assert status == {
        'a.png': 'face', 'wall.png': 'no face', 'empty.jpg': 'unreadable', 'cut.png': 'unreadable'
    }  # fmt: skip
    assert set(rows[-1].values()) == {'cut.png', 'unreadable', ''}
    with open(tmp_path / 'out' / 'pictures.csv', encoding='utf-8', newline='') as file:
        assert list(csv.DictReader(file)) == rows
    text = (tmp_path / 'out' / 'pictures.html').read_text(encoding='utf-8')
    assert text.count('<img src="data:image/jpeg') == 2 and 'AI Act' in text


def test_small_and_blurred_faces_are_called_so(people, tmp_path, bands):
    plain = np.full((200, 220, 3), 90, np.uint8)
    small, blurred = plain.copy(), plain.copy()
    shrunk = cv2.resize(people[0][0], None, fx=0.23, fy=0.23, interpolation=cv2.INTER_AREA)
    small[60 : 60 + shrunk.shape[0], 60 : 60 + shrunk.shape[1]] = shrunk
    blurred[:176, 20:180] = cv2.GaussianBlur(people[1][0], (0, 0), 5)
    paths = [saved(tmp_path, 'small.png', small), saved(tmp_path, 'blurred.png', blurred)]
    rows = {row['path']: row for row in predicted(paths, tmp_path, bands())}
    assert 'small' in rows['small.png']['uncertain'].split()
    assert 'blurred' in rows['blurred.png']['uncertain'].split()


def test_the_sheet_counts_faces_and_certain_ones(picture, tmp_path, bands):
    path, model = saved(tmp_path, 'a.png', picture), bands()
    said = [('mouth', ''), ('mouth', ''), ('mouth', 'small'), ('forehead', 'blurred unsure')]
    values = ['a.png', 'face', '60.0', '50.0', '160.0', '150.0', '0.900']
    rows = [
        dict(zip(stills.columns(model.classes), [*values, *each, '0.5', *['0.3'] * 3], strict=True))
        for each in said
    ]
    text = stills.sheet(rows, {'a.png': path}, model)
    found = re.findall(r'<tr><td[^>]*>(\w+)</td><td[^>]*>(\d+)</td><td[^>]*>(\d+)</td></tr>', text)
    assert found == [('forehead', '1', '0'), ('middle', '0', '0'), ('mouth', '3', '2')]
    assert text.count('<li class="right">') == text.count('<li class="wrong">') == 2


def test_many_pictures_go_on_where_they_were_stopped(picture, tmp_path, bands, monkeypatch):
    monkeypatch.setattr(stills, '_CHUNK', 3)
    paths = [saved(tmp_path, f'{k}.png', np.roll(picture, 3 * k, 1)) for k in range(8)]
    files = [(path.name, path) for path in paths]
    model = bands()
    whole = stills.predict(files, model, FaceFinder(stills.SIDES), tmp_path / 'whole', 'it')
    everything = len(model.seen)
    model, said = bands(), []
    monkeypatch.setattr(model, 'probabilities', lambda clips, length: said.append(1) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stills.predict(files, model, FaceFinder(stills.SIDES), tmp_path / 'work', 'it')

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stills.predict(files, bands(), FaceFinder(stills.SIDES), tmp_path / 'work', 'it', stop)
    model = bands()
    again = stills.predict(files, model, FaceFinder(stills.SIDES), tmp_path / 'work', 'it')
    assert again.rows.read_bytes() == whole.rows.read_bytes()
    assert 0 < len(model.seen) < everything
    assert pipeline.FACE in again.rows.read_text()


def test_no_sheet_where_faces_are_to_be_hidden(picture, tmp_path, bands):
    files = [('a.png', saved(tmp_path, 'a.png', picture))]
    jobs.predict_pictures(files, tmp_path / 'out', bands(), Options())
    assert (tmp_path / 'out' / 'pictures.html').is_file()
    jobs.predict_pictures(files, tmp_path / 'out', bands(), Options(blur=True))
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['pictures.csv']
