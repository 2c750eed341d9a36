"""Films as they are shown: times, turns, depth, damage."""

import itertools
import threading

import av
import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.predict.films import OK, UNREADABLE, EveryTime, Film, ahead_of
from fer_jax.predict.orientation import Orientation


def gradients(count, width=64, height=48):
    """Frames whose level says their number, darker to the left and to the top."""
    x, y = np.linspace(0, 60, width), np.linspace(0, 30, height)[:, None]
    picture = (x + y + 60)[..., None].repeat(3, 2)
    return [(picture + 2 * k).astype(np.uint8) for k in range(count)]


def matrix_of(a, b, c, d):
    return np.array([[a, b, 0], [c, d, 0], [0, 0, 1 << 14]], np.int32) * (1 << 16)


@pytest.mark.parametrize('transposed', [False, True])
@pytest.mark.parametrize('signs', [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_a_display_matrix_carries_every_pixel_where_it_says(transposed, signs):
    first, second = signs
    matrix = matrix_of(0, first, second, 0) if transposed else matrix_of(first, 0, 0, second)
    stored = np.arange(3 * 5).reshape(3, 5, 1).astype(np.uint8)
    shown = Orientation.of_matrix(matrix).apply(stored).reshape(*((5, 3) if transposed else (3, 5)))
    linear = matrix[:2, :2] // (1 << 16)
    places = np.array([(p, q) for q in range(3) for p in range(5)]) @ linear
    places -= places.min(0)
    for (p, q), (x, y) in zip([(p, q) for q in range(3) for p in range(5)], places, strict=True):
        assert shown[y, x] == stored[q, p, 0]


@pytest.mark.parametrize('degrees', [0, 90, 180, 270])
def test_a_turn_is_clockwise_and_says_so(degrees):
    image = np.arange(6).reshape(2, 3, 1).astype(np.uint8)
    turn = Orientation.of_turn(degrees)
    assert (turn.apply(image).squeeze() == np.rot90(image, -degrees // 90).squeeze()).all()
    assert turn.in_words == (f'turned by {degrees} degrees clockwise' if degrees else 'as stored')


def test_mirrored_turns_are_told_apart():
    said = {Orientation(*axes).in_words for axes in itertools.product((False, True), repeat=3)}
    assert len(said) == 8
    assert 'mirrored' in said and 'turned by 90 degrees clockwise, mirrored' in said


def test_a_turned_film_is_shown_upright(tmp_path, write_film):
    shown = gradients(4)
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        matrix = matrix_of(0, signs[0], signs[1], 0)
        orientation = Orientation.of_matrix(matrix)
        undo = Orientation(
            True,
            mirror_x=orientation.mirror_y,
            mirror_y=orientation.mirror_x,
        )
        stored = [undo.apply(frame) for frame in shown]
        path = write_film(tmp_path / 'turned.mp4', stored, matrix=matrix)
        film = Film.open(path)
        assert film.has_matrix and (film.width, film.height) == (64, 48)
        for frame, wanted in zip(film.frames(), shown, strict=True):
            assert np.abs(frame.image.astype(int) - wanted).mean() < 2


def test_times_are_the_films_own(tmp_path, write_film):
    times = [0.0, 0.04, 0.5, 0.54, 1.25]
    film = Film.open(write_film(tmp_path / 'uneven.mp4', gradients(5), times=times))
    assert [frame.time for frame in film.frames()] == pytest.approx(times, abs=1e-3)
    assert [frame.index for frame in film.frames()] == list(range(5))


def test_frames_are_chosen_by_time(tmp_path, write_film):
    film = Film.open(write_film(tmp_path / 'film.mp4', gradients(50)))
    found = list(film.frames(fps=5))
    assert [round(frame.time, 3) for frame in found] == pytest.approx([k / 5 for k in range(10)])
    chooser = EveryTime(10)
    times = [0.0, 0.05, 0.11, 0.35, 0.36, 0.40]
    assert [t for t in times if chooser.takes(t)] == [0.0, 0.11, 0.35, 0.40]


def test_frames_that_are_done_are_left_out(tmp_path, write_film):
    film = Film.open(write_film(tmp_path / 'film.mp4', gradients(20)))
    whole = list(film.frames(fps=10))
    rest = list(film.frames(fps=10, skip=7))
    assert [frame.index for frame in rest] == [f.index for f in whole if f.index >= 7]
    assert (rest[0].image == next(f.image for f in whole if f.index >= 7)).all()


@pytest.mark.parametrize(
    ('codec', 'pixels', 'name'),
    [('libx264', 'yuv420p10le', 'ten.mp4'), ('ffv1', 'yuv444p10le', 'ten.mkv')],
)
def test_ten_bits_a_level_are_read(tmp_path, write_film, codec, pixels, name):
    shown = gradients(3)
    film = Film.open(write_film(tmp_path / name, shown, codec=codec, pixels=pixels))
    for frame, wanted in zip(film.frames(), shown, strict=True):
        assert np.abs(frame.image.astype(int) - wanted).mean() < 3


def test_pixels_of_other_shapes_become_square(tmp_path, write_film):
    film = Film.open(write_film(tmp_path / 'wide.mp4', gradients(2), aspect='4/3'))
    assert (film.width, film.height) == (85, 48)
    assert next(film.frames()).image.shape == (48, 85, 3)


def test_a_film_that_was_cut_off_is_read_up_to_the_cut(tmp_path, write_film):
    noise = np.random.default_rng(0).integers(0, 255, (100, 48, 64, 3), np.uint8)
    path = write_film(tmp_path / 'film.avi', list(noise), codec='mpeg4')
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    film = Film.open(path)
    frames = list(film.frames())
    assert 10 < len(frames) < 90
    assert [frame.status for frame in frames] == [OK] * (len(frames) - 1) + [UNREADABLE]
    assert frames[-1].image is None
    assert [frame.index for frame in frames] == list(range(len(frames)))


def test_a_whole_film_has_no_unreadable_frame(tmp_path, write_film):
    film = Film.open(write_film(tmp_path / 'film.avi', gradients(100), codec='mpeg4'))
    assert [frame.status for frame in film.frames()] == [OK] * 100


@pytest.mark.parametrize('name', ['long.mp4', 'long.mkv'])
def test_sound_that_is_longer_than_the_pictures_is_no_damage(tmp_path, name):
    with av.open(str(tmp_path / name), 'w') as container:
        pictures = container.add_stream('libx264', rate=25, width=64, height=48)
        pictures.pix_fmt = 'yuv420p'
        voice = container.add_stream('aac', rate=16000, layout='mono')
        for image in gradients(25):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(pictures.encode())
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), 'fltp', 'mono')
        tone.rate = 16000
        container.mux(voice.encode(tone))
        container.mux(voice.encode())
    film = Film.open(tmp_path / name)
    assert film.has_sound and [frame.status for frame in film.frames()] == [OK] * 25


@pytest.mark.parametrize(('name', 'codec', 'pixels'), [
    ('hold.mp4', 'libx264', 'yuv420p'), ('hold.gif', 'gif', 'rgb8'),
])  # fmt: skip
def test_a_last_picture_that_stands_long_is_no_damage(tmp_path, name, codec, pixels):
    with av.open(str(tmp_path / name), 'w') as container:
        stream = container.add_stream(codec, rate=25, width=64, height=48)
        stream.pix_fmt = pixels
        packets = []
        for image in gradients(25):
            picture = av.VideoFrame.from_ndarray(image, format='rgb24').reformat(format=pixels)
            packets += stream.encode(picture)
        packets += stream.encode()
        last = max(packets, key=lambda packet: packet.pts)
        last.duration = int(2 / last.time_base)
        container.mux(packets)
    film = Film.open(tmp_path / name)
    assert film.seconds > 2.5 and [frame.status for frame in film.frames()] == [OK] * 25


def test_damage_in_the_middle_leaves_rows(tmp_path, write_film):
    path = write_film(tmp_path / 'film.avi', gradients(60), codec='mpeg4')
    data = bytearray(path.read_bytes())
    # The head of a picture of MPEG-4; of one in the middle nothing is left.
    starts = [k for k in range(len(data) - 4) if data[k : k + 4] == b'\x00\x00\x01\xb6']
    start, end = starts[30], starts[31]
    data[start : end - 8] = bytes(end - 8 - start)
    path.write_bytes(data)
    frames = list(Film.open(path).frames())
    assert len(frames) in (59, 60)
    assert sum(frame.status == OK for frame in frames) >= 50
    assert [f.time for f in frames] == sorted(f.time for f in frames)


@pytest.mark.parametrize('damaged', [[20], [30], [31], [20, 31, 40]])
def test_a_damaged_packet_leaves_the_times_of_other_pictures(tmp_path, write_film, damaged):
    path = write_film(tmp_path / 'film.mp4', gradients(60))
    with av.open(str(path)) as container:
        packets = [
            (packet.pos, packet.size, float(packet.pts * packet.time_base))
            for packet in container.demux(video=0)
            if packet.size
        ]
    data = bytearray(path.read_bytes())
    for start, size, _ in (packets[k] for k in damaged):
        data[start : start + size] = bytes(size)
    path.write_bytes(data)
    frames = list(Film.open(path).frames())
    assert [frame.time for frame in frames] == pytest.approx([k / 25 for k in range(60)])
    lost = [frame.time for frame in frames if frame.status == UNREADABLE]
    assert lost == pytest.approx(sorted(packets[k][2] for k in damaged))


@pytest.mark.parametrize(
    ('name', 'content', 'said'),
    [
        ('empty.mp4', b'', 'the file is empty'),
        ('text.mp4', b'no film at all, but a text that is long enough', 'no film'),
    ],
)
def test_what_is_no_film_is_said_in_one_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        Film.open(tmp_path / name)
    assert '\n' not in str(error.value)


def test_a_missing_film_and_a_sound_file_are_said(tmp_path, write_film):
    with pytest.raises(UserError, match='gone.mp4'):
        Film.open(tmp_path / 'gone.mp4')
    with av.open(str(tmp_path / 'sound.wav'), 'w') as container:
        stream = container.add_stream('pcm_s16le', rate=8000, layout='mono')
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), 's16', 'mono')
        tone.rate = 8000
        container.mux(stream.encode(tone))
    with pytest.raises(UserError, match='no moving pictures'):
        Film.open(tmp_path / 'sound.wav')


def test_an_error_in_the_reading_thread_reaches_the_reader():
    def items():
        yield 1
        raise OSError('gone')

    found = ahead_of(items(), 2)
    assert next(found) == 1
    with pytest.raises(OSError, match='gone'):
        next(found)


def test_leaving_early_ends_the_reading_thread():
    before = threading.active_count()
    found = ahead_of((k for k in itertools.count()), 2)
    assert next(found) == 0
    found.close()
    assert threading.active_count() == before
