"""The page in a browser: what it shows of an upload, and that nothing of it stays or leaves."""

import contextlib
import csv
import io
import json
import os
import signal
import sys
import threading
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax import cli
from fer_jax.errors import UserError
from fer_jax.predict import stills
from fer_jax.predict.page import __main__ as command
from fer_jax.predict.page import showing

MEGABYTES = 1


@pytest.fixture(scope='module')
def uploads(tmp_path_factory, people, scene, write_film):
    """A folder with a drawn picture, a drawn film, and a file that is neither."""
    folder = tmp_path_factory.mktemp('uploads')
    two = scene((people[0][0], 40, 30), (people[1][1], 270, 30))
    cv2.imwrite(str(folder / 'two.png'), two[..., ::-1])
    images = [scene((people[0][k // 10], 20 + k, 30)) for k in range(30)]
    write_film(folder / 'one.mp4', images)
    (folder / 'no.mp4').write_bytes(b'no film')
    return folder


def test_a_film_is_shown_with_its_page_table_and_files(uploads, bands, tmp_path):
    told = []
    film = uploads / 'one.mp4'
    shown = showing.show(film, tmp_path, bands(), progress=lambda *said: told.append(said))
    assert shown.summary.startswith('one.mp4: 30 frames, 30 with a face, 1 person, ')
    assert [path.name for path in shown.files] == [
        f'one.{ending}' for ending in ('csv', 'html', 'json', 'overlay.mp4', 'tracks.csv')
    ]
    assert shown.picture is None
    # Sandboxed without its origin: the film's page cannot reach the page around it.
    assert 'sandbox="allow-scripts allow-downloads"' in shown.page
    assert shown.page.count('<iframe') == 1 and '"line"' not in shown.page
    assert shown.header == ['seconds', 'person', 'status', 'label', 'uncertain', *bands.classes]
    with open(tmp_path / 'one.csv', encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(shown.rows) == len(rows) == 30
    for mine, row in zip(shown.rows, rows, strict=True):
        assert mine[:4] == [row['time_s'], row['track'], row['status'], row['label']]
        assert mine[5:] == [row[f'smoothed_{name}'] for name in bands.classes]
    assert all(0 <= share <= 1 for share, _ in told) and told[-1][0] > 0.9
    assert {said.partition(',')[0] for _, said in told} == {'predicting', 'drawing'}


def test_a_picture_is_shown_with_what_is_drawn_into_it(uploads, bands, tmp_path):
    shown = showing.show(uploads / 'two.png', tmp_path, bands())
    assert shown.summary == 'two.png: 2 faces' and shown.page == ''
    names = [path.name for path in shown.files]
    assert names == ['pictures.csv', 'pictures.html', 'two.overlay.jpg']
    assert shown.header == ['status', 'label', 'uncertain', *bands.classes]
    assert [row[0] for row in shown.rows] == ['face', 'face']
    before, after = cv2.imread(str(uploads / 'two.png')), cv2.imread(str(shown.picture))
    changed = np.abs(before.astype(int) - after).max(-1) > 60
    with open(tmp_path / 'pictures.csv', encoding='utf-8', newline='') as file:
        for row in csv.DictReader(file):
            left, top, right, bottom = (round(float(row[edge])) for edge in stills._EDGES)
            assert changed[top + 2 : bottom - 40, [left, right]].mean() > 0.8
            inside = changed[top + 4 : bottom - 40, left + 4 : right - 4]
            assert inside.mean() < 0.05


def test_faces_are_hidden_where_that_is_chosen(uploads, bands, tmp_path):
    clear, hidden = tmp_path / 'clear', tmp_path / 'hidden'
    for out in (clear, hidden):
        out.mkdir()
        showing.show(uploads / 'two.png', out, bands(), blur=out is hidden)
    assert not (hidden / 'pictures.html').exists()
    before = cv2.imread(str(uploads / 'two.png')).astype(int)
    clear_one, hidden_one = (
        np.abs(cv2.imread(str(out / 'two.overlay.jpg')) - before)[70:110, 90:150].mean()
        for out in (clear, hidden)
    )
    assert clear_one < 5 and hidden_one > 15


def test_a_file_that_is_none_is_said_without_its_folder(uploads, bands, tmp_path):
    with pytest.raises(UserError, match=r'^no\.mp4: no film, or one cut off') as error:
        showing.show(uploads / 'no.mp4', tmp_path, bands())
    assert str(uploads) not in str(error.value)
    broken = tmp_path / 'broken.png'
    broken.write_bytes(b'no picture')
    with pytest.raises(UserError, match=r'^broken\.png: no picture'):
        showing.show(broken, tmp_path / 'out', bands())


def test_only_so_many_rows_are_shown(uploads, bands, tmp_path, monkeypatch):
    monkeypatch.setattr(showing, 'ROWS', 7)
    shown = showing.show(uploads / 'one.mp4', tmp_path, bands())
    assert len(shown.rows) == 7
    assert (tmp_path / 'one.csv').read_text().count('\n') == 31


def test_without_gradio_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(os, 'environ', os.environ.copy())
    monkeypatch.setitem(sys.modules, 'gradio', None)
    with pytest.raises(UserError) as error:
        cli.call(command.main, command.define, [])
    assert str(error.value) == "gradio is not installed: pip install 'fer_jax[demo]'"


# The command itself, in a process of its own, over HTTP as a browser would.


@pytest.fixture(scope='module')
def served(page_server, tmp_path_factory):
    """The page with two networks: its address, the folder of its files, and whom it called."""
    with page_server(
        tmp_path_factory.mktemp('served'), f'--megabytes={MEGABYTES}', '--port=0'
    ) as server:
        yield server


def send(address, data=None, kind='application/json'):
    request = urllib.request.Request(address, data, {'Content-Type': kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def refusal(request):
    """The status with which a request is refused."""
    with pytest.raises(urllib.error.HTTPError) as error:
        request()
    error.value.close()
    return error.value.code


def upload(address, path):
    """Uploads a file and returns its path on the server."""
    border = uuid.uuid4().hex
    body = (
        f'--{border}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n'
        'Content-Type: application/octet-stream\r\n\r\n'
    ).encode() + path.read_bytes() + f'\r\n--{border}--\r\n'.encode()  # fmt: skip
    kind = f'multipart/form-data; boundary={border}'
    return json.loads(send(f'{address}/gradio_api/upload', body, kind))[0]


def look(address, path, model='bands', hidden=False):
    """Presses the first button; returns what the page then shows, by component."""
    config = json.loads(send(f'{address}/config'))
    function = next(each for each in config['dependencies'] if each['targets'])
    session = uuid.uuid4().hex
    given = {'path': path, 'meta': {'_type': 'gradio.FileData'}} if path else None
    call = {'data': [given, model, hidden], 'fn_index': function['id'], 'session_hash': session}
    send(f'{address}/gradio_api/queue/join', json.dumps(call).encode())
    answers = io.BytesIO(send(f'{address}/gradio_api/queue/data?session_hash={session}'))
    events = [json.loads(line[5:]) for line in answers if line.startswith(b'data:')]
    said = [event for event in events if event['msg'] == 'process_generating']
    assert said and said[0]['success'], events
    names = ('given', 'summary', 'picture', 'page', 'table', 'files')
    return dict(zip(names, said[0]['output']['data'], strict=True))


def test_it_listens_to_this_machine_alone_and_tells_nobody(served):
    text = send(served.address).decode()
    assert 'fonts.googleapis' not in text and 'fonts.gstatic' not in text
    assert 'Article 5(1)(f)' in text
    listening, called = set(), set()
    for line in (served.folder / 'sockets').read_text().splitlines():
        kind, place = line.split(maxsplit=1)
        (listening if kind == 'bind' else called).add(place)
    assert listening and listening | called <= {'127.0.0.1', 'localhost'}


def test_what_is_uploaded_is_looked_at_and_removed(served, uploads):
    address, files = served.address, served.files
    path = upload(address, uploads / 'one.mp4')
    assert Path(path).is_file() and Path(path).is_relative_to(files)
    shown = look(address, path, 'other')
    assert not Path(path).exists() and shown['given'] is None
    assert 'one.mp4: 30 frames' in shown['summary']['value']
    assert shown['page']['value'].startswith('<iframe') and not shown['picture']['visible']
    assert len(shown['table']['value']['data']) == 30
    found = {file['orig_name']: send(file['url']) for file in shown['files']['value']}
    assert set(found) == {
        f'one.{ending}' for ending in ('csv', 'html', 'json', 'overlay.mp4', 'tracks.csv')
    }
    assert json.loads(found['one.json'])['model']['name'] == 'other'
    assert found['one.csv'].count(b'\n') == 31
    # Of the folder in which it was predicted nothing is left.
    (own,) = files.iterdir()
    assert [each.name for each in own.iterdir()] == ['gradio']


def test_a_picture_is_shown(served, uploads):
    address = served.address
    shown = look(address, upload(address, uploads / 'two.png'))
    assert shown['picture']['visible'] and not shown['page']['visible']
    picture = np.frombuffer(send(shown['picture']['value']['url']), np.uint8)
    assert cv2.imdecode(picture, cv2.IMREAD_COLOR).shape == (240, 480, 3)


def test_what_is_no_film_is_said_and_removed(served, uploads):
    address = served.address
    path = upload(address, uploads / 'no.mp4')
    shown = look(address, path)
    assert 'no film' in shown['summary']['value'] and not shown['files']['visible']
    assert not Path(path).exists()
    assert 'first' in look(address, None)['summary']['value']


def test_large_uploads_and_foreign_files_are_refused(served, tmp_path):
    address = served.address
    large = tmp_path / 'large.mp4'
    large.write_bytes(bytes(MEGABYTES * 1_000_000 + 1))
    assert refusal(lambda: upload(address, large)) == 413
    assert refusal(lambda: send(f'{address}/gradio_api/file={large}')) == 403


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_line_and_an_end_leaves_nothing(page_server, tmp_path):
    with page_server(tmp_path / 'one') as server:
        port = server.address.rpartition(':')[2]
        with page_server(tmp_path / 'two', f'--port={port}', wait=False) as second:
            said, _ = second.process.communicate(timeout=120)
            assert second.process.returncode == 1 and said == ''
            wrong = (second.folder / 'stderr').read_text()
            assert wrong == f'error: --port={port}: taken; give another one, or 0 for a free one\n'
        assert any(server.files.iterdir())
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 130
        assert not any(server.files.iterdir())


def test_a_folder_that_is_still_written_into_is_removed(tmp_path):
    """A thread of the page's may write after its end; removing once meets its new files."""
    folder, ended = tmp_path / 'files', threading.Event()
    folder.mkdir()

    def write():
        while not ended.is_set():
            with contextlib.suppress(OSError):
                (folder / 'upload').mkdir(exist_ok=True)
                (folder / 'upload' / uuid.uuid4().hex).touch()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        command.remove(folder)
        assert not folder.exists()
    finally:
        ended.set()
        writer.join()
    assert not folder.exists()
