"""Drawn characters: flat colours, large eyes, moved by the same action units as the other faces.

The lines are those of geometry.py for a person with a character's proportions; nothing is lit.
Only the shadow at one side of head and neck is a second tone.
"""

import dataclasses

import cv2
import numpy as np

from fer_jax.simulation.people import canvas, geometry, identity
from fer_jax.simulation.people.canvas import Window
from fer_jax.simulation.people.units import UNITS

SIDE = 256
_SCALE = 66.0  # pixels a face unit
_X0, _Y0 = -SIDE / 2 / _SCALE, -1.98

Colour = tuple[int, int, int]  # RGB, 0..255


@dataclasses.dataclass(frozen=True)
class Character:
    """One character: proportions and colours.

    hair: how it falls, 'bob', 'long', 'cap', 'spikes', 'bun' or 'none'.
    """

    name: str
    who: identity.Identity
    skin: Colour
    lips: Colour
    locks: Colour
    eyes: Colour
    clothes: Colour
    wall: Colour
    hair: str


@dataclasses.dataclass(frozen=True)
class View:
    """A view of a character: the features' shift by a turned head, roll in radians, place, zoom.

    turn, shift: (x, y) in face units; gaze -1..1 to the viewer's right and down.
    """

    turn: tuple[float, float] = (0.0, 0.0)
    roll: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    gaze: tuple[float, float] = (0.0, 0.0)


def _who(**proportions: float) -> identity.Identity:
    """Makes a face with a character's proportions, at ease and equally mobile everywhere."""
    who = identity.sample(np.random.default_rng(0))
    large = {
        'eye_x': 0.45,
        'eye_width': 0.30,
        'eye_up': 0.21,
        'eye_low': 0.14,
        'eye_tilt': 0.02,
        'iris': 0.165,
        'brow_y': -0.52,
        'brow_inner': 0.16,
        'brow_length': 0.58,
        'brow_arch': 0.07,
        'brow_thickness': 0.07,
        'nose_y': 0.62,
        'nose_width': 0.17,
        'mouth_y': 1.02,
        'mouth_width': 0.40,
        'lip_up': 0.07,
        'lip_low': 0.10,
        'width': 1.0,
        'forehead': 0.95,
        'jaw': 0.76,
        'jaw_y': 0.98,
        'chin': 0.26,
        'chin_y': 1.55,
        'skull_y': -1.5,
        'fullness': 0.4,
    }
    still = np.zeros((2, len(UNITS)), np.float32)
    return dataclasses.replace(who, **(large | proportions), rest=still, reach=still + 1)


CHARACTERS = {
    character.name: character
    for character in (
        Character(
            'aia',
            _who(jaw=0.70, chin=0.20),
            (246, 208, 178),
            (206, 96, 96),
            (58, 38, 30),
            (84, 58, 36),
            (196, 68, 84),
            (214, 224, 230),
            'bob',
        ),
        Character(
            'bonnie',
            _who(eye_width=0.32, eye_up=0.24, jaw=0.74, mouth_width=0.36),
            (252, 222, 200),
            (214, 92, 110),
            (214, 142, 62),
            (62, 118, 92),
            (92, 132, 188),
            (232, 224, 206),
            'long',
        ),
        Character(
            'jules',
            _who(jaw=0.86, chin=0.36, chin_y=1.62, brow_thickness=0.10, eye_up=0.16, lip_up=0.05),
            (228, 178, 138),
            (172, 94, 84),
            (84, 54, 36),
            (70, 92, 124),
            (72, 96, 78),
            (206, 214, 206),
            'cap',
        ),
        Character(
            'malcolm',
            _who(
                jaw=0.90, chin=0.42, nose_width=0.24, brow_thickness=0.12, eye_up=0.15, lip_low=0.13
            ),
            (138, 92, 64),
            (122, 66, 60),
            (34, 26, 24),
            (58, 38, 26),
            (208, 164, 76),
            (196, 206, 220),
            'none',
        ),
        Character(
            'mery',
            _who(eye_tilt=0.06, jaw=0.72, brow_thickness=0.05, mouth_width=0.37, lip_low=0.12),
            (198, 142, 104),
            (176, 70, 78),
            (36, 30, 44),
            (66, 46, 34),
            (124, 92, 156),
            (224, 214, 222),
            'bun',
        ),
        Character(
            'ray',
            _who(jaw=0.82, chin=0.30, chin_y=1.66, nose_width=0.20, brow_length=0.50, eye_up=0.18),
            (250, 214, 186),
            (196, 108, 100),
            (182, 78, 42),
            (78, 112, 146),
            (64, 74, 96),
            (216, 222, 208),
            'spikes',
        ),
    )
}


