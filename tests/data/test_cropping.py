"""Registration from the fit to the drawn frames, on records made by hand with known landmarks."""

import dataclasses

import cv2
import numpy as np
import pytest

from fer_jax.data import clips, cropping, fitted, leaks, registration
from fer_jax.data.datasets import records
from fer_jax.data.protocols import Fold
from fer_jax.errors import UserError

# A second way of finding faces cuts tighter, off centre, and all its pictures stand askew.
TIGHTER, OFF, ASKEW = 0.8, np.array([0.06, -0.04]), 6.0


def geometry(kind, **change) -> cropping.Geometry:
    given = {'frames': 2, 'sampling': 'last', 'size': 96, 'channels': 1, 'points': 5, 'margin': 1.1}
    return cropping.Geometry(registration=kind, **(given | change))


def record_of(handmade, name, poses, tight=False, known=True):
    """A stored clip whose face box is the landmarks', or one of the other way of finding faces."""
    landmarks = np.stack([handmade.posed_face(*pose) for pose in poses])
    frames = [handmade.drawn_face(points, (220, 240))[:, :, None] for points in landmarks]
    upright = [handmade.posed_face(centre, width, 0) for centre, width, _ in poses]
    box = records.Faces.from_landmarks(np.stack(upright)).box
    if tight:
        centre, half = (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]).max(1) / 2
        centre = centre + 2 * half[:, None] * OFF
        half = TIGHTER * half[:, None]
        box = np.concatenate([centre - half, centre + half], axis=1)
    record = records.cropped(frames, records.Faces(box.astype(np.float32), landmarks))
    record['clip_id'] = name
    if not known:
        record['landmarks'] = np.full_like(record['landmarks'], np.nan)
    return record


def unregistered(name, drawn, how) -> clips.ClipSet:
    """Loads as where nothing is fitted yet."""
    n, side = len(drawn), how.size
    frames = np.zeros((n, how.frames, side, side, how.channels), np.uint8)
    lengths = [
        cropping.draw(out, one, how, None)[0] for out, one in zip(frames, drawn, strict=True)
    ]
    return clips.ClipSet(
        name=name,
        classes=('anger', 'fear'),
        simulated=True,
        frames=frames,
        length=np.array(lengths, np.int32),
        label=np.arange(n, dtype=np.int32) % 2,
        subject=np.array([f'S{i}' for i in range(n)]),
        clip_id=np.array([one['clip_id'] for one in drawn]),
        split=np.full(n, ''),
        landmarks=np.stack([cropping.landmarks(one, how) for one in drawn]),
    )


def eyes_in(frame, places):
    """Centroids of the white discs on grey 60 near two places of a frame [S, S, 1]."""
    centres = []
    for x, y in np.round(places).astype(int):
        rows, columns = np.mgrid[y - 9 : y + 10, x - 9 : x + 10]
        weight = np.clip(frame[rows, columns, 0].astype(float) - 70, 0, None)
        centres.append([(columns * weight).sum(), (rows * weight).sum()] / weight.sum())
    return np.array(centres)


@pytest.fixture
def two_ways(handmade):
    """Clips of one way of finding faces, and of a tighter one, at various places and sizes."""
    rng = np.random.default_rng(0)
    poses = [(rng.uniform(105, 118, 2), rng.uniform(80, 98)) for _ in range(14)]
    wide = [record_of(handmade, f'w{i}', [(*p, 0)] * (1 + i % 3)) for i, p in enumerate(poses[:7])]
    tight = [
        record_of(handmade, f't{i}', [(*p, ASKEW)] * (1 + i % 3), tight=True)
        for i, p in enumerate(poses[7:])
    ]
    return wide, tight


@pytest.mark.parametrize('points', [5, 51])
def test_mean_shapes_recover_the_similarity_between_two_datasets(handmade, two_ways, points):
    how = geometry('mean_shape', points=points)
    both = clips.combine([unregistered(n, r, how) for n, r in zip('ab', two_ways, strict=True)])
    train = np.array([0, 2, 3, 5, 7, 8, 10, 12])
    fit = fitted.fit_registration(both, train, kind='mean_shape', points=points)
    np.testing.assert_allclose(fit.value[0], np.eye(3)[:2], atol=1e-9)
    # Pixel of the output -> in face boxes from the box's middle -> the face turned about its own
    # origin -> the other box's window -> its pixel.
    left, top, right, bottom = records.Faces.from_landmarks(handmade.FACE[None]).box[0]
    side = max(right - left, bottom - top)
    middle = np.array([left + right, top + bottom]) / 2 / side
    angle, size, margin = np.deg2rad(ASKEW), how.size, how.margin
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pixels = np.array([[0, 0], [0, 95], [95, 0], [95, 95], [47, 60]])
    in_boxes = ((pixels + 0.5) / size - 0.5) * margin
    turned = (in_boxes + middle) @ turn.T - middle
    known = ((turned - OFF) / (TIGHTER * margin) + 0.5) * size - 0.5
    assert np.abs(registration.apply(fit.value[1], pixels) - known).max() < 0.5


