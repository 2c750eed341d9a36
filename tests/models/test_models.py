"""The table of architectures."""

import jax
import pytest

from fer_jax.errors import UserError
from fer_jax.models import MODELS, build


def test_builds_by_name():
    for name, module in MODELS.items():
        assert isinstance(build(name, num_classes=3, dropout_rate=0.1), module)


def test_unknown_dtype_and_form_are_said_in_one_line():
    with pytest.raises(UserError, match="model.dtype is 'float17': give 'float32' or 'bfloat16'"):
        build('c3d', num_classes=3, dtype='float17')
    module = build('stn', num_classes=3, form='tap')
    faces = jax.ShapeDtypeStruct((1, 1, 48, 48, 1), 'float32')
    with pytest.raises(UserError, match="model.form is 'tap': one of auto, lax, taps"):
        jax.eval_shape(module.init, jax.random.key(0), faces)