class _Sheet:
    """The picture in the making: polygons and lines in face units, seen through a View.

    `turned` 0..1 is how far the head's turn takes what is drawn.
    """

    def __init__(self, colour: Colour, view: View):
        self.image = np.full((SIDE, SIDE, 3), colour, np.uint8)
        self.window = Window(_X0, _Y0, _SCALE, SIDE, SIDE)
        self.view = view

    def seen(self, points: np.ndarray, turned: float) -> np.ndarray:
        """Maps points of the face to where they are seen, in face units."""
        cos, sin = np.cos(self.view.roll), np.sin(self.view.roll)
        turn = np.array(self.view.turn, np.float32) * np.float32(turned)
        p = np.asarray(points, np.float32) + turn
        p = p @ np.array([[cos, sin], [-sin, cos]], np.float32)
        return p * np.float32(self.view.zoom) + np.array(self.view.shift, np.float32)

    def fill(self, points: np.ndarray, colour: Colour, turned: float = 0.0) -> None:
        """Draws a closed polygon."""
        drawn = canvas.fixed(self.window.pixels(self.seen(points, turned)))
        cv2.fillPoly(self.image, [drawn], colour, cv2.LINE_AA, canvas.BITS)

    def fill_within(
        self, around: np.ndarray, points: np.ndarray, colour: Colour, turned: float = 0.0
    ) -> None:
        """Draws the part of a closed polygon that lies within another one."""
        around, points = self.seen(around, turned), self.seen(points, turned)
        where = self.window.around(around, 0.02)
        cover = canvas.polygon(self.window, around, where)
        cover *= canvas.polygon(self.window, points, where)
        part = self.image[where].astype(np.float32)
        part += (np.array(colour, np.float32) - part) * cover[..., None]
        self.image[where] = part + 0.5

    def line(self, points: np.ndarray, colour: Colour, width: float, turned: float = 0.0) -> None:
        """Draws an open line, `width` face units wide."""
        drawn = canvas.fixed(self.window.pixels(self.seen(points, turned)))
        thick = max(1, round(width * _SCALE))
        cv2.polylines(self.image, [drawn], False, colour, thick, cv2.LINE_AA, canvas.BITS)


def draw(character: Character, actions: np.ndarray, view: View) -> np.ndarray:
    """Draws a character under intensities float32 [2, U] as uint8 [256, 256, 3], RGB."""
    shape = geometry.build(character.who, actions)
    sheet = _Sheet(character.wall, view)
    _body(sheet, character)
    sheet.fill(shape.outline, _darker(character.skin, 0.86))
    sheet.fill_within(shape.outline, shape.outline - (0.16, 0.10), character.skin)
    for eye in shape.eyes:
        _eye(sheet, character, eye)
    for brow in shape.brows:
        _brow(sheet, character, brow)
    _nose(sheet, character, shape)
    _mouth(sheet, character, shape.mouth)
    for crease in shape.creases:
        if crease.depth.mean() > 0.22:
            sheet.line(crease.points, _darker(character.skin, 0.66), 0.022, 0.6)
    _fringe(sheet, character)
    return sheet.image


def _darker(colour: Colour, factor: float) -> Colour:
    red, green, blue = (round(value * factor) for value in colour)
    return red, green, blue


def _mirrored(right: list[tuple[float, float]]) -> np.ndarray:
    return np.array([*right, *((-x, y) for x, y in right[::-1])])


