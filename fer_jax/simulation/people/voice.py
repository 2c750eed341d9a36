"""Simulated emotional speech: a voice source and a vocal tract, moved by emotion. Not recorded.

    speaker = voice.sample(np.random.default_rng(0))
    said = voice.speak(speaker, 'anger', 2.0, np.random.default_rng(1))
    said.sound   # int16 [32000], mono, RATE samples a second
    said.mouth   # float32 [400], how far the mouth is open, every 5 ms

Source and filter (Fant 1960): glottal pulses with jitter and shimmer, and breath noise, pass the
formants of a few vowels; fricatives stand between the syllables. Nothing is said: there are no
words. Emotion moves pitch, its range and its course, loudness, rate and voice quality in the
directions that listeners and measurements agree on (Scherer 2003; Juslin and Laukka 2003).
"""

import dataclasses

import numpy as np

RATE = 16000  # samples a second: enough for features up to 8 kHz
STEP = RATE // 200  # samples from one value of a control curve to the next, 5 ms
_FFT = 1024  # one pulse's response, 64 ms: the narrowest formant has died away by then

# How far a clip's voice goes towards its emotion's prosody, mean and deviation over clips: most
# clips show it, some hardly. 0 is neutral, 1 the table below.
VOICE_STRENGTH = (0.75, 0.30)
# What varies between utterances whatever the emotion: pitch in semitones, loudness in decibels and
# logarithm of the rate. It keeps single features of neighbouring emotions overlapping.
PITCH_NOISE, LOUD_NOISE, PACE_NOISE = 1.3, 2.0, 0.10


@dataclasses.dataclass(frozen=True)
class Prosody:
    """An emotion at full strength, against neutral.

    pitch: shift of the mean, semitones; spread: factor of the pitch's movement; loud: decibels;
    pace: factor of syllables a second; tense: -1 breathy to 1 pressed; rough: factor of jitter and
    shimmer; rise: semitones from the first to the last syllable.
    """

    pitch: float = 0.0
    spread: float = 1.0
    loud: float = 0.0
    pace: float = 1.0
    tense: float = 0.0
    rough: float = 1.0
    rise: float = -2.0


PROSODY = {
    'neutral': Prosody(),
    'anger': Prosody(4.0, 1.7, 7.0, 1.15, 0.8, 1.6, -2.0),
    'disgust': Prosody(-2.0, 1.1, -1.0, 0.80, 0.3, 2.0, -4.0),
    'fear': Prosody(6.0, 0.9, 1.0, 1.25, -0.2, 2.4, 0.5),
    'happiness': Prosody(5.0, 2.0, 4.0, 1.10, 0.3, 1.0, -0.5),
    'sadness': Prosody(-2.5, 0.5, -6.0, 0.75, -0.8, 1.4, -3.0),
    'surprise': Prosody(7.0, 2.2, 3.0, 1.00, 0.2, 1.0, 6.0),
    'calm': Prosody(-0.5, 0.6, -3.0, 0.88, -0.4, 1.0, -2.5),  # a quieter neutral
}
# Formants in hertz of an average male tract (after Peterson and Barney 1952) and their bandwidths;
# how far the mouth opens for the vowel.
_VOWELS = {
    'a': ((730, 1090, 2440, 3400), 1.0),
    'e': ((530, 1840, 2480, 3500), 0.55),
    'i': ((270, 2290, 3010, 3600), 0.25),
    'o': ((570, 840, 2410, 3300), 0.6),
    'u': ((300, 870, 2240, 3300), 0.2),
    'er': ((490, 1350, 1690, 3300), 0.4),
}
_BANDWIDTHS = np.array([70.0, 90.0, 130.0, 200.0])
_SYLLABLES_A_SECOND = 4.2
_FRICATIVES = 0.45  # of the syllables begin with one
_FULL = 1500.0  # root mean square of a neutral voice, of 32,767


@dataclasses.dataclass(frozen=True)
class Speaker:
    """One simulated voice.

    pitch: median, hertz; tract: factor of all formants (short tracts are above 1); tilt: factor of
    the frequency above which the glottal spectrum falls; jitter, shimmer: relative deviations of
    period and amplitude; breath: noise beside the pulses; pace: factor of the rate; strength: how
    strongly this person's voice shows emotion.
    """

    pitch: float
    tract: float
    tilt: float
    jitter: float
    shimmer: float
    breath: float
    pace: float
    strength: float


@dataclasses.dataclass(frozen=True)
class Utterance:
    """Sound int16 [samples] at RATE, and how far the mouth is open, float32 [values] 0..1."""

    sound: np.ndarray
    mouth: np.ndarray


