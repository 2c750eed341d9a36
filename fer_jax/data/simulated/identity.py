"""Who is drawn: everything about a simulated person that expression, pose and light leave alone.

Lengths are in face units: one unit is half the width between the cheekbones (about 68 mm), the origin lies midway
between the pupils, x runs to the viewer's right and y down. The averages follow adult facial anthropometry.
"""

from dataclasses import dataclass

import numpy as np

from fer_jax.data.simulated import units

HAIR_STYLES = ('bald', 'buzz', 'short', 'combed', 'fringe', 'curly', 'bob', 'long', 'tied')


@dataclass(frozen=True)
class Identity:
    """One simulated person. `seed` fixes what is random about the texture (pores, strands, freckles)."""

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
    """Skin albedo RGB 0..1 for melanin 0 (lightest) .. 1 (darkest)."""
    stops = np.array([[.97, .83, .75], [.92, .74, .62], [.80, .59, .45], [.62, .43, .31], [.42, .28, .20]])
    base = np.array([np.interp(melanin * 4, range(5), stops[:, c]) for c in range(3)])
    return np.clip(base + warmth * np.array([.01, .0, -.02]), .05, 1)


def sample(rng: np.random.Generator) -> Identity:
    """Draws a person. All randomness comes from `rng`."""

    def normal(mean: float, spread: float, reach: float = 2.2) -> float:
        return float(mean + spread * np.clip(rng.normal(), -reach, reach))

    feminine = rng.random() < .55
    f = 1. if feminine else 0.
    age = float(rng.beta(1.3, 3.))
    melanin = float(np.clip(rng.beta(1.3, 2.2), 0, .95))
    skin = _skin(melanin, rng.normal())
    lips = skin * np.array([.90, .66, .66]) * (1 - .04 * f) + np.array([.06 * f, 0, .01])
    palette = np.array([[.07, .055, .05], [.16, .10, .07], [.33, .21, .13], [.58, .43, .26], [.46, .22, .12]])
    weights = np.array([.40, .26, .18, .11, .05]) if melanin < .45 else np.array([.8, .17, .03, 0, 0])
    hair = palette[rng.choice(5, p=weights)] * rng.uniform(.8, 1.2)
    grey = np.clip((age - .45) * 2.2, 0, .9) * rng.random()
    hair = hair * (1 - grey) + np.array([.62, .62, .62]) * grey
    iris = np.array([[.22, .13, .08], [.30, .20, .11], [.30, .36, .22], [.33, .45, .56]])[
        rng.choice(4, p=[.5, .26, .12, .12] if melanin < .45 else [.86, .14, 0, 0])]
    styles = (
        dict(short=.06, combed=.05, fringe=.17, curly=.12, bob=.22, long=.22, tied=.16)
        if feminine
        else dict(bald=.08, buzz=.18, short=.36, combed=.27, curly=.11)
    )
    style = str(rng.choice(list(styles), p=list(styles.values())))
    shaven = feminine or rng.random() < .55
    beard = 0. if shaven else float(rng.choice([.12, .3, .55, .95], p=[.3, .4, .2, .1]))
    return Identity(
        seed=int(rng.integers(2**31)),
        age=age,
        width=normal(1., .035), forehead=normal(.90, .03), jaw=normal(.82 - .06 * f, .045),
        jaw_y=normal(1.02, .05), chin=normal(.34 - .06 * f, .04), chin_y=normal(1.72 - .05 * f, .06),
        skull_y=normal(-1.62, .06), hairline_y=normal(-.98 - .12 * age * (1 - f), .06),
        fullness=normal(.1, .5), ear=normal(.28, .02),
        eye_x=normal(.465, .017), eye_width=normal(.220, .011), eye_up=normal(.098 + .006 * f, .011),
        eye_low=normal(.064, .008), eye_tilt=normal(.018 + .01 * f, .016), iris=normal(.100, .004),
        crease=normal(.058, .016), hood=float(rng.beta(1.2, 2.5)),
        brow_y=normal(-.345 - .02 * f, .026), brow_inner=normal(.185, .022), brow_length=normal(.56, .03),
        brow_tilt=normal(.0, .022), brow_arch=normal(.055 + .02 * f, .02),
        brow_thickness=normal(.058 - .014 * f, .010), brow_density=normal(.85, .08),
        nose_y=normal(.70, .04), nose_width=normal(.245 + .03 * melanin - .02 * f, .02),
        nose_bridge=normal(.10, .012), nose_tip=normal(1., .15),
        mouth_y=normal(1.06, .035), mouth_width=normal(.385, .025),
        lip_up=normal(.078 + .025 * melanin + .01 * f, .012),
        lip_low=normal(.108 + .03 * melanin + .01 * f, .014), bow=normal(1., .3),
        skin=tuple(map(float, skin)), lips=tuple(map(float, lips)),
        eyes=tuple(map(float, iris * rng.uniform(.8, 1.2))), hair=tuple(map(float, hair)),
        freckles=float(max(0., rng.normal(-.3, .6))) * (melanin < .4),
        shine=float(rng.uniform(.02, .16)), lashes=float(.45 + .45 * f * rng.random()),
        style=style, volume=normal(.17, .04), parting=float(rng.uniform(-.5, .5)),
        curl=float(rng.beta(1.2, 3.)), beard=beard,
        moustache=0. if shaven else float(rng.random() < .5) * max(beard, .4),
        glasses=str(rng.choice(['none', 'round', 'square'], p=[.84, .08, .08])),
        clothes=tuple(map(float, np.clip(rng.uniform(.1, .8) + rng.normal(0, .08, 3), .04, .95))),
        collar=str(rng.choice(['round', 'vee', 'shirt'])),
        rest=_rest(rng), reach=_reach(rng),
    )  # fmt: skip


def _rest(rng: np.random.Generator) -> np.ndarray:
    """The face this person makes when making none: a grumpy, sad, worried or smiling look, float32 [2, U]."""
    spread = {1: .34, 2: .26, 4: .42, 5: .22, 6: .20, 7: .40, 9: .14, 10: .22, 12: .26, 14: .30, 15: .42,
              17: .32, 20: .24, 23: .30, 24: .30, 25: .18}  # fmt: skip
    rest = {}
    for unit, scale in spread.items():
        amount = max(0., rng.normal(-.35, 1.) * scale)
        side = np.clip(amount * (1 + rng.normal(0, .3 if unit in (10, 12, 14) else .08, 2)), 0, .75)
        rest[unit] = (float(side[0]), float(side[1]))
    return units.intensities(rest)


def _reach(rng: np.random.Generator) -> np.ndarray:
    """How strongly each unit acts in this person, and on which side more, float32 [2, U]."""
    count = len(units.UNITS)
    common = np.exp(rng.normal(0, .18, (1, count)))
    side = np.exp(rng.normal(0, .07, (2, count)))
    return (common * side).astype(np.float32)


def luminance(rgb: np.ndarray) -> np.ndarray:
    """ITU-R 601 luma of RGB [..., 3] as [..., 1]."""
    return (np.asarray(rgb, np.float32) @ np.array([.299, .587, .114], np.float32))[..., None]
