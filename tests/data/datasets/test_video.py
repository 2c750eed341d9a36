"""Films: what is written is read back, and files that are no whole films are named."""

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