def sample(rng: np.random.Generator, *, low: float | None = None) -> Speaker:
    """Draws a voice; `low` 1 is a man's register and 0 a woman's, None draws which."""
    low = float(rng.random() < 0.5) if low is None else low
    return Speaker(
        pitch=float((118 if low else 205) * 2 ** rng.normal(0, 0.18)),
        tract=float((1.0 if low else 1.15) * np.exp(rng.normal(0, 0.04))),
        tilt=float(np.exp(rng.normal(0, 0.2))),
        jitter=float(0.008 * np.exp(rng.normal(0, 0.3))),
        shimmer=float(0.05 * np.exp(rng.normal(0, 0.3))),
        breath=float(0.012 * np.exp(rng.normal(0, 0.4))),
        pace=float(np.exp(rng.normal(0, 0.08))),
        strength=float(np.clip(rng.normal(1.0, 0.2), 0.6, 1.4)),
    )


def speak(speaker: Speaker, emotion: str, seconds: float, rng: np.random.Generator) -> Utterance:
    """Speaks for `seconds`, about four syllables a second, in an emotion of PROSODY."""
    amount = speaker.strength * float(np.clip(rng.normal(*VOICE_STRENGTH), 0.05, 1.3))
    manner = _towards(PROSODY[emotion], amount)
    pitch, loud, pace = rng.normal(0, (PITCH_NOISE, LOUD_NOISE, PACE_NOISE))
    manner = dataclasses.replace(
        manner,
        pitch=manner.pitch + pitch,
        loud=manner.loud + loud,
        pace=manner.pace * float(np.exp(pace)),
    )
    count = max(2, round(seconds * RATE / STEP))
    track = _syllables(count, _SYLLABLES_A_SECOND * speaker.pace * manner.pace, rng)
    pitch = _pitch(speaker, manner, track, rng)
    voiced = _pulses(speaker, manner, track, pitch, rng)
    hiss = rng.standard_normal(count * STEP) * np.repeat(track.hiss, STEP)
    hiss = _band(hiss, 3500 * speaker.tract, 6800)
    level = np.sqrt(np.mean(voiced**2)) + 1e-9
    sound = voiced / level + 0.5 * hiss
    gain = _FULL * 10 ** (manner.loud / 20)
    samples = np.clip(np.round(sound * gain), -32767, 32767).astype(np.int16)
    return Utterance(samples, track.mouth.astype(np.float32))


def _towards(full: Prosody, amount: float) -> Prosody:
    """Returns the prosody this far between neutral and full; factors in logarithms."""
    calm = Prosody()

    def line(name: str) -> float:
        a, b = getattr(calm, name), getattr(full, name)
        return a + amount * (b - a)

    return Prosody(
        pitch=line('pitch'),
        spread=full.spread**amount,
        loud=line('loud'),
        pace=full.pace**amount,
        tense=float(np.clip(line('tense'), -1, 1)),
        rough=full.rough**amount,
        rise=line('rise'),
    )


@dataclasses.dataclass(frozen=True)
class _Track:
    """Control curves [values]: loudness 0..1, formants [values, 4], hiss, mouth, accents."""

    loud: np.ndarray
    formants: np.ndarray
    hiss: np.ndarray
    mouth: np.ndarray
    accent: np.ndarray


