"""Simulated voices: resonances where they belong, and emotion in pitch, loudness and timbre."""

import numpy as np
import pytest
from scipy import signal

from fer_jax.simulation.people import voice


def pitch_of(sound: np.ndarray) -> float:
    """Median fundamental frequency in hertz, by the normalised difference function of YIN.

    An estimator of its own: it sees the sound only (de Cheveigne and Kawahara 2002, steps 1 to 4).
    """
    window, longest = 800, 290
    found = []
    for start in range(0, len(sound) - window - longest, 800):
        piece = sound[start : start + window + longest].astype(float)
        if piece.std() < 300:
            continue
        lagged = np.lib.stride_tricks.sliding_window_view(piece, window)
        difference = ((lagged[1:] - lagged[0]) ** 2).sum(1)
        lags = np.arange(1, len(difference) + 1)
        score = difference * lags / np.cumsum(difference)
        low = np.flatnonzero(score[24:] < 0.2)
        if len(low):
            k = 24 + low[0]
            while k + 1 < len(score) and score[k + 1] < score[k]:
                k += 1
            found.append(voice.RATE / lags[k])
    return float(np.median(found))


def decibels(sound: np.ndarray) -> float:
    return 20 * float(np.log10(np.sqrt(np.mean(sound.astype(float) ** 2))))


def brightness(sound: np.ndarray) -> float:
    """Share of the power from 1.5 to 4 kHz, in decibels."""
    frequency, power = signal.welch(sound.astype(float), voice.RATE, nperseg=1024)
    return 10 * float(np.log10(power[(frequency > 1500) & (frequency < 4000)].sum() / power.sum()))


@pytest.fixture(scope='module')
def measured():
    """Emotion -> means over eight speakers: pitch against their own in semitones, dB, brightness.

    Utterances of two seconds; how strongly each shows its emotion varies, as in a release.
    """
    table = {}
    for emotion in voice.PROSODY:
        rows = []
        for k in range(8):
            speaker = voice.sample(np.random.default_rng([k, 1]), low=k % 2)
            said = voice.speak(speaker, emotion, 2.0, np.random.default_rng([k, 2]))
            semitones = 12 * np.log2(pitch_of(said.sound) / speaker.pitch)
            rows.append((semitones, decibels(said.sound), brightness(said.sound)))
        table[emotion] = dict(zip(('pitch', 'loud', 'bright'), np.mean(rows, 0), strict=True))
    return table


def test_pitch_follows_emotion(measured):
    pitch = {emotion: row['pitch'] for emotion, row in measured.items()}
    for high in ('anger', 'fear', 'happiness', 'surprise'):
        assert pitch[high] > pitch['neutral'] + 1.5
    for low in ('sadness', 'disgust'):
        assert pitch[low] < pitch['neutral'] - 0.7


def test_loudness_follows_emotion(measured):
    loud = {emotion: row['loud'] for emotion, row in measured.items()}
    assert loud['anger'] > loud['neutral'] + 3
    assert loud['happiness'] > loud['neutral'] + 1.5
    assert loud['sadness'] < loud['neutral'] - 3
    assert max(loud, key=loud.get) == 'anger' and min(loud, key=loud.get) == 'sadness'


def test_a_pressed_voice_is_brighter_than_a_breathy_one(measured):
    assert measured['anger']['bright'] > measured['neutral']['bright'] + 1
    assert measured['sadness']['bright'] < measured['anger']['bright'] - 3


def test_emotion_alone_does_not_decide():
    # Anger and fear of many speakers overlap in pitch: the voice carries some of it, not all.
    pitches = {
        emotion: [
            pitch_of(voice.speak(voice.sample(rng), emotion, 1.5, rng).sound)
            for rng in map(np.random.default_rng, range(10))
        ]
        for emotion in ('anger', 'neutral')
    }
    assert min(pitches['anger']) < max(pitches['neutral'])


def test_an_utterance_is_a_function_of_its_seed():
    speaker = voice.sample(np.random.default_rng(3))
    one, two, other = (
        voice.speak(speaker, 'fear', 1.3, np.random.default_rng(seed)) for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(one.sound, two.sound)
    assert not np.array_equal(one.sound, other.sound)
    assert one.sound.shape == (round(1.3 * voice.RATE),) and one.sound.dtype == np.int16
    assert one.mouth.shape == (len(one.sound) // voice.STEP,)
    assert 0 <= one.mouth.min() and 0.1 < one.mouth.max() <= 1
    # The mouth opens where the voice is loud.
    power = (one.sound.astype(float).reshape(-1, voice.STEP) ** 2).mean(1)
    assert np.corrcoef(np.sqrt(power), one.mouth)[0, 1] > 0.5


def test_short_utterances_exist():
    speaker = voice.sample(np.random.default_rng(0))
    for seconds in (0.1, 0.4):
        said = voice.speak(speaker, 'neutral', seconds, np.random.default_rng(0))
        assert np.isfinite(said.mouth).all() and np.abs(said.sound).max() > 0


def test_registers_differ_by_most_of_an_octave():
    rngs = [np.random.default_rng(k) for k in range(60)]
    women = np.median([voice.sample(rng, low=0).pitch for rng in rngs])
    men = np.median([voice.sample(rng, low=1).pitch for rng in rngs])
    assert 7 < 12 * np.log2(women / men) < 12


def test_the_tract_resonates_at_its_formants():
    formants = np.array([[730.0, 1090.0, 2440.0, 3400.0]])
    frequency = np.arange(0, 8000, 5.0)
    response = np.abs(voice._tract(formants, frequency)[0])
    peaks, _ = signal.find_peaks(response)
    np.testing.assert_allclose(frequency[peaks], formants[0], atol=40)
    # Against a filter built from the same poles by another library.
    poles = np.exp((-np.pi * voice._BANDWIDTHS + 2j * np.pi * formants[0]) / voice.RATE)
    _, wanted = signal.freqz_zpk([], np.r_[poles, poles.conj()], 1, worN=frequency, fs=voice.RATE)
    np.testing.assert_allclose(response, np.abs(wanted / wanted[0]), rtol=1e-6)