def test_landmarks_agree_after_the_mean_shape_registration(two_ways):
    """Eyes of both datasets, as drawn, lie within a pixel of the first dataset's mean ones."""
    how = geometry('mean_shape')
    both = clips.combine([unregistered(n, r, how) for n, r in zip('ab', two_ways, strict=True)])
    fold = Fold(np.array([0, 2, 3, 5, 7, 8, 10, 12]), np.array([1, 9]), np.array([4, 6, 11, 13]))
    fit = fitted.fit_registration(both, fold.train, kind='mean_shape', points=5)
    leaks.check_fitted(fit, fold)
    places = fitted.mean_shapes(both, fold.train, 5)[0][:2]
    apart = np.nanmax(np.abs(registration.eye_centres(both.landmarks[7:, 0]) - places))
    assert apart > 5  # before
    out = np.empty(both.frames.shape[1:], np.uint8)
    for part, drawn in enumerate(two_ways):
        for record in drawn:
            length, by_box = cropping.draw(out, record, how, fit.value[part])
            assert length == min(2, len(record['frames'])) and not by_box
            assert (out[length:] == out[length - 1]).all()
            assert np.abs(eyes_in(out[0], places) - places).max() < 1


def test_what_lies_beyond_the_picture_is_noise_and_always_the_same(two_ways):
    how = geometry('mean_shape', frames=1)
    (record, *_), fit = two_ways[1], np.array([[2.2, 0, -57], [0, 2.2, -57]])
    shape = (1, 96, 96, 1)
    first, again = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    cropping.draw(first, record, how, fit)
    cropping.draw(again, record, how, fit)
    np.testing.assert_array_equal(first, again)
    edge = first[0, :6].astype(float)
    assert abs(edge.mean() - 127.5) < 10 and edge.std() > 15
    cropping.draw(again, record | {'clip_id': 'another'}, how, fit)
    assert (first[0, :6] != again[0, :6]).mean() > 0.9


def test_the_fit_sees_its_clips_and_real_frames_only(two_ways):
    how = geometry('mean_shape')
    both = clips.combine([unregistered(n, r, how) for n, r in zip('ab', two_ways, strict=True)])
    train = np.array([0, 1, 2, 7, 9])
    for kind in cropping.FITTED:
        fit = fitted.fit_registration(both, train, kind=kind, points=51)
        assert fit.clips.tolist() == train.tolist()
        spoilt = both.landmarks.copy()
        spoilt[np.setdiff1d(np.arange(14), train)] += 40
        other = clips.ClipSet(**(vars(both) | {'landmarks': spoilt}))
        same = fitted.fit_registration(other, train, kind=kind, points=51)
        np.testing.assert_array_equal(same.value, fit.value)
        with pytest.raises(UserError, match='leak: the .* made from clips outside'):
            leaks.check_fitted(fit, Fold(train[1:], train[:0], train[:1]))
    # The mean over every frame that a clip has, none counted twice where a clip is padded.
    shapes = [both.landmarks[i, :n, 17:] for i, n in enumerate(both.length[:3])]
    expected = np.concatenate(shapes).mean(0)
    assert np.isnan(both.landmarks[0, 1]).all()
    np.testing.assert_allclose(fitted.mean_shapes(both, train, 51)[0], expected, atol=1e-4)


def test_one_dataset_maps_onto_anothers_mean_shape(two_ways):
    """AFEW onto FER2013: fitted in two runs it is what fitting both in one gives."""
    how = geometry('mean_shape')
    sets = [unregistered(n, r, how) for n, r in zip('ab', two_ways, strict=True)]
    both, everything = clips.combine(sets), np.arange(14)
    together = fitted.fit_registration(both, everything, kind='mean_shape', points=5)
    target = fitted.mean_shapes(sets[0], everything[:7], 5)[0]
    alone = fitted.fit_registration(
        sets[1], everything[:7], kind='mean_shape', points=5, target=target
    )
    np.testing.assert_allclose(alone.value[0], together.value[1], atol=1e-9)


