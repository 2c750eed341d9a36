"""The skin over the face's lines: bumps that move, creases that deepen, and how the skin is carried along."""

import numpy as np

from fer_jax.data.simulated.identity import Identity
from fer_jax.data.simulated.shapes import Bump, Crease, bezier
from fer_jax.data.simulated.units import INDEX


def _taper(count: int, depth: float, start: float = .25, end: float = .35) -> np.ndarray:
    t = np.linspace(0, 1, count)
    return (depth * np.clip(np.minimum(t / start, (1 - t) / end), 0, 1)).astype(np.float32)


def creases(who: Identity, a: np.ndarray, eyes, brows, lip_top, wing, drop) -> tuple:
    """The skin's lines under intensities [2, U]: nasolabial folds, crow's feet, frown, forehead, nose, dimples."""
    u = lambda unit, i: float(a[i, INDEX[unit]])  # noqa: E731
    age = who.age
    found = []

    def add(points: list, depth: float, width: float = 1., start: float = .25, end: float = .35) -> None:
        if depth > .03:
            line = bezier(points)
            found.append(Crease(line, _taper(len(line), min(depth, 1.2), start, end), width))

    for i, s in enumerate((-1, 1)):
        corner = lip_top[-1 if s > 0 else 0]
        n = who.nose_width
        # nasolabial fold: from the wing round the corner of the mouth
        fold = .10 + .45 * age**1.3 + .85 * u(12, i) + .75 * u(9, i) + .8 * u(10, i) + .25 * u(20, i)
        top = (s * (n + .035), wing[i] - .08 - .05 * u(9, i))
        out = s * (abs(corner[0]) + .16 + .05 * u(12, i))
        bulge = (s * (n + .20 + .10 * u(12, i) + .05 * u(10, i)), wing[i] + .02)
        add([top, bulge, (out, corner[1] - .12), (out - s * .03, corner[1] + .10 + .2 * drop)], fold, 1.3)
        # crow's feet and the pouch under the lower lid
        ox, oy = eyes[i].upper[-1]
        for k, angle in enumerate((-.55, -.05, .45)):
            d = np.array([s * np.cos(angle), np.sin(angle)]) * (.20 - .02 * abs(k - 1))
            start = np.array([ox + s * .06, oy + .02 + .05 * (k - 1)])
            add([start, start + .5 * d + (0, .012 * (k - 1)), start + d],
                (.18 + age) * .35 * max(0, age - .25) + (.35 + .65 * age) * u(6, i), .7)  # fmt: skip
        low = eyes[i].lower
        pouch = .12 + .45 * age + .5 * u(6, i) + .35 * u(7, i) + .2 * u(9, i)
        add([low[3] + (0, .055), low[12] + (0, .105), low[21] + (0, .05)], pouch, 1.3)
        # forehead: inner part by AU1, whole width by AU1 and 2
        for k in range(3):
            y = who.brow_y - .20 - .15 * k - .05 * u(1, i) + (.05 * who.hairline_y)
            inner_depth = u(1, i) * (.55 + .5 * age) - .12 * k
            if u(2, i) > .1:
                add([(0, y + .02), (s * .40, y - .03), (s * .72, y + .05)],
                    min(u(1, i) + .3, u(2, i) + .1) * (.45 + .6 * age) + .25 * age - .10 * k, 1., .02, .4)  # fmt: skip
            else:
                add([(0, y + .03), (s * .14, y + .0), (s * .30, y - .05)], max(inner_depth, .3 * age - .08 * k), 1., .02, .4)
        # frown between the brows, nose root
        bx, by = brows[i][0]
        add([(s * .085 - s * .02 * u(4, i), by - .10), (s * (.07 - .015 * u(4, i)), by + .02), (s * .085, by + .13)],
            .9 * u(4, i) + .25 * age + .2 * u(9, i), 1.1)
        for k in range(3):
            y = -.02 + .10 * k
            add([(s * .02, y - .02 - .02 * k), (s * .10, y), (s * .17, y + .07)], 1. * u(9, i) - .15 * (2 - k), .9, .1, .3)
        if u(9, i) > .05 and s > 0:
            add([(-.10, -.13), (0, -.10), (.10, -.13)], u(9, 0) * .8, 1.)
        # the mouth's surroundings
        dimple = u(14, i)
        add([corner + (s * .045, -.10), corner + (s * (.085), 0), corner + (s * .045, .09)], 1.15 * dimple, 1.25)
        add([corner + (s * .03, .01), corner + (s * .07, .07), corner + (s * .05, .18)],
            .75 * u(15, i) + .3 * age, 1.1)  # fmt: skip
        add([corner + (s * .09, -.05), corner + (s * .13, .06), corner + (s * .10, .20)], .6 * u(20, i), 1.1)
    chin_y = who.mouth_y + who.lip_low + .11 + drop * .95 - .05 * (u(17, 0) + u(17, 1)) / 2
    add([(-.20, chin_y + .02), (0, chin_y - .025), (.20, chin_y + .02)],
        .25 + .55 * (u(17, 0) + u(17, 1)) / 2 + .2 * age, 1.8)  # fmt: skip
    return tuple(found)