def _ring(x: float, y: float, rx: float, ry: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def _body(sheet: _Sheet, character: Character) -> None:
    """Draws the hair behind the head, neck, shoulders and ears."""
    falls = {
        'bob': [(0.9, -1.3), (1.30, -0.3), (1.34, 0.9), (1.05, 1.25)],
        'long': [(0.9, -1.3), (1.32, -0.2), (1.38, 1.2), (1.25, 2.4)],
    }
    if character.hair in falls:
        sheet.fill(_mirrored(falls[character.hair]), _darker(character.locks, 0.8))
    if character.hair == 'bun':
        sheet.fill(_ring(0, -1.72, 0.42, 0.36), _darker(character.locks, 0.8))
    neck = _mirrored([(0.40, 1.1), (0.42, 2.1)])
    sheet.fill(neck, _darker(character.skin, 0.80))
    shoulders = _mirrored([(0.45, 1.86), (1.25, 2.02), (1.7, 2.5)])
    sheet.fill(shoulders, character.clothes)
    for side in (-1, 1):
        ear = _ring(side * 1.02, 0.14, 0.15, 0.24)
        sheet.fill(ear, _darker(character.skin, 0.92))


def _eye(sheet: _Sheet, character: Character, eye) -> None:
    white = np.vstack([eye.upper, eye.lower[::-1]])
    sheet.fill(white, (250, 250, 248), 0.8)
    gaze = np.array(sheet.view.gaze) * (0.09, 0.05)
    x, y = np.array(eye.centre) + gaze - (0, 0.02)
    iris = character.who.iris
    for colour, radius, at in (
        (character.eyes, iris, (x, y)),
        ((20, 16, 16), 0.52 * iris, (x, y)),
        ((255, 255, 255), 0.24 * iris, (x - 0.4 * iris, y - 0.4 * iris)),
    ):
        sheet.fill_within(white, _ring(*at, radius, radius), colour, 0.8)
    sheet.line(eye.upper, (40, 28, 26), 0.055, 0.8)
    sheet.line(eye.lower, _darker(character.skin, 0.62), 0.02, 0.8)


def _brow(sheet: _Sheet, character: Character, brow) -> None:
    half = brow.width[:, None] * (0, 0.75)
    outline = np.vstack([brow.line - half, (brow.line + half)[::-1]])
    sheet.fill(outline, _darker(character.locks, 0.9), 0.7)


def _nose(sheet: _Sheet, character: Character, shape: geometry.Geometry) -> None:
    who = character.who
    left, right = shape.wings
    w = who.nose_width
    tip = [(-w, left), (-0.5 * w, left + 0.05), (0, who.nose_y + 0.07), (0.5 * w, right + 0.05)]
    sheet.line(np.array([*tip, (w, right)]), _darker(character.skin, 0.68), 0.035, 1.0)
    side = [(0.10, 0.05), (0.13, who.nose_y - 0.1), (0.02, who.nose_y + 0.02)]
    sheet.fill(np.array(side), _darker(character.skin, 0.90), 1.0)


def _mouth(sheet: _Sheet, character: Character, mouth) -> None:
    inside = np.vstack([mouth.seam_top, mouth.seam_bottom[::-1]])
    if mouth.opening > 0.015:
        sheet.fill(inside, (92, 28, 34), 0.7)
        teeth = np.vstack([mouth.seam_top - (0, 0.1), (mouth.seam_top + (0, 0.085))[::-1]])
        sheet.fill_within(inside, teeth, (250, 248, 240), 0.7)
        tongue = _ring(0, mouth.seam_bottom[:, 1].max() + 0.02, 0.24, 0.11)
        sheet.fill_within(inside, tongue, (204, 96, 100), 0.7)
    lips = character.lips
    for top, bottom, colour in (
        (mouth.top, mouth.seam_top, _darker(lips, 0.9)),
        (mouth.seam_bottom, mouth.bottom, lips),
    ):
        sheet.fill(np.vstack([top, bottom[::-1]]), colour, 0.7)
    if mouth.opening <= 0.015:
        sheet.line(mouth.seam_top, _darker(lips, 0.5), 0.03, 0.7)


def _fringe(sheet: _Sheet, character: Character) -> None:
    """Draws the hair over the head's top."""
    crown = [(0.0, -1.72), (0.55, -1.66), (0.98, -1.30), (1.10, -0.70), (1.06, -0.20)]
    lines = {
        'bob': [(0.94, -0.35), (0.80, -0.78), (0.25, -0.92)],
        'long': [(0.92, -0.30), (0.72, -0.86), (0.10, -1.20)],
        'cap': [(0.96, -0.40), (0.82, -0.98), (0.20, -1.10)],
        'bun': [(0.95, -0.35), (0.76, -1.00), (0.05, -1.22)],
        'spikes': [(0.95, -0.40), (0.80, -1.05), (0.62, -0.85), (0.40, -1.12), (0.20, -0.88)],
    }
    if character.hair in lines:
        right = np.array([*crown, *lines[character.hair]])
        for side in (-1, 1):
            sheet.fill(right * (side, 1) + (-0.01 * side, 0), character.locks)