def test_the_procrustes_template_takes_every_frame_to_one_place(handmade):
    rng = np.random.default_rng(3)
    how = geometry('procrustes', points=51)
    poses = [
        [(rng.uniform(95, 125, 2), rng.uniform(45, 70), rng.uniform(-20, 20)) for _ in range(2)]
        for _ in range(8)
    ]
    drawn = [record_of(handmade, f'c{i}', pose) for i, pose in enumerate(poses)]
    loose = unregistered('a', drawn, how)
    fit = fitted.fit_registration(loose, np.arange(5), kind='procrustes', points=51)
    eyes = slice(36 - 17, 42 - 17), slice(42 - 17, 48 - 17)
    places = np.stack([fit.value[eye].mean(0) for eye in eyes])
    assert abs(places[0, 1] - places[1, 1]) < 5 and 20 < np.ptp(places[:, 0]) < 60
    out = np.empty(loose.frames.shape[1:], np.uint8)
    for record in drawn:
        assert cropping.draw(out, record, how, fit.value) == (2, False)
        for frame in out:
            assert np.abs(eyes_in(frame, places) - places).max() < 1


@pytest.mark.parametrize('kind', ['eyes', 'procrustes', 'mean_shape'])
def test_without_landmarks_the_box_serves(handmade, kind):
    """Marked or not stored at all: drawn as without registration, and said so."""
    how, poses = geometry(kind), [((110, 108), 60, 12)] * 2
    marked = record_of(handmade, 'm', poses, known=False)
    absent = {key: value for key, value in marked.items() if key != 'landmarks'}
    fit = None
    if kind in cropping.FITTED:
        loose = unregistered('a', [marked, marked | {'clip_id': 'n'}], how)
        fit = fitted.fit_registration(loose, np.arange(2), kind=kind, points=5).value
        fit = fit[0] if kind == 'mean_shape' else fit
        assert np.isnan(fit).all()
    plain, out = np.empty((2, 2, 96, 96, 1), np.uint8)
    assert cropping.draw(plain, marked, geometry('none'), None) == (2, False)
    for record in (marked, absent):
        assert cropping.draw(out, record, how, fit) == (2, True)
        np.testing.assert_array_equal(out, plain)
    assert np.isnan(cropping.landmarks(absent, how)).all()
    said = how.in_words(fit is not None, 2, 3)
    assert said.startswith(kind) and said.endswith('2 of 3 clips by the face box: no landmarks')
    assert 'all clips' in how.in_words(fit is not None, 3, 3)
    assert 'box' not in how.in_words(fit is not None, 0, 3)


