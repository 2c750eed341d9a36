"""The table of architectures."""

import pytest

from fer_jax.errors import UserError
from fer_jax.models import MODELS, build


def test_builds_by_name():
    for name, module in MODELS.items():
        assert isinstance(build(name, num_classes=3, dropout_rate=0.1), module)


def test_unknown_model_names_the_known_ones():
    with pytest.raises(UserError, match="model.name is 'vgg'; the models are c3d, stn"):
        build('vgg', num_classes=3)


def test_unknown_option_names_the_known_ones():
    with pytest.raises(UserError, match='model.widht is no option of c3d; it has .*width'):
        build('c3d', num_classes=3, widht=2)