def _syllables(count: int, pace: float, rng: np.random.Generator) -> _Track:
    """Draws syllables until the utterance is full, with short silences around it."""
    rest = min(10, count // 6)
    loud, hiss, mouth, accent = np.zeros((4, count))
    formants = np.tile(np.array(_VOWELS['er'][0], float), (count, 1))
    at = rest
    while at < count - rest:
        length = max(12, round(200 / pace * np.exp(rng.normal(0, 0.2))))
        end = min(at + length, count - rest)
        place, opening = _VOWELS[str(rng.choice(list(_VOWELS)))]
        begin = min(at + (round(0.3 * length) if rng.random() < _FRICATIVES else 0), end)
        hiss[at:begin] = rng.uniform(0.15, 0.4)
        shape = np.sin(np.pi * (np.arange(end - begin) + 0.5) / max(end - begin, 1)) ** 0.5
        stress = rng.uniform(0.6, 1.0)
        loud[begin:end] = stress * shape
        mouth[begin:end] = opening * (0.5 + 0.5 * stress) * shape
        accent[begin:end] = rng.normal(0, 1)
        formants[at:end] = place
        at = end
    # The tract takes about 40 ms from one place to the next.
    return _Track(
        _smooth(loud, 3),
        np.stack([_smooth(formants[:, k], 8) for k in range(4)], 1),
        _smooth(hiss, 2),
        _smooth(mouth, 8),
        _smooth(accent, 8),
    )


def _smooth(curve: np.ndarray, width: int) -> np.ndarray:
    """Averages a curve over about `width` values, its ends held."""
    window = np.hanning(2 * width + 1)
    padded = np.pad(curve, width, mode='edge')
    return np.convolve(padded, window / window.sum(), mode='valid')


def _pitch(
    speaker: Speaker, manner: Prosody, track: _Track, rng: np.random.Generator
) -> np.ndarray:
    """Draws the fundamental frequency in hertz, one value every 5 ms."""
    t = np.linspace(0, 1, len(track.loud))
    wander = np.sin(2 * np.pi * (rng.uniform(0.5, 1.5) * t + rng.random()))
    movement = manner.spread * (1.4 * track.accent + 0.9 * wander)
    course = manner.rise * (t**2 - 1 / 3)  # mean 0: it does not move the mean
    semitones = manner.pitch + movement + course
    return np.clip(speaker.pitch * 2 ** (semitones / 12), 55, 620)


def _pulses(
    speaker: Speaker,
    manner: Prosody,
    track: _Track,
    pitch: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Adds up the tract's answers to all glottal pulses: the voiced sound, float64 [samples]."""
    samples = len(pitch) * STEP
    centres = (np.arange(len(pitch)) + 0.5) * STEP
    phase = np.cumsum(np.interp(np.arange(samples), centres, pitch) / RATE)
    times = np.interp(np.arange(1, int(phase[-1]) + 1), phase, np.arange(samples))
    period = RATE / np.interp(times, centres, pitch)
    times = times + rng.normal(0, speaker.jitter * manner.rough, len(times)) * period
    size = 1 + rng.normal(0, speaker.shimmer * manner.rough, len(times))
    size *= np.interp(times, centres, track.loud) * np.sqrt(period)  # equal power at any pitch
    keep = (size > 1e-3) & (times >= 0) & (times < samples)
    times, size, period = times[keep], size[keep], period[keep]
    out = np.zeros(samples + _FFT)
    frequency = np.fft.rfftfreq(_FFT, 1 / RATE)
    # Pressed voices have a spectrum that falls late, breathy ones fall early and hiss.
    corner = 500 * speaker.tilt * 2 ** (2 * manner.tense)
    source = (1 + 1j * frequency / corner) ** -1.4  # about 8 dB an octave, causal
    source *= 1j * frequency / (1j * frequency + 100)  # radiation from the lips
    breath = speaker.breath * 3 ** (-manner.tense) * frequency / (frequency + 1500)
    place = np.stack([np.interp(times, centres, track.formants[:, k]) for k in range(4)], 1)
    for first in range(0, len(times), 256):  # in pieces, for memory
        part = slice(first, first + 256)
        whole = times[part].astype(int)
        noise = rng.standard_normal((2, len(whole), len(frequency)))
        spectrum = source + breath * (noise[0] + 1j * noise[1])
        spectrum = spectrum * _tract(place[part] * speaker.tract, frequency)
        delay = (times[part] - whole)[:, None] * frequency / RATE
        answer = np.fft.irfft(spectrum * np.exp(-2j * np.pi * delay), _FFT)
        for start, wave in zip(whole, answer * size[part, None], strict=True):
            out[start : start + _FFT] += wave
    return out[:samples]


def _tract(formants: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Computes the vocal tract's response, complex [P, F], to formants [P, 4]: serial resonances.

    Each has gain 1 at 0 Hz (Klatt 1980, eq. 1 and 2).
    """
    z = np.exp(-2j * np.pi * frequency / RATE)
    response = np.ones((len(formants), len(frequency)), complex)
    for k, width in enumerate(_BANDWIDTHS):
        radius = np.exp(-np.pi * width / RATE)
        b = (2 * radius * np.cos(2 * np.pi * formants[:, k] / RATE))[:, None]
        c = -(radius**2)
        response *= (1 - b - c) / (1 - b * z - c * z**2)
    return response


def _band(sound: np.ndarray, low: float, high: float) -> np.ndarray:
    """Filters sound to the band between two frequencies in hertz, with soft edges."""
    spectrum = np.fft.rfft(sound)
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    inside = 1 / (1 + (low / np.maximum(frequency, 1)) ** 8) / (1 + (frequency / high) ** 8)
    return np.fft.irfft(spectrum * inside, len(sound))
