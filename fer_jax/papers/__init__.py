"""Reproduction cards: what the papers print, what its arithmetic implies, what stands beside it."""

from fer_jax.papers.card import Card, Ours, listed, load, without
from fer_jax.papers.drawing import draw_card, section, text, write_page
from fer_jax.papers.finished import Finished, read

__all__ = [
    'Card',
    'Finished',
    'Ours',
    'draw_card',
    'listed',
    'load',
    'read',
    'section',
    'text',
    'without',
    'write_page',
]
