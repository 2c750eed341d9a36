"""A simulated person: everything about it that expression, pose and light leave alone.

Lengths are in face units: one unit is half the width between the cheekbones (about 68 mm), the
origin lies midway between the pupils, x runs to the viewer's right and y down. The averages follow
adult facial anthropometry.
"""

import dataclasses

import numpy as np

from fer_jax.simulation.people import units

_HER_STYLES = {
    'short': 0.06,
    'combed': 0.05,
    'fringe': 0.17,
    'curly': 0.12,
    'bob': 0.22,
    'long': 0.22,
    'tied': 0.16,
}
_HIS_STYLES = {'bald': 0.08, 'buzz': 0.18, 'short': 0.36, 'combed': 0.27, 'curly': 0.11}


@dataclasses.dataclass(frozen=True)
class Identity:
    """One simulated person.

    `seed` fixes what is random about the texture (pores, strands, freckles).
    """

    seed: int
    age: float  # 0 young adult .. 1 old
    # head
    width: float  # half width at the cheekbones
    forehead: float  # half width at the forehead
    jaw: float  # half width at the jaw's angle
    jaw_y: float
    chin: float  # half width of the chin's flat part
    chin_y: float
    skull_y: float
    hairline_y: float
    fullness: float  # of the cheeks, -1 hollow .. 1 full
    ear: float
    # features
    eye_x: float
    eye_width: float  # half width
    eye_up: float  # opening above the line between the corners
    eye_low: float
    eye_tilt: float
    iris: float
    crease: float  # height of the upper lid's crease over the lid
    hood: float  # 0 open crease .. 1 hooded
    brow_y: float
    brow_inner: float
    brow_length: float
    brow_tilt: float
    brow_arch: float
    brow_thickness: float
    brow_density: float
    nose_y: float  # base of the nose
    nose_width: float
    nose_bridge: float
    nose_tip: float
    mouth_y: float
    mouth_width: float
    lip_up: float
    lip_low: float
    bow: float  # depth of the upper lip's bow
    # surface
    skin: tuple[float, float, float]
    lips: tuple[float, float, float]
    eyes: tuple[float, float, float]
    hair: tuple[float, float, float]
    freckles: float
    shine: float
    lashes: float
    # hair and glasses
    style: str
    volume: float
    parting: float
    curl: float
    beard: float  # 0 none, up to .35 stubble, 1 full
    moustache: float
    glasses: str  # 'none' | 'round' | 'square'
    clothes: tuple[float, float, float]
    collar: str  # 'round' | 'vee' | 'shirt'
    # how this person's face looks and moves
    rest: np.ndarray  # float32 [2, U], the action units this person wears at rest
    reach: np.ndarray  # float32 [2, U], how far each unit goes in this person (1 is average)


def _skin(melanin: float, warmth: float) -> np.ndarray:
    """Computes skin albedo RGB 0..1 for melanin 0 (lightest) .. 1 (darkest)."""
    stops = np.array(
        [
            [0.97, 0.83, 0.75],
            [0.92, 0.74, 0.62],
            [0.80, 0.59, 0.45],
            [0.62, 0.43, 0.31],
            [0.42, 0.28, 0.20],
        ]
    )
    base = np.array([np.interp(melanin * 4, range(5), stops[:, c]) for c in range(3)])
    return np.clip(base + warmth * np.array([0.01, 0.0, -0.02]), 0.05, 1)


def _colour(rgb: np.ndarray) -> tuple[float, float, float]:
    """Converts RGB [3] to plain numbers."""
    red, green, blue = map(float, rgb)
    return red, green, blue


