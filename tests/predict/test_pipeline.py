"""A film's rows: the same wherever it was stopped, and what is made of them."""

import csv
import itertools
import types

import numpy as np
import pytest

from fer_jax.evaluation import calibration
from fer_jax.predict import agreement, pipeline, results, segments
from fer_jax.predict.detection import FaceFinder
from fer_jax.predict.films import Film, Frame
from fer_jax.predict.following import Seen
from fer_jax.predict.pipeline import Settings, Work

SETTINGS = Settings()


@pytest.fixture(scope='module')
def film(tmp_path_factory, people, scene, write_film):
    """Five seconds: one person comes, another joins and leaves, both go."""
    images = []
    for k in range(130):
        parts = []
        if 5 <= k < 125:
            parts.append((people[0][k // 40], 20 + k // 4, 30))
        if 40 <= k < 90:
            parts.append((people[1][k // 40], 300, 30 + k // 8))
        images.append(scene(*parts))
    return Film.open(write_film(tmp_path_factory.mktemp('film') / 'two.mp4', images))


def predicted(film, model, folder, settings=SETTINGS):
    work = Work(folder, 'it')
    pipeline.predict(film, model, FaceFinder(), settings, work)
    return work


class Stopped(Exception):
    pass


@pytest.mark.parametrize('seconds', [0.0, 0.6, 1.4])
def test_a_film_that_was_stopped_goes_on_to_the_same_rows(film, bands, tmp_path, seconds):
    sequences = seconds > 0  # at the first chunk's end, the second person lacks a window of 1.4 s
    options = {'frames': 4, 'seconds': seconds} if sequences else {}
    model = bands(**options)
    whole = predicted(film, model, tmp_path / 'whole').rows.read_bytes()
    everything = sum(len(clips) for clips, _ in model.seen)
    assert whole.count(b'\n') == 130 + 50  # frames, and the second face of some
    frames = set()
    first_chunk = 1 if sequences else 2  # batches
    for stops in ((0, first_chunk), (first_chunk,)):
        folder = tmp_path / f'stopped{stops}'
        for stop in stops:
            model, calls = bands(**options), itertools.count(1)
            said = model.probabilities

            def fail(clips, length, said=said, calls=calls, stop=stop):
                if next(calls) > stop:
                    raise Stopped
                return said(clips, length)

            model.probabilities = fail
            with pytest.raises(Stopped):
                predicted(film, model, folder)
            # A killed process leaves half a row, too.
            with open(folder / 'rows.csv', 'ab') as file:
                file.write(b'99,3.96,face,1,0.0')
        model = bands(**options)
        assert predicted(film, model, folder).rows.read_bytes() == whole
        frames.add(sum(len(clips) for clips, _ in model.seen))
    assert max(frames) < everything  # what was done was not done again


def test_a_finished_film_is_not_predicted_again(film, bands, tmp_path):
    predicted(film, bands(), tmp_path)
    model = bands()
    predicted(film, model, tmp_path)
    assert model.seen == []


def test_another_network_or_setting_begins_anew(film, bands, tmp_path):
    predicted(film, bands(), tmp_path)
    model = bands()
    pipeline.predict(film, model, FaceFinder(), Settings(fps=5), Work(tmp_path, 'other'))
    assert model.seen and (tmp_path / 'rows.csv').read_bytes().count(b'\n') < 80


def test_rows_say_where_there_was_no_face(film, bands, tmp_path):
    model = bands()
    result = results.read(predicted(film, model, tmp_path).rows, model.classes)
    status = np.array(results.STATUSES)[result.status]
    assert (status[result.frame < 5] == 'no face').all()
    assert (status[result.frame >= 125] == 'no face').all()
    assert (status[(result.frame >= 5) & (result.frame < 125)] == 'face').all()
    assert result.people == [1, 2]
    second = result.frame[result.track == 2]
    assert (second == np.arange(40, 90)).all()
    assert (np.diff(result.frame) >= 0).all()
    assert result.time == pytest.approx(result.frame / 25, abs=1e-3)


def test_batches_hold_what_rows_say(film, bands, tmp_path):
    model = bands()
    result = results.read(predicted(film, model, tmp_path).rows, model.classes)
    assert {len(clips) for clips, _ in model.seen} <= {1, 4, 16, 64}
    faces = result.track > 0
    assert np.isfinite(result.raw[faces]).all() and np.isnan(result.raw[~faces]).all()
    assert result.raw[faces].sum(1) == pytest.approx(1, abs=1e-5)
    # Each row's face again, cut out and classified by itself.
    own = bands()
    from fer_jax.predict import crops

    images = {frame.index: frame.image for frame in film.frames()}
    finder = FaceFinder()
    for row in np.flatnonzero(faces)[::41]:
        found = finder.find(images[result.frame[row]])
        nearest = np.abs(found.box - result.box[row]).sum(1).argmin()
        face = Seen(1, result.box[row].astype(float), found.points[nearest], 0.9)
        clip, _ = crops.clip([crops.patch(images[result.frame[row]], 0.0, face, own)], own)
        said = own.probabilities(clip[None], np.ones(1, np.int32))[0]
        assert result.raw[row] == pytest.approx(said, abs=0.03)


def test_windows_of_sequences_stand_in_the_rows_where_they_end(film, bands, tmp_path):
    model = bands(frames=4, seconds=0.6)
    result = results.read(predicted(film, model, tmp_path).rows, model.classes)
    first = np.flatnonzero((result.track == 1) & np.isfinite(result.start))
    assert result.time[first] - result.start[first] == pytest.approx(14 / 25, abs=1e-3)
    assert result.start[first[0]] == pytest.approx(5 / 25, abs=1e-3)
    assert np.diff(result.time[first]).min() > 0.25 - 0.04
    assert (np.isfinite(result.raw[:, 0]) == np.isfinite(result.start)).all()


def test_a_film_shorter_than_a_window_is_one_window(people, scene, write_film, bands, tmp_path):
    images = [scene((people[0][0], 60, 40))] * 12
    short = Film.open(write_film(tmp_path / 'short.mp4', images))
    model = bands(frames=4, seconds=2.0)
    result = results.read(predicted(short, model, tmp_path / 'work').rows, model.classes)
    assert np.isfinite(result.raw[:, 0]).tolist() == [False] * 11 + [True]
    assert result.start[-1] == 0
    (clips, _), *_ = model.seen
    assert clips.shape == (1, 4, 24, 24, 1)


@pytest.mark.parametrize('count', [63, 64, 65, 128])
def test_a_film_that_ends_with_a_chunk_is_classified_too(bands, tmp_path, monkeypatch, count):
    model = bands(frames=4, seconds=6.0)
    result = still_film(model, tmp_path, monkeypatch, [(0, count)], count)
    assert np.flatnonzero(np.isfinite(result.raw[:, 0])).tolist() == [count - 1]


def test_who_goes_before_the_first_window_is_classified_in_the_last_row(
    bands, tmp_path, monkeypatch
):
    stays = [(0, 55), (70, 127), (150, 152), (180, 248)]
    model = bands(frames=4, seconds=3.0)
    whole = still_film(model, tmp_path / 'whole', monkeypatch, stays, 250)
    said = np.isfinite(whole.raw[:, 0])
    assert np.flatnonzero(said).tolist() == [stop - 1 for _, stop in stays]
    assert whole.time[said] - whole.start[said] == pytest.approx(
        [(stop - start - 1) / 25 for start, stop in stays]
    )
    assert whole.frame.tolist() == list(range(250))


def still_film(model, folder, monkeypatch, stays, count):
    """Predicts `count` frames at 25 a second with a person from frame to frame of each stay."""
    seen = Seen(1, np.array([20.0, 20, 60, 60]), np.full((5, 2), 40.0), 0.9)
    image = np.full((80, 80, 3), 90, np.uint8)

    def frames(fps, skip):
        yield from (Frame(k, k / 25, 'ok', image) for k in range(skip, count))

    def follow(given, *rest):
        for frame in given:
            faces = [seen for start, stop in stays if start <= frame.index < stop]
            yield [(frame, faces)]

    monkeypatch.setattr(pipeline.following, 'follow', follow)
    film = types.SimpleNamespace(rate=25.0, seconds=count / 25, frames=frames)
    return results.read(predicted(film, model, folder).rows, model.classes)


def test_events_of_windows_are_not_late(tmp_path):
    calm, glad = '0.900000,0.100000', '0.100000,0.900000'
    lines = []
    for k in range(500):
        face = f'{k},{k / 25!r},face,1,0.00,0.00,50.00,50.00,0.9000,0.5000,0.0000'
        middle = k / 25 - 1.25
        if k >= 62 and k % 6 == 0:
            face += f',{k / 25 - 2.5!r},{glad if 8 <= middle < 12 else calm}'
        lines.append(face)
    (tmp_path / 'rows.csv').write_text('\n'.join(lines) + '\n')
    result = results.read(tmp_path / 'rows.csv', ('calm', 'glad'), centred=True)
    ends = [part.start for part in segments.segments(result)][1:]
    assert ends == pytest.approx([8, 12], abs=0.25)
    codes = [agreement.Code(0, 8, 'calm'), agreement.Code(8, 12, 'glad')]
    codes.append(agreement.Code(12, 20, 'calm'))
    assert agreement.compare(result, codes).rows[-1]['kappa'] > 0.9


def test_smoothing_averages_over_time_within_a_person():
    time = np.array([0, 0, 0.1, 0.1, 0.2, 0.2, 2.0])
    track = np.array([1, 2, 1, 2, 1, 2, 1], np.int32)
    values = np.array([[1, 0], [0, 1], [0, 1], [0, 1], [1, 0], [0, 1], [0.5, 0.5]], np.float32)
    out = results.smoothed(time, track, values, 0.2)
    assert out[track == 2] == pytest.approx(np.tile([0, 1], (3, 1)))
    # Weights 1 at the row, 0.5 at a tenth of a second, 0 at two.
    assert out[2] == pytest.approx([0.5, 0.5])
    assert out[0] == pytest.approx([1 / 1.5, 0.5 / 1.5])
    assert out[6] == pytest.approx([0.5, 0.5])
    assert (results.smoothed(time, track, values, 0.0) == values).all()
    values[2] = np.nan
    assert results.smoothed(time, track, values, 0.15)[2] == pytest.approx([1, 0])
    values[[0, 4]] = np.nan
    assert np.isnan(results.smoothed(time, track, values, 0.15)[0]).all()


def test_the_table_has_a_row_a_frame_and_face(film, bands, tmp_path):
    model = bands()
    result = results.read(
        predicted(film, model, tmp_path).rows, model.classes, threshold=model.threshold
    )
    results.write_csv(tmp_path / 'film.csv', result, sequences=False)
    with open(tmp_path / 'film.csv', encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(result)
    head = ['time_s', 'frame', 'track', 'status', 'left', 'top', 'right', 'bottom', 'score']
    head += ['label', 'uncertain', 'entropy']
    assert list(rows[0])[:12] == head
    assert list(rows[0])[12:] == [
        f'{kind}_{c}' for kind in ('p', 'smoothed') for c in model.classes
    ]
    without = [row for row in rows if row['status'] == 'no face']
    assert all(set(row.values()) == {row['time_s'], row['frame'], 'no face', ''} for row in without)
    for row in (row for row in rows if row['status'] == 'face'):
        said = {name: float(row[f'smoothed_{name}']) for name in model.classes}
        assert said[row['label']] == max(said.values())
        assert ('unsure' in row['uncertain'].split()) == (max(said.values()) < model.threshold)
        p = np.array(list(said.values()))
        assert float(row['entropy']) == pytest.approx(float(calibration.entropy(p)), abs=2e-3)


def test_rows_last_until_the_next_frame():
    count = 4
    blank = np.zeros((count, 4), np.float32)
    times = np.array([0.0, 0.0, 0.5, 0.7])
    result = results.FilmResult(
        ('a',), np.arange(count), times, np.zeros(count, np.int8), np.ones(count, np.int32),
        blank, *[np.zeros(count, np.float32)] * 3, np.zeros(count), blank[:, :1], blank[:, :1], 0.0,
    )  # fmt: skip
    assert result.lasts == pytest.approx([0.5, 0.5, 0.2, 0.35])
