"""The architectures again, in PyTorch: for parity tests and `benchmark --against=torch`.

They need PyTorch (the extra 'dev'); nothing but tests and the benchmark imports them.
"""

from torch import nn

from fer_jax.benchmark.torch_models import c3d, cnn_rnn, convlstm, frame_cnn, plain_cnn, rnn, stn

TWINS: dict[str, type[nn.Module]] = {
    'c3d': c3d.C3D,
    'stn': stn.SpatialTransformerNet,
    'convlstm': convlstm.ConvLSTMNet,
    'frame_cnn': frame_cnn.FrameCNN,
    'plain_cnn': plain_cnn.PlainCNN,
    'rnn': rnn.RNN,
    'cnn_rnn': cnn_rnn.CNNRNN,
}
