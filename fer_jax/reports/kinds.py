"""Finds what draws a folder's page again, by the kind that the folder records.

Pages of papers, studies and sweeps are drawn by rooms that the core does not import. They are named
here, and imported when one of their folders is to be drawn.
"""

import pkgutil
from collections.abc import Sequence
from pathlib import Path

from fer_jax.errors import UserError
from fer_jax.evaluation import rundir

RUN = rundir.RUN
# Kind -> what draws the page of a folder of that kind from its files. It is called as
# redraw(folder: Path, out: str | None), draws into `out` where given and else into the folder, and
# returns the results as text and the page's path, or raises UserError.
PAGES = {
    RUN: 'fer_jax.reports.run_page:redraw',
    'kahou2015': 'fer_jax.kahou2015.page:redraw',
    'sweep': 'fer_jax.sweep.study_page:redraw',
    'adding': 'fer_jax.studies.adding_page:redraw',
    'order': 'fer_jax.studies.order_page:redraw',
    'leakage': 'fer_jax.studies.leakage.page:redraw',
}
# Sets a paper's table beside runs; called and answered as `draw_card` below.
CARD = 'fer_jax.papers:draw_card'


def redraw(folder: Path, out: str | None) -> tuple[str, Path]:
    """Draws a folder's page from its files; returns the results as text and the page's path.

    A folder that records no kind is read as a run.

    Args:
      out: where the page goes; None is the folder itself.

    Raises:
      UserError: an unknown kind, a folder that is unfinished or damaged, or an `out` of others.
    """
    kind = rundir.kind_of(folder) or RUN
    if kind not in PAGES:
        raise UserError(f"{folder / rundir.KIND}: there is no kind '{kind}' of {', '.join(PAGES)}")
    rundir.check_out(Path(out or folder), folder)
    return pkgutil.resolve_name(PAGES[kind])(folder, out)


def draw_card(name: str, runs: Sequence[str], out: str | None) -> tuple[str, Path | None]:
    """Sets a paper's table beside finished runs; returns it as text, and the page's path.

    Args:
      name: PAPER:TABLE.
      runs: folders of runs.
      out: where the page goes; None draws none, and None is returned for its path.

    Raises:
      UserError: no such card, or no such finished run.
    """
    return pkgutil.resolve_name(CARD)(name, runs, out)
