"""The formats that a network is written in, by the names that --format takes."""

import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fer_jax.experiment.predictor import Predictor

# Format -> what writes it, imported when it is asked for. It is called as write(predictor, out,
# name), where `out` is missing or empty and `name` is what the network is to be called; it returns
# lines for people, or raises UserError.
FORMATS = {
    'folder': 'fer_jax.export.folder:write',
    'stablehlo': 'fer_jax.export.program:write',
    'onnx': 'fer_jax.export.onnx_graph:write',
}


def writer(name: str) -> Callable[['Predictor', Path, str], list[str]]:
    """Imports what writes a format, one of FORMATS."""
    return pkgutil.resolve_name(FORMATS[name])
