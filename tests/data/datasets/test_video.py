"""Films: what is written is read back, and files that are no whole films are named."""

import fractions
import math
import wave

import av
import cv2
import numpy as np
import pytest

from fer_jax.data.datasets import video
from fer_jax.errors import UserError
from fer_jax.simulation.people import movie

RATE = 16000


def moving_disc(frames=12, height=96, width=128) -> list[np.ndarray]:
    """A red disc that crosses a blue ground; uint8 [H, W, 3], RGB."""
    images = []
    for t in range(frames):
        image = np.full((height, width, 3), (20, 40, 160), np.uint8)
        cv2.circle(image, (20 + 6 * t, 48), 12, (220, 30, 30), -1)
        images.append(image)
    return images


def tone(seconds=1.0) -> np.ndarray:
    """440 Hz, int16."""
    return (9000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype(
        np.int16
    )


@pytest.fixture
def film(tmp_path):
    """Twelve frames at 12 a second, a second of sound."""
    path = tmp_path / 'film.avi'
    movie.write_movie(path, moving_disc(), 12, sound=tone(), rate=RATE)
    return path


def test_a_film_is_read_as_it_was_written(film):
    frames = video.read_video(film)
    assert len(frames) == 12 and {(f.shape, f.dtype.name) for f in frames} == {
        ((96, 128, 3), 'uint8')
    }
    for frame, wanted in zip(frames, moving_disc(), strict=True):
        assert np.abs(frame.astype(int) - wanted).mean() < 5  # what MPEG-4 takes away
    sound, rate = video.read_sound(film)
    assert rate == RATE and sound.dtype == np.int16
    np.testing.assert_array_equal(sound, tone())  # uncompressed


def test_another_decoder_sees_the_same_film(film):
    capture = cv2.VideoCapture(str(film))
    assert capture.get(cv2.CAP_PROP_FPS) == 12
    for frame in video.read_video(film):
        there, image = capture.read()
        assert there and np.abs(image[..., ::-1].astype(int) - frame).mean() < 2
    assert not capture.read()[0]


def test_the_same_film_is_the_same_bytes(film, tmp_path):
    movie.write_movie(tmp_path / 'again.avi', moving_disc(), 12, sound=tone(), rate=RATE)
    assert (tmp_path / 'again.avi').read_bytes() == film.read_bytes()


@pytest.mark.parametrize('frames', [1, 5])
def test_films_without_sound_grey_and_of_one_frame(tmp_path, frames):
    path = tmp_path / 'silent.avi'
    movie.write_movie(path, [image[..., :1] for image in moving_disc(frames)], 25)
    found = video.read_video(path)
    assert len(found) == frames and found[0].shape == (96, 128, 3)
    assert np.ptp(found[0], axis=2).max() <= 2  # grey stays grey
    sound, rate = video.read_sound(path)
    assert len(sound) == 0 and sound.dtype == np.int16 and rate == 0


def test_channels_are_averaged_at_the_native_rate(tmp_path):
    left, right = tone(0.5), np.zeros(RATE // 2, np.int16)
    with wave.open(str(tmp_path / 'two.wav'), 'wb') as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(np.stack([left, right], 1).tobytes())
    sound, rate = video.read_sound(tmp_path / 'two.wav')
    assert rate == 44100 and sound.shape == left.shape
    np.testing.assert_allclose(sound, left / 2, atol=1)
    with pytest.raises(UserError, match=r'two\.wav: unreadable video \(no pictures in it\)'):
        video.read_video(tmp_path / 'two.wav')


@pytest.mark.parametrize('share', [0.05, 0.5, 0.99])
@pytest.mark.parametrize('reader', [video.read_video, video.read_sound])
def test_a_film_cut_short_is_named(film, share, reader):
    whole = film.read_bytes()
    film.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=rf'^{film}: unreadable video \(truncated\); copy the file'):
        reader(film)


@pytest.mark.parametrize('size', [0, 2**32 - 1])
def test_a_sound_and_a_film_out_of_a_pipe_are_whole(film, tmp_path, size):
    path = tmp_path / 'tone.wav'
    movie.write_sound(path, tone(), RATE)
    for piped in (path, film):
        data = bytearray(piped.read_bytes())
        data[4:8] = size.to_bytes(4, 'little')
        if piped == path:
            data[40:44] = (2**32 - 1).to_bytes(4, 'little')
        piped.write_bytes(data)
        np.testing.assert_array_equal(video.read_sound(piped)[0], tone())
    assert len(video.read_video(film)) == 12


def test_an_mp4_cut_short_is_named(tmp_path):
    path = tmp_path / 'film.mp4'
    with av.open(str(path), 'w', options={'movflags': 'faststart'}) as file:
        stream = file.add_stream('mpeg4', rate=25, width=128, height=96)
        stream.pix_fmt = 'yuv420p'
        for image in moving_disc():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        file.mux(stream.encode())
    assert len(video.read_video(path)) == 12
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(UserError, match='truncated'):
        video.read_video(path)


@pytest.mark.parametrize(
    'content, fault', [(b'', 'empty file'), (b'no film at all\n' * 99, 'no film')]
)
def test_what_is_no_film_is_named(tmp_path, content, fault):
    path = tmp_path / 'a01.avi'
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf'{path}: unreadable video \({fault}\)'):
        video.read_video(path)