@pytest.mark.parametrize(
    'change, message',
    [
        ({'channels': 2}, 'channels is 2'),
        ({'points': 7}, 'points is 7: one of 5, 51, 68'),
        ({'sampling': 'first'}, "unknown frame sampling 'first'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        geometry('none', **change)


def test_by_box_a_walking_face_stays_in_the_middle(handmade):
    poses = [((60 + 12 * step, 110 - step), 50, 0) for step in range(12)]
    record = record_of(handmade, 'a', poses)
    assert record['shift'].any()
    drawn, length, out = {}, {}, np.empty((12, 64, 64, 1), np.uint8)
    for kind in ('none', 'box'):
        how = geometry(kind, frames=12, size=64, margin=1.2)
        drawn[kind], length[kind] = out.copy(), 0
        length[kind], boxed = cropping.draw(drawn[kind], record, how, None)
        assert length[kind] == 12 and not boxed
    where = [np.argwhere(frame[..., 0] == 255) for frame in drawn['box']]
    middles = np.array([points.mean(0) for points in where])
    assert np.ptp(middles, axis=0).max() < 3  # of 132 pixels that it walks
    # Without registration it walks through one window: it is not there at first.
    assert not (drawn['none'][0] == 255).any() and (drawn['none'][6] == 255).any()


def test_by_box_a_face_that_does_not_move_is_cut_as_without_registration(handmade):
    record = record_of(handmade, 'a', [((100, 100), 60, 0)] * 3)
    out = np.empty((2, 3, 48, 48, 1), np.uint8)
    for drawn, kind in zip(out, ('none', 'box'), strict=True):
        cropping.draw(drawn, record, geometry(kind, frames=3, size=48), None)
    np.testing.assert_array_equal(out[0], out[1])


def test_landmarks_of_a_followed_face_lie_where_the_frames_show_them(handmade):
    poses = [((60 + 12 * step, 110), 50, 0) for step in range(12)]
    record = record_of(handmade, 'a', poses)
    how = geometry('mean_shape', frames=12, size=200, margin=1.6)
    out = np.empty((12, 200, 200, 1), np.uint8)
    cropping.draw(out, record, how, None)
    points = cropping.landmarks(record, how)
    moved = points[1:, 0, 0] - points[:-1, 0, 0]
    np.testing.assert_allclose(moved, 12 * 200 / (1.6 * 50), rtol=0.15)
    seen = 0
    for frame, eyes in zip(out, registration.eye_centres(points), strict=True):
        for x, y in eyes.round().astype(int):
            if 5 < x < 194:
                assert frame[y, x, 0] > 200
                seen += 1
    assert seen


def test_a_short_clip_of_equally_spaced_frames_has_no_padding(handmade):
    record = record_of(handmade, 'a', [((90 + 5 * t, 100), 60, 0) for t in range(3)])
    out = np.empty((8, 32, 32, 1), np.uint8)
    length, _ = cropping.draw(out, record, geometry('none', frames=8, size=32), None)
    assert length == 3 and (out[3:] == out[2]).all()
    how = geometry('none', frames=8, size=32, sampling='linspace')
    length, _ = cropping.draw(out, record, how, None)
    assert length == 8 and not (out[5] == out[6]).all() and (out[6] == out[7]).all()


@pytest.mark.parametrize('channels', [1, 3])
def test_clahe_comes_before_the_size_changes(handmade, channels):
    record = record_of(handmade, 'a', [((110, 108), 60, 0)])
    how = geometry('none', frames=1, size=24, channels=channels)
    early, late, plain = np.empty((3, 1, 24, 24, channels), np.uint8)
    cropping.draw(plain, record, how, None)
    cropping.draw(early, record, dataclasses.replace(how, equalize='clahe'), None)
    op = cv2.createCLAHE(2.0, (8, 8))
    window = registration.face_window(record['box'], how.margin)
    cut = op.apply(registration.crop(record['frames'][0, ..., 0], window, window[2]))
    expected = cv2.resize(cut, (24, 24), interpolation=cv2.INTER_AREA)
    for channel in range(channels):
        late[0, ..., channel] = op.apply(plain[0, ..., channel])
        np.testing.assert_array_equal(early[0, ..., channel], expected)
    assert not (early == late).all() and not (early == plain).all()
    with pytest.raises(UserError, match="unknown data.equalize 'gamma'"):
        geometry('none', equalize='gamma')


def test_a_dataset_that_does_not_train_is_fitted_on_its_owners_training_part(two_ways):
    """'across': b's part for training chooses the epoch; what judges is never fitted on."""
    how = geometry('mean_shape')
    both = clips.combine([unregistered(n, r, how) for n, r in zip('ab', two_ways, strict=True)])
    split = np.array([''] * 7 + ['train'] * 4 + ['validation'] * 3)
    both = dataclasses.replace(both, split=split)
    fold = Fold(np.arange(7), np.arange(7, 11), np.arange(11, 14))
    seen = fitted.chosen_clips(both, fold)
    np.testing.assert_array_equal(seen, np.arange(11))
    fit = fitted.fit_registration(both, seen, kind='mean_shape', points=5)
    assert np.isfinite(fit.value).all()
    alone = fitted.fit_registration(both, fold.train, kind='mean_shape', points=5)
    assert np.isnan(alone.value[1]).all()  # as if b had no landmarks
    leaks.check_fitted(fit, fold, and_chosen=np.arange(7, 11))
    for allowed in ((), np.arange(7, 10), np.arange(11, 14)):
        with pytest.raises(UserError, match='leak: the mean shapes made from clips outside'):
            leaks.check_fitted(fit, fold, and_chosen=allowed)
    # A dataset of which some clips train is fitted on these alone.
    mixed = Fold(np.arange(8), np.arange(8, 11), np.arange(11, 14))
    np.testing.assert_array_equal(fitted.chosen_clips(both, mixed), np.arange(8))