def bumps(who: Identity, a: np.ndarray, lip_top, wing, drop) -> tuple:
    """What expression adds to the relief: cheeks, brow bulges, chin boss, upper-lip folds."""
    found = []
    for i, s in enumerate((-1, 1)):
        u = lambda unit, i=i: float(a[i, INDEX[unit]])  # noqa: E731
        lift = .75 * u(12) + .55 * u(6) + .35 * u(9) + .2 * u(10)
        found += [
            Bump(s * (.60 + .02 * u(12)), .46 - .07 * lift, .19, .15, .085 * lift),
            Bump(s * .42, who.brow_y + .11 + .05 * u(4), .17, .05, .035 * u(4) + .02 * u(7)),
            Bump(s * .13, who.brow_y - .02 + .06 * u(4), .055, .07, .040 * u(4) + .035 * max(0, u(1) - u(2)) * u(4)),
            Bump(s * .36, who.brow_y - .15, .16, .06, .022 * (u(1) + u(2))),
            Bump(s * .16, wing[i] + .16, .08, .06, .030 * (u(10) + u(9))),
            Bump(s * (abs(lip_top[-1 if s > 0 else 0][0]) + .15), lip_top[-1 if s > 0 else 0][1], .06, .09,
                 .035 * u(14) + .02 * u(12) - .02 * u(26) - .05 * u(27)),
            Bump(s * .13, who.chin_y - .20 + drop, .08, .07, .035 * u(17)),
            Bump(s * .28, who.mouth_y + .10 + .5 * drop, .10, .06, .02 * (u(24) + u(23))),
        ]  # fmt: skip
    return tuple(b for b in found if abs(b.amount) > 1e-3)


def shifts(who: Identity, a: np.ndarray) -> tuple:
    """How the skin (pores, freckles, beard) is carried along: (Gaussian, dx, dy) in face units."""
    found = []
    for i, s in enumerate((-1, 1)):
        u = lambda unit, i=i: float(a[i, INDEX[unit]])  # noqa: E731
        brow = -.10 * u(1) - .07 * u(2) + .09 * u(4)
        found += [
            (Bump(s * .35, who.brow_y - .08, .30, .22, 1.), -s * .04 * u(4), brow),
            (Bump(s * .60, .5, .26, .24, 1.), s * .02 * u(12), -.08 * u(6) - .07 * u(12) - .04 * u(9)),
            (Bump(s * .48, who.mouth_y, .20, .20, 1.), s * (.07 * u(12) + .08 * u(20)), -.10 * u(12) + .07 * u(15)),
        ]  # fmt: skip
    chin = float(a[:, INDEX[17]].mean())
    found.append((Bump(0, who.chin_y - .2, .28, .18, 1.), 0., -.06 * chin))
    return tuple(f for f in found if abs(f[1]) + abs(f[2]) > 2e-3)
