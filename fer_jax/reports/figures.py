"""Draws figures and puts them on a page: one style, SVG, colours that follow the page's theme.

Figures are drawn in the light theme. A file keeps those colours on a white card; on a page each is
replaced by the CSS variable of the same role, so that one drawing is legible in light and dark.
"""

import contextlib
import dataclasses
import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

# Roles and their light colours; page.css gives the dark ones. The named hues are Okabe and Ito's,
# which people of every colour vision tell apart.
COLOURS = {
    'ink': '#20242a',
    'muted': '#666e79',
    'grid': '#e1e4e8',
    'card': '#fffffe',
    'fill': '#005f95',
    'on-fill': '#fefefe',
    'blue': '#0072b2',
    'vermillion': '#d55e00',
    'green': '#009e73',
    'orange': '#e69f00',
    'purple': '#cc79a7',
    'sky': '#56b4e9',
    'black': '#000001',
    'stone': '#999999',
}
SERIES = ('blue', 'vermillion', 'green', 'purple', 'orange', 'sky', 'black', 'stone')

STYLE: 'dict[RcKeyType, Any]' = {
    'svg.fonttype': 'none',  # text stays text: selectable, and set in the page's own face
    'svg.hashsalt': 'fer_jax',  # the same run gives the same bytes
    'font.size': 9,
    'axes.titlesize': 10,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.titlepad': 8,
    'axes.labelsize': 9,
    'axes.labelcolor': COLOURS['muted'],
    'axes.edgecolor': COLOURS['muted'],
    'axes.linewidth': 0.7,
    'axes.facecolor': 'none',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': COLOURS['grid'],
    'grid.linewidth': 0.7,
    'text.color': COLOURS['ink'],
    'xtick.color': COLOURS['muted'],
    'ytick.color': COLOURS['muted'],
    'xtick.major.size': 0,
    'ytick.major.size': 0,
    'legend.frameon': False,
    'legend.fontsize': 8.5,
    'legend.handlelength': 1.6,
    'lines.linewidth': 1.6,
    'lines.solid_capstyle': 'round',
    'figure.facecolor': COLOURS['card'],
}


# What else may be installed and holds scripts that Matplotlib's own font lacks.
_FURTHER_FONTS = (
    *('Noto Sans CJK SC', 'Noto Sans CJK JP', 'Noto Sans', 'WenQuanYi Zen Hei', 'PingFang SC'),
    *('Hiragino Sans', 'Microsoft YaHei', 'Yu Gothic', 'Malgun Gothic', 'Arial Unicode MS'),
)


@dataclasses.dataclass(frozen=True)
class Drawing:
    """One figure: its name (of its files), alternative text, caption, SVG, and its data as CSV."""

    name: str
    alt: str
    caption: str
    svg: str
    csv: str


@contextlib.contextmanager
def styled(style: 'Mapping[RcKeyType, Any]', *, pixels: bool = False) -> Iterator[None]:
    """Sets Matplotlib to a style of ours, whatever a user's matplotlibrc says, for any script.

    Class names may be of a script that Matplotlib's own font lacks. Text of an SVG is set by the
    browser; with `pixels` another font that is installed helps out, or there are boxes.
    """
    import matplotlib
    from matplotlib import font_manager

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings('ignore', r'Glyph \d+ .* missing from font', UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(style)
        if pixels:
            installed = set(font_manager.get_font_names())
            further = [name for name in _FURTHER_FONTS if name in installed]
            matplotlib.rcParams['font.family'] = ['DejaVu Sans', *further]
        yield


def draw(
    paint: Callable[['Figure'], None], *, size: tuple[float, float], stamps: Sequence[str] = ()
) -> str:
    """Calls `paint` with an empty figure of `size` inches and returns its SVG, stamped.

    Sizes are chosen so that text stays legible when a figure fills a phone's width.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with styled(STYLE):
        layout = ConstrainedLayoutEngine()
        figure = Figure(figsize=size, layout=layout)
        FigureCanvasSVG(figure)
        paint(figure)
        if stamps:
            room = 0.22 / size[1]
            layout.set(rect=(0, 0, 1, 1 - room))
            figure.text(
                0.995, 0.99, ' · '.join(stamps), ha='right', va='top', fontsize=7.5, weight='bold',
                color=COLOURS['vermillion'],
            )  # fmt: skip
        text = io.StringIO()
        figure.savefig(text, format='svg', metadata={'Date': None, 'Creator': None})
    return text.getvalue()


def inline(drawing: Drawing) -> str:
    """Returns the drawing's SVG as an element of a page: scalable, named, themed, with own ids."""
    svg = drawing.svg[drawing.svg.index('<svg') :]
    svg = re.sub(r'<metadata>.*?</metadata>', '', svg, flags=re.DOTALL)
    svg = re.sub(r'<defs>\s*<style.*?</style>\s*</defs>', '', svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{drawing.name}-', svg)
    svg = re.sub(r'href="#', f'href="#{drawing.name}-', svg)
    svg = re.sub(r'url\(#', f'url(#{drawing.name}-', svg)
    for role, colour in COLOURS.items():
        svg = svg.replace(colour, f'var(--{role})')
    # Widths in points become the natural size in CSS; height follows the box.
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        lambda match: f'<svg viewBox="{match[1]}" role="img" aria-label="{escape(drawing.alt)}">',
        svg,
        count=1,
    )
    return svg.replace('xlink:href', 'href')
