"""The architectures, by the names that configs use."""

from flax import linen as nn

from fer_jax.errors import UserError
from fer_jax.models.c3d import C3D
from fer_jax.models.cnn_rnn import CNNRNN
from fer_jax.models.convlstm import ConvLSTMNet
from fer_jax.models.frame_cnn import FrameCNN
from fer_jax.models.plain_cnn import PlainCNN
from fer_jax.models.rnn import RNN
from fer_jax.models.stn import SpatialTransformerNet

MODELS: dict[str, type[nn.Module]] = {
    'c3d': C3D,
    'stn': SpatialTransformerNet,
    'convlstm': ConvLSTMNet,
    'frame_cnn': FrameCNN,
    'plain_cnn': PlainCNN,
    'rnn': RNN,
    'cnn_rnn': CNNRNN,
}
DTYPES = ('float32', 'bfloat16', 'float64')  # the last one for comparisons with PyTorch only


def build(name: str, **options) -> nn.Module:
    """Builds the architecture `name` with the given options, its dataclass fields.

    Every architecture is called as `module(frames, mask=, length=, train=, dropout_rate=)` and
    returns logits float32 [B, num_classes].

    Raises:
      UserError: an unknown dtype.
    """
    if options.get('dtype', 'float32') not in DTYPES:
        raise UserError(f"model.dtype is {options['dtype']!r}: give 'float32' or 'bfloat16'")
    return MODELS[name](**options)