def sample(rng: np.random.Generator) -> Identity:
    """Draws a person. All randomness comes from `rng`."""

    def normal(mean: float, spread: float, reach: float = 2.2) -> float:
        return float(mean + spread * np.clip(rng.normal(), -reach, reach))

    feminine = rng.random() < 0.55
    f = 1.0 if feminine else 0.0
    age = float(rng.beta(1.3, 3.0))
    melanin = float(np.clip(rng.beta(1.3, 2.2), 0, 0.95))
    skin = _skin(melanin, rng.normal())
    lips = skin * np.array([0.90, 0.66, 0.66]) * (1 - 0.04 * f) + np.array([0.06 * f, 0, 0.01])
    palette = np.array(
        [
            [0.07, 0.055, 0.05],
            [0.16, 0.10, 0.07],
            [0.33, 0.21, 0.13],
            [0.58, 0.43, 0.26],
            [0.46, 0.22, 0.12],
        ]
    )
    weights = (
        np.array([0.40, 0.26, 0.18, 0.11, 0.05])
        if melanin < 0.45
        else np.array([0.8, 0.17, 0.03, 0, 0])
    )
    hair = palette[rng.choice(5, p=weights)] * rng.uniform(0.8, 1.2)
    grey = np.clip((age - 0.45) * 2.2, 0, 0.9) * rng.random()
    hair = hair * (1 - grey) + np.array([0.62, 0.62, 0.62]) * grey
    iris = np.array(
        [[0.22, 0.13, 0.08], [0.30, 0.20, 0.11], [0.30, 0.36, 0.22], [0.33, 0.45, 0.56]]
    )[rng.choice(4, p=[0.5, 0.26, 0.12, 0.12] if melanin < 0.45 else [0.86, 0.14, 0, 0])]
    styles = _HER_STYLES if feminine else _HIS_STYLES
    style = str(rng.choice(list(styles), p=list(styles.values())))
    shaven = feminine or rng.random() < 0.55
    beard = 0.0 if shaven else float(rng.choice([0.12, 0.3, 0.55, 0.95], p=[0.3, 0.4, 0.2, 0.1]))
    return Identity(
        seed=int(rng.integers(2**31)),
        age=age,
        width=normal(1.0, 0.035),
        forehead=normal(0.90, 0.03),
        jaw=normal(0.82 - 0.06 * f, 0.045),
        jaw_y=normal(1.02, 0.05),
        chin=normal(0.34 - 0.06 * f, 0.04),
        chin_y=normal(1.72 - 0.05 * f, 0.06),
        skull_y=normal(-1.62, 0.06),
        hairline_y=normal(-0.98 - 0.12 * age * (1 - f), 0.06),
        fullness=normal(0.1, 0.5),
        ear=normal(0.28, 0.02),
        eye_x=normal(0.465, 0.017),
        eye_width=normal(0.220, 0.011),
        eye_up=normal(0.098 + 0.006 * f, 0.011),
        eye_low=normal(0.064, 0.008),
        eye_tilt=normal(0.018 + 0.01 * f, 0.016),
        iris=normal(0.100, 0.004),
        crease=normal(0.058, 0.016),
        hood=float(rng.beta(1.2, 2.5)),
        brow_y=normal(-0.345 - 0.02 * f, 0.026),
        brow_inner=normal(0.185, 0.022),
        brow_length=normal(0.56, 0.03),
        brow_tilt=normal(0.0, 0.022),
        brow_arch=normal(0.055 + 0.02 * f, 0.02),
        brow_thickness=normal(0.058 - 0.014 * f, 0.010),
        brow_density=normal(0.85, 0.08),
        nose_y=normal(0.70, 0.04),
        nose_width=normal(0.245 + 0.03 * melanin - 0.02 * f, 0.02),
        nose_bridge=normal(0.10, 0.012),
        nose_tip=normal(1.0, 0.15),
        mouth_y=normal(1.06, 0.035),
        mouth_width=normal(0.385, 0.025),
        lip_up=normal(0.078 + 0.025 * melanin + 0.01 * f, 0.012),
        lip_low=normal(0.108 + 0.03 * melanin + 0.01 * f, 0.014),
        bow=normal(1.0, 0.3),
        skin=_colour(skin),
        lips=_colour(lips),
        eyes=_colour(iris * rng.uniform(0.8, 1.2)),
        hair=_colour(hair),
        freckles=float(max(0.0, rng.normal(-0.3, 0.6))) * (melanin < 0.4),
        shine=float(rng.uniform(0.02, 0.16)),
        lashes=float(0.45 + 0.45 * f * rng.random()),
        style=style,
        volume=normal(0.17, 0.04),
        parting=float(rng.uniform(-0.5, 0.5)),
        curl=float(rng.beta(1.2, 3.0)),
        beard=beard,
        moustache=0.0 if shaven else float(rng.random() < 0.5) * max(beard, 0.4),
        glasses=str(rng.choice(['none', 'round', 'square'], p=[0.84, 0.08, 0.08])),
        clothes=_colour(np.clip(rng.uniform(0.1, 0.8) + rng.normal(0, 0.08, 3), 0.04, 0.95)),
        collar=str(rng.choice(['round', 'vee', 'shirt'])),
        rest=_rest(rng),
        reach=_reach(rng),
    )


def _rest(rng: np.random.Generator) -> np.ndarray:
    """Draws a person's face at rest, float32 [2, U]: grumpy, sad or smiling."""
    spread = {
        1: 0.34,
        2: 0.26,
        4: 0.42,
        5: 0.22,
        6: 0.20,
        7: 0.40,
        9: 0.14,
        10: 0.22,
        12: 0.26,
        14: 0.30,
        15: 0.42,
        17: 0.32,
        20: 0.24,
        23: 0.30,
        24: 0.30,
        25: 0.18,
    }
    rest = {}
    for unit, scale in spread.items():
        amount = max(0.0, rng.normal(-0.25, 1.05) * scale)
        side = np.clip(
            amount * (1 + rng.normal(0, 0.3 if unit in (10, 12, 14) else 0.08, 2)), 0, 0.75
        )
        rest[unit] = (float(side[0]), float(side[1]))
    return units.intensities(rest)


def _reach(rng: np.random.Generator) -> np.ndarray:
    """Draws how strongly each unit acts in a person, and on which side more, float32 [2, U]."""
    count = len(units.UNITS)
    common = np.exp(rng.normal(0, 0.18, (1, count)))
    side = np.exp(rng.normal(0, 0.07, (2, count)))
    return (common * side).astype(np.float32)


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Computes the ITU-R 601 luma of RGB [..., 3] as [..., 1]."""
    return (np.asarray(rgb, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
