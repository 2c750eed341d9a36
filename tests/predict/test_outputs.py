"""Files that are written of a film and of pictures."""

import base64
import csv
import html
import json
import re
from urllib.parse import unquote
from xml.etree import ElementTree

import av
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.predict import (
    events,
    film_page,
    jobs,
    overlay,
    results,
    segments,
)
from fer_jax.predict.films import Film, Frame
from fer_jax.predict.jobs import Options


@pytest.fixture(scope='module')
def film(tmp_path_factory, people, scene, write_film):
    """Two seconds with sound: a person who moves, and another in the second half."""
    images = []
    for k in range(50):
        parts = [(people[0][k // 13], 10 + 2 * k, 30)]
        if k >= 25:
            parts.append((people[1][0], 300, 40))
        images.append(scene(*parts))
    return write_film(tmp_path_factory.mktemp('film') / 'zwei Töne.mp4', images, sound=True)


@pytest.fixture(scope='module')
def written(film, tmp_path_factory, bands):
    out = tmp_path_factory.mktemp('out')
    about = jobs.predict_film(Film.open(film), out / 'film', bands(), Options(events='webvtt'))
    return out, about


def test_a_film_gives_all_its_files_and_leaves_nothing_else(written):
    out, _ = written
    names = {path.name for path in out.iterdir()}
    endings = ('.csv', '.tracks.csv', '.overlay.mp4', '.html', '.json', '.vtt')
    assert names == {f'film{ending}' for ending in endings}


def test_the_description_says_what_was_done(written, film):
    out, about = written
    stored = json.loads((out / 'film.json').read_text(encoding='utf-8'))
    assert stored == about
    assert stored['film']['name'] == film.name and stored['film']['width'] == 480
    assert stored['counts']['frames'] == 50 and stored['counts']['people'] == 2
    assert stored['model']['classes'] == ['forehead', 'middle', 'mouth']
    assert stored['note'] and stored['settings']['smooth'] == 0.5


def test_a_finished_film_is_only_read(written, film, bands):
    out, about = written
    model = bands()
    assert (
        jobs.predict_film(Film.open(film), out / 'film', model, Options(events='webvtt')) == about
    )
    assert model.seen == []


@pytest.mark.parametrize('content', ['[{"SourceFile": "film.mp4"}]', '{"fps": 25}', 'no JSON'])
def test_a_description_by_another_program_is_left_alone(film, tmp_path, bands, content):
    (tmp_path / 'film.json').write_text(content)
    with pytest.raises(UserError, match=r'film.json: another program wrote .* another --out'):
        jobs.predict_film(Film.open(film), tmp_path / 'film', bands(), Options())
    assert [path.read_text() for path in tmp_path.iterdir()] == [content]


def test_the_overlay_has_the_films_times_and_its_sound(written, film):
    out, _ = written
    with av.open(str(film)) as given, av.open(str(out / 'film.overlay.mp4')) as drawn:
        wanted = [frame.time for frame in given.decode(video=0)]
        shown = [frame.time for frame in drawn.decode(video=0)]
        assert shown == pytest.approx(wanted, abs=1e-3)
    with av.open(str(film)) as given, av.open(str(out / 'film.overlay.mp4')) as drawn:
        before = [bytes(packet) for packet in given.demux(audio=0) if packet.size]
        after = [bytes(packet) for packet in drawn.demux(audio=0) if packet.size]
        assert before == after


def test_frames_for_the_page_are_kept_small(film, made, tmp_path):
    path = tmp_path / 'a.mp4'
    kept = overlay.write(path, Film.open(film), made([1] * 20, [0] * 20), stills=[0.0, 0.5, 1.0])
    height, width = kept[0].shape[:2]
    assert len(kept) == 3 and width == 420 < 480 and height < width
    assert kept[0].std() > 10


def test_boxes_are_drawn_where_the_rows_say(film, written):
    out, _ = written
    with open(out / 'film.csv', encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    with av.open(str(out / 'film.overlay.mp4')) as drawn:
        images = [frame.to_ndarray(format='rgb24') for frame in drawn.decode(video=0)]
    original = [frame.image for frame in Film.open(film).frames()]
    for row in rows[::17]:
        k = int(row['frame'])
        left, top, right, bottom = (
            round(float(row[edge])) for edge in ('left', 'top', 'right', 'bottom')
        )
        changed = np.abs(images[k].astype(int) - original[k]).sum(2)
        edge = changed[top + 8 : bottom - 8, left - 1 : left + 2].mean()
        inside = changed[top + 20 : bottom - 20, left + 12 : right - 12].mean()
        assert edge > 40 > 2 * inside
        colour = images[k][top + 8 : bottom - 8, left].mean(0)
        assert np.abs(colour - overlay.colour(int(row['track']) - 1)).max() < 45


def test_hidden_faces_cannot_be_recognised(film, tmp_path, bands):
    jobs.predict_film(Film.open(film), tmp_path / 'film', bands(), Options(blur=True))
    with av.open(str(tmp_path / 'film.overlay.mp4')) as drawn:
        image = next(drawn.decode(video=0)).to_ndarray(format='rgb24')
    before = next(Film.open(film).frames()).image
    with open(tmp_path / 'film.csv', encoding='utf-8', newline='') as file:
        row = next(csv.DictReader(file))
    left, top, right, bottom = (
        round(float(row[edge])) for edge in ('left', 'top', 'right', 'bottom')
    )
    inside = np.s_[top + 6 : bottom - 6, left + 6 : right - 6]
    sharp = np.abs(np.diff(before[inside].astype(int), axis=0)).mean()
    hidden = np.abs(np.diff(image[inside].astype(int), axis=0)).mean()
    assert hidden < sharp / 3
    outside = np.s_[: top - 30]
    assert np.abs(image[outside].astype(int) - before[outside]).mean() < 4


def test_what_showed_the_faces_is_gone_where_they_are_hidden(
    tmp_path, people, scene, write_film, bands
):
    film = Film.open(write_film(tmp_path / 'film.mp4', [scene((people[0][0], 20, 30))] * 3))
    base = tmp_path / 'out' / 'film'
    jobs.predict_film(film, base, bands(), Options())
    jobs.predict_film(film, base, bands(), Options(blur=True, overlay=False, page=False))
    assert {path.name for path in base.parent.iterdir()} == {
        'film.csv', 'film.tracks.csv', 'film.json',
    }  # fmt: skip


@pytest.mark.parametrize('stopped_at', ['drawing', 'page'])
def test_a_film_counts_as_finished_until_another_command_begins_it_again(
    tmp_path, people, scene, write_film, bands, monkeypatch, stopped_at
):
    film = Film.open(write_film(tmp_path / 'film.mp4', [scene((people[0][0], 20, 30))] * 3))
    base = tmp_path / 'out' / 'film'
    hidden, shown = Options(blur=True, page=False), Options(smooth=2.0)
    first = jobs.predict_film(film, base, bands(), hidden)
    files = {path.name: path.read_bytes() for path in base.parent.iterdir()}

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        place = {'drawing': (overlay, 'write'), 'page': (film_page, 'text')}[stopped_at]
        patch.setattr(*place, stop)
        with pytest.raises(KeyboardInterrupt):
            jobs.predict_film(film, base, bands(), shown)
    assert not base.with_name('film.json').exists()
    (tmp_path / 'other').mkdir()
    other = write_film(tmp_path / 'other' / 'film.mp4', [scene((people[1][0], 20, 30))] * 3)
    with pytest.raises(UserError, match='film.json: of another film, .* another --out'):
        jobs.predict_film(Film.open(other), base, bands(), shown)
    again = jobs.predict_film(film, base, bands(), hidden)
    assert again['identity'] == first['identity']
    del files['film.json']  # which says when
    assert {name: base.with_name(name).read_bytes() for name in files} == files


@pytest.mark.parametrize('track', [[1, 1], [1, 2]])
def test_faces_stay_hidden_between_looks_that_are_far_apart(made, track):
    result = made(track, [0, 0], times=[0.0, 4.0])
    result.box[1, [0, 2]] += 100
    painter = overlay.Painter(result, blur=True)
    noise = np.random.default_rng(0).integers(0, 255, (90, 200, 3), np.uint8)
    for time in (0.0, 0.9, 1.1, 3.9, 4.0, 9.0):
        drawn = painter.drawn(Frame(0, time, 'ok', noise.copy()))
        where = {0.0: (10, 60), 4.0: (110, 160), 9.0: (110, 160)}.get(time, (10, 160))
        changed = (drawn != noise).any(2)[12:78, where[0] + 2 : where[1] - 2]
        assert changed.mean() > 0.95, time
    plain = overlay.Painter(result, blur=False)
    assert (plain.drawn(Frame(0, 1.1, 'ok', noise.copy())) == noise).all()


def test_without_a_coder_the_overlay_is_refused_before_anything_is_predicted(
    film, tmp_path, bands, monkeypatch
):
    def missing(name, mode):
        raise av.codec.codec.UnknownCodecError(name)

    model = bands()
    monkeypatch.setattr(av.codec, 'Codec', missing)
    with pytest.raises(UserError, match=r'no libx264 .* leave it out with --overlay=false'):
        jobs.predict_film(Film.open(film), tmp_path / 'film', model, Options())
    assert not model.seen and not list(tmp_path.iterdir())
    jobs.predict_film(Film.open(film), tmp_path / 'film', model, Options(overlay=False))


def test_an_odd_size_is_coded(tmp_path, people, scene, bands):
    with av.open(str(tmp_path / 'odd.mkv'), 'w') as container:
        stream = container.add_stream('ffv1', rate=10, width=301, height=201)
        stream.pix_fmt = 'bgr0'
        for _ in range(6):
            image = scene((people[0][0], 60, 20), width=301, height=201)
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    about = jobs.predict_film(Film.open(tmp_path / 'odd.mkv'), tmp_path / 'odd', bands(), Options())
    assert about['counts']['with a face'] == 6
    with av.open(str(tmp_path / 'odd.overlay.mp4')) as drawn:
        assert (drawn.streams.video[0].width, drawn.streams.video[0].height) == (300, 200)


@pytest.mark.parametrize(('rate', 'expected'), [(8000, 8000), (11024, 11025), (192000, 96000)])
def test_sound_that_players_do_not_know_is_coded_anew(
    tmp_path, people, scene, bands, rate, expected
):
    path = tmp_path / 'pcm.avi'
    with av.open(str(path), 'w') as container:
        pictures = container.add_stream('mpeg4', rate=10, width=320, height=240)
        pictures.pix_fmt, pictures.bit_rate = 'yuv420p', 4_000_000
        voice = container.add_stream('pcm_s16le', rate=rate, layout='mono')
        image = scene((people[0][0], 60, 40), width=320)
        for _ in range(10):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
            tone = av.AudioFrame.from_ndarray(np.ones((1, rate // 10), np.int16), 's16', 'mono')
            tone.rate = rate
            container.mux(voice.encode(tone))
        container.mux(pictures.encode())
        container.mux(voice.encode())
    jobs.predict_film(Film.open(path), tmp_path / 'pcm', bands(), Options())
    with av.open(str(tmp_path / 'pcm.overlay.mp4')) as drawn:
        sound = drawn.streams.audio[0]
        assert (sound.codec_context.name, sound.rate) == ('aac', expected)
        seconds = float(sound.duration * sound.time_base)
        assert seconds == pytest.approx(1.0, abs=0.2)


def test_the_page_is_one_file_with_film_and_table(written):
    out, _ = written
    text = (out / 'film.html').read_text(encoding='utf-8')
    assert 'http://' not in text and 'https://' not in text.replace('http://www.w3.org', '')
    data = re.search(r'id="film-data">([^<]*)<', text)[1]
    assert base64.b64decode(data) == (out / 'film.overlay.mp4').read_bytes()
    data = re.search(r'href="data:text/csv;base64,([^"]*)"', text)[1]
    assert base64.b64decode(data) == (out / 'film.csv').read_bytes()
    assert text.count('class="band"') == 2
    assert 'AI Act' in text


def test_a_page_with_a_large_film_shows_frames_instead(written, monkeypatch, made):
    out, about = written
    result = made([1] * 60, [0] * 20 + [1] * 20 + [2] * 20)
    stills = [(time, np.zeros((40, 60, 3), np.uint8)) for time in film_page.changes(result)]
    assert [time for time, _ in stills] == [0.0, 2.0, 4.0]
    monkeypatch.setattr(film_page, 'LARGEST', 200_000)
    text = film_page.text(
        'a.mp4', result, about, film=bytes(200_000), stills=stills, table=b'a\n', base='a'
    )
    assert '<video' not in text and len(re.findall(r'<img data-time', text)) == 3
    assert len(text.encode()) < 200_000
    small = film_page.text(
        'a.mp4', result, about, film=bytes(90_000), stills=stills, table=b'a\n', base='a'
    )
    assert '<video' in small and '<img data-time' not in small


def test_a_page_links_the_files_of_its_own_film(written, monkeypatch, made):
    _, about = written
    result, base = made([1] * 9, [0] * 9), '2-zwei #1 "ü"'
    monkeypatch.setattr(film_page, '_TABLE', 3)
    for table in (b'a\n', b'a,b\n'):
        text = film_page.text(
            'zwei.mp4', result, about, film=None, stills=[], table=table, base=base
        )
        named = [unquote(link) for link in re.findall(r'(?:href|download)="([^":]*csv)"', text)]
        assert [html.unescape(name) for name in named] == [f'{base}.tracks.csv', f'{base}.csv']


def test_events_for_elan_boris_and_players(film, made):
    opened = Film.open(film)
    result = made([1] * 20 + [2] * 20, [0] * 10 + [1] * 10 + [2] * 20)
    parts, classes = segments.segments(result), result.classes
    document = ElementTree.fromstring(events.elan(opened, parts, classes).encode())
    slots = {
        slot.get('TIME_SLOT_ID'): int(slot.get('TIME_VALUE')) for slot in document.iter('TIME_SLOT')
    }
    found = {
        tier.get('TIER_ID'): [
            (
                slots[note.get('TIME_SLOT_REF1')],
                slots[note.get('TIME_SLOT_REF2')],
                note.findtext('ANNOTATION_VALUE'),
            )
            for note in tier.iter('ALIGNABLE_ANNOTATION')
        ]
        for tier in document.iter('TIER')
    }
    assert found == {
        'person 1': [(0, 1000, 'calm'), (1000, 2000, 'glad')],
        'person 2': [(2000, 4000, 'sad')],
    }
    project = json.loads(events.boris(opened, parts, classes))
    (observation,) = project['observations'].values()
    assert observation['events'] == [
        [0.0, 'person 1', 'calm', '', ''],
        [1.0, 'person 1', 'calm', '', ''],
        [1.0, 'person 1', 'glad', '', ''],
        [2.0, 'person 1', 'glad', '', ''],
        [2.0, 'person 2', 'sad', '', ''],
        [4.0, 'person 2', 'sad', '', ''],
    ]
    codes = {behaviour['code'] for behaviour in project['behaviors_conf'].values()}
    assert codes == set(classes)
    lines = events.webvtt(opened, parts, classes).split('\n')
    assert lines[0] == 'WEBVTT'
    assert lines[2:4] == ['00:00:00.000 --> 00:00:01.000', '<v person 1>calm']


def test_a_turned_film_without_a_matrix_is_found_and_said(
    tmp_path, people, scene, write_film, bands
):
    upright = [scene((people[0][0], 60 + k, 30)) for k in range(12)]
    plain = jobs.predict_film(
        Film.open(write_film(tmp_path / 'up.mp4', upright)), tmp_path / 'up', bands(),
        Options(overlay=False, page=False),
    )  # fmt: skip
    for turns in (1, 2, 3):
        stored = [np.ascontiguousarray(np.rot90(image, turns)) for image in upright]
        path = write_film(tmp_path / f'turned{turns}.mp4', stored)
        about = jobs.predict_film(
            Film.open(path), tmp_path / f'turned{turns}', bands(),
            Options(overlay=False, page=False),
        )  # fmt: skip
        assert f'turned by {90 * turns} degrees' in about['remarks'][0]
        assert about['counts'] == plain['counts'] and about['film']['width'] == 480
        one, other = (
            list(csv.DictReader((tmp_path / f'{stem}.csv').read_text().splitlines()))
            for stem in ('up', f'turned{turns}')
        )
        for row, same in zip(one, other, strict=True):
            assert row['label'] == same['label']
            for edge in ('left', 'top', 'right', 'bottom'):
                assert float(row[edge]) == pytest.approx(float(same[edge]), abs=2)


@pytest.mark.parametrize(
    ('ending', 'codec', 'options'),
    [
        ('avi', 'mpeg4', {}),
        ('mp4', 'libx264', {'movflags': '+faststart'}),  # the list of pictures comes first
        ('mkv', 'libx264', {}),
    ],
)
def test_a_film_cut_in_half_is_predicted_up_to_the_cut(
    tmp_path, people, scene, bands, ending, codec, options
):
    path = tmp_path / f'film.{ending}'
    rng = np.random.default_rng(0)
    with av.open(str(path), 'w', options=options) as container:
        stream = container.add_stream(codec, rate=25, width=320, height=240)
        stream.pix_fmt, stream.bit_rate = 'yuv420p', 8_000_000
        for _ in range(60):
            image = scene((people[0][0], 60, 40), width=320).copy()
            image[:, 240:] = rng.integers(0, 255, (240, 80, 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    about = jobs.predict_film(Film.open(path), tmp_path / 'film', bands(), Options(page=False))
    assert about['counts']['unreadable'] == 1 and 20 < about['counts']['with a face'] < 40
    rows = list(csv.DictReader((tmp_path / 'film.csv').read_text().splitlines()))
    assert [row['status'] for row in rows] == ['face'] * (len(rows) - 1) + ['unreadable']
    last, end = (float(row['time_s']) for row in rows[-2:])
    assert end == pytest.approx(last + 0.04, abs=1e-3)
    # Of pictures that are stored before those that they are drawn between, a few are missing.
    assert 0 <= end - (len(rows) - 1) / 25 < 0.2
    (remark,) = about['remarks']
    # An AVI file's length is reckoned from its size.
    whole = '' if ending == 'avi' else r' of 2\.\d\d s'
    assert re.fullmatch(f'readable up to {end:.2f} s{whole}: there .* damaged', remark)


def test_a_film_without_faces_is_no_error(tmp_path, scene, write_film, bands):
    path = write_film(tmp_path / 'empty.mp4', [scene()] * 8)
    about = jobs.predict_film(Film.open(path), tmp_path / 'empty', bands(), Options())
    assert about['counts']['people'] == 0 and 'no face was found' in about['remarks']
    assert (tmp_path / 'empty.html').is_file()
    tracks = (tmp_path / 'empty.tracks.csv').read_text().splitlines()
    assert len(tracks) == 1


def test_a_table_of_many_films(written):
    _, about = written
    rows = [jobs.film_row('a.mp4', about), jobs.film_row('b.mp4', None, 'b.mp4: no film')]
    table = list(csv.DictReader(jobs.films_table(rows).csv(()).splitlines()))
    assert table[0]['status'] == 'done' and table[0]['frames'] == '50' and table[0]['people'] == '2'
    assert table[1]['status'] == 'failed' and table[1]['remarks'] == 'b.mp4: no film'


def test_sequences_say_where_a_window_begins(tmp_path, film, bands):
    jobs.predict_film(
        Film.open(film), tmp_path / 'film', bands(frames=4, seconds=0.6),
        Options(overlay=False, page=False),
    )  # fmt: skip
    rows = list(csv.DictReader((tmp_path / 'film.csv').read_text().splitlines()))
    windows = [row for row in rows if row['window_start_s']]
    assert windows and all(row['p_middle'] for row in windows)
    assert results.header(('a',), sequences=True)[-1] == 'window_start_s'


@pytest.mark.parametrize('centred', [False, True])
def test_what_is_said_of_a_window_stands_at_its_middle_or_its_end(tmp_path, film, bands, centred):
    about = jobs.predict_film(
        Film.open(film), tmp_path / 'film', bands(frames=4, seconds=0.6, centred=centred),
        Options(overlay=False, page=False),
    )  # fmt: skip
    assert about['settings']['stands_at'] == ('middle' if centred else 'end')
    rows = list(csv.DictReader((tmp_path / 'film.csv').read_text().splitlines()))
    after = [
        float(row['time_s']) - float(row['window_start_s']) for row in rows if row['window_start_s']
    ]
    assert after and after == pytest.approx([14 / 25 / (1 + centred)] * len(after), abs=1e-3)