def test_a_missing_film_is_named(tmp_path):
    with pytest.raises(UserError, match='gone.avi: No such file or directory'):
        video.read_sound(tmp_path / 'gone.avi')


def mp4(path, images, rate=25, times=None, turn=None, mirrored=False, aspect=None):
    """Writes an mp4; `times` are time stamps in hundredths of a second."""
    with av.open(str(path), 'w') as file:
        stream = file.add_stream(
            'mpeg4', rate=rate, width=images[0].shape[1], height=len(images[0])
        )
        stream.pix_fmt, stream.bit_rate = 'yuv420p', 10**7
        stream.codec_context.time_base = fractions.Fraction(1, 100)
        stream.codec_context.gop_size = 4
        if aspect is not None:
            stream.sample_aspect_ratio = fractions.Fraction(aspect)
        if turn is not None:
            stream.set_display_rotation(turn, hflip=mirrored)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts = index * 100 // rate if times is None else times[index]
            frame.time_base = fractions.Fraction(1, 100)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def near(one, other):
    return one.shape == other.shape and np.abs(one.astype(int) - other).mean() < 6


@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('turn', [0, 90, 180, 270])
def test_a_films_turn_and_mirror_are_obeyed(tmp_path, turn, mirrored):
    stored = moving_disc(3)
    for image in stored:
        image[:20, :30] = (250, 250, 250)  # a corner of its own
    path = mp4(tmp_path / 'turned.mp4', stored, turn=turn, mirrored=mirrored)
    found = video.read_video(path)
    shown = [np.rot90(image, turn // 90) for image in stored]  # against the clock
    if mirrored:
        shown = [image[:, ::-1] for image in shown]
    assert all(near(*pair) for pair in zip(found, shown, strict=True))
    if not mirrored:  # OpenCV turns and does not mirror
        capture = cv2.VideoCapture(str(path))
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        assert near(capture.read()[1][..., ::-1], found[0])


def test_pixels_become_square_and_none_is_lost():
    assert video.square_pixels(720, 576, 16 / 15) == (768, 576)
    assert video.square_pixels(720, 576, 8 / 9) == (720, 648)
    for odd in (1, math.nan, math.inf, 0, -1, 10000):
        assert video.square_pixels(640, 360, odd) == (640, 360)


@pytest.mark.parametrize('turn', [0, 90])
@pytest.mark.parametrize('aspect, size', [('4/3', (128, 96)), ('1/2', (96, 192))])
def test_films_whose_pixels_are_not_square_are_widened_before_they_turn(
    tmp_path, aspect, size, turn
):
    shown = [cv2.resize(image, size) for image in moving_disc(3)]
    stored = [cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA) for image in shown]
    path = mp4(tmp_path / 'squeezed.mp4', stored, turn=turn, aspect=aspect)
    wanted = [np.rot90(image, turn // 90) for image in shown]
    assert all(near(*pair) for pair in zip(video.read_video(path), wanted, strict=True))


def test_a_part_of_a_film_and_of_its_sound(film, tmp_path):
    whole, (sound, rate) = video.read_video(film), video.read_sound(film)
    part = video.read_video(film, start=0.25, end=0.5)
    assert len(part) == 3  # shown at 3/12, 4/12 and 5/12
    for one, other in zip(part, whole[3:6], strict=True):
        np.testing.assert_array_equal(one, other)
    heard, _ = video.read_sound(film, start=0.25, end=0.5)
    np.testing.assert_array_equal(heard, sound[rate // 4 : rate // 2])
    with pytest.raises(UserError, match='film.avi: no frame between 7 and 9 seconds'):
        video.read_video(film, start=7, end=9)
    path = mp4(tmp_path / 'key.mp4', moving_disc(12))  # three key frames
    late = video.read_video(path, start=0.2, end=0.33)
    assert len(late) == 4
    for one, other in zip(late, video.read_video(path)[5:9], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('late', [1.0, 0.0, -0.5])
def test_sound_that_begins_with_another_picture_is_cut_by_the_pictures_time(tmp_path, late):
    path = tmp_path / 'late.mkv'
    with av.open(str(path), 'w') as file:
        pictures = file.add_stream('mpeg4', rate=12, width=128, height=96)
        pictures.pix_fmt = 'yuv420p'
        voice = file.add_stream('pcm_s16le', rate=RATE, layout='mono')
        first = max(0.0, -late)
        for index, image in enumerate(moving_disc(24)):
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = index + round(12 * first), fractions.Fraction(1, 12)
            file.mux(pictures.encode(frame))
        heard = av.AudioFrame.from_ndarray(tone()[None], format='s16', layout='mono')
        heard.rate, heard.time_base = RATE, fractions.Fraction(1, RATE)
        heard.pts = round((first + late) * RATE)
        file.mux(voice.encode(heard))
        file.mux(pictures.encode())
        file.mux(voice.encode())
    assert len(video.read_video(path, start=0, end=0.25)) == 3
    shown = np.concatenate([np.zeros(RATE, np.int16), tone(), np.zeros(RATE, np.int16)])
    shown = shown[round((1 - late) * RATE) :]  # from the first picture on
    whole, _ = video.read_sound(path)
    np.testing.assert_array_equal(whole, shown[: round((1 + late) * RATE)])
    part, _ = video.read_sound(path, start=0.25, end=1.25)
    np.testing.assert_array_equal(part, shown[RATE // 4 : 5 * RATE // 4][: len(whole) - RATE // 4])


def test_a_part_after_a_sounds_end_is_named(tmp_path):
    path = tmp_path / 'tone.wav'
    movie.write_sound(path, tone(), RATE)
    assert len(video.read_sound(path, start=0.5, end=101)[0]) == RATE // 2
    with pytest.raises(UserError, match='tone.wav: no sound between 100 and 101 seconds; correct'):
        video.read_sound(path, start=100, end=101)


def test_uneven_time_stamps_give_frames_at_even_times(tmp_path):
    images = moving_disc(6)
    even = mp4(tmp_path / 'even.mp4', images, times=[0, 4, 8, 12, 16, 20])
    assert len(video.read_video(even)) == 6
    jitter = mp4(tmp_path / 'jitter.mp4', images, times=[0, 4, 9, 12, 16, 20])
    assert len(video.read_video(jitter)) == 6
    paused = video.read_video(mp4(tmp_path / 'paused.mp4', images, times=[0, 4, 8, 20, 24, 28]))
    order = [0, 1, 2, 2, 2, 3, 4, 5]  # the third is shown for twelve hundredths
    assert len(paused) == 8
    assert all(near(frame, images[k]) for frame, k in zip(paused, order, strict=True))


def test_frames_without_times_count_from_the_first_picture(film, monkeypatch):
    def without_times(*given):
        for frame in decoded(*given):
            frame.pts = None
            yield frame

    decoded = video._decoded
    monkeypatch.setattr(video, '_decoded', without_times)
    monkeypatch.setattr(video, '_origin', lambda _stream: 5.0)
    assert len(video.read_video(film)) == 12
    assert len(video.read_video(film, end=0.5)) == 6


def test_of_a_damaged_film_the_readable_frames_are_kept(film):
    whole = video.read_video(film)
    data = film.read_bytes()
    film.write_bytes(data[: 6 * len(data) // 10])
    damage = []
    kept = video.read_video(film, damage=damage)
    assert 1 < len(kept) < 12
    for one, other in zip(kept, whole, strict=False):
        np.testing.assert_array_equal(one, other)
    assert damage == [f'{film}: truncated; {len(kept)} of 12 frames are kept']
    with pytest.raises(UserError, match='truncated'):
        video.read_video(film)


def test_of_a_damaged_sound_what_comes_before_the_damage_is_kept(tmp_path):
    path = tmp_path / 'voice.mp3'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mp3', rate=RATE)
        frame = av.AudioFrame.from_ndarray(tone(4.0)[None], format='s16', layout='mono')
        frame.rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = b'\xff\xfb\x00\x00' * 750
    path.write_bytes(data)
    kept, rate = video.read_sound(path, damage=[])
    assert rate == RATE and 1.5 * RATE < len(kept) < 2.5 * RATE
    with pytest.raises(UserError, match='voice.mp3: unreadable video'):
        video.read_sound(path)


def test_a_clip_that_would_not_fit_into_memory_is_refused(film, monkeypatch):
    monkeypatch.setattr(video, '_MOST_BYTES', 7 * 96 * 128 * 3)
    with pytest.raises(UserError, match=r'film.avi: 1 seconds of 128x96 .* start_s and end_s'):
        video.read_video(film)
    assert len(video.read_video(film, end=0.4)) == 5


def test_a_film_that_says_it_is_far_too_long_is_refused_before_it_is_decoded(film, monkeypatch):
    decoded = []
    kept = video._decoded
    monkeypatch.setattr(video, '_decoded', lambda *given: decoded.append(1) or kept(*given))
    monkeypatch.setattr(video, '_MOST_BYTES', 5 * 96 * 128 * 3)
    with pytest.raises(UserError, match=r'film.avi: 1 seconds of 128x96 .* start_s and end_s'):
        video.read_video(film)
    assert not decoded
    assert len(video.read_video(film, start=0.5, end=0.9)) == 5 and decoded


def test_a_matroska_file_that_is_cut_off_is_named(tmp_path):
    path = tmp_path / 'film.mkv'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=12)
        stream.width, stream.height, stream.pix_fmt = 128, 96, 'yuv420p'
        for image in moving_disc():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    assert len(video.read_video(path)) == 12
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(UserError, match='film.mkv: unreadable video .truncated'):
        video.read_video(path)


def test_a_text_that_names_another_film_is_no_film(film, tmp_path):
    path = tmp_path / 'text.avi'
    path.write_text(f"ffconcat version 1.0\nfile '{film.name}'\n")
    with pytest.raises(UserError, match='text.avi: unreadable video'):
        video.read_video(path)
    with pytest.raises(UserError, match='text.avi: unreadable video'):
        video.read_sound(path)
