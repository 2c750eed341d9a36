"""kahou2015: an IRNN over what a frame CNN makes of AFEW's faces (sec. 2.2; Table 1, row RNN).

Command:
    python -m fer_jax.main --config=configs/fer2013_cnn.py:afew         # first a network for frames
    python -m fer_jax.main --config=configs/afew_rnn.py --config.features.run=RUN
    python -m fer_jax.main --config=configs/fer2013_cnn.py:afew,registered   # onto one mean shape
    python -m fer_jax.main --config=configs/afew_rnn.py:registered --config.features.run=RUN
    python -m fer_jax.main --config=configs/fer2013_cnn.py:simulated    # a laptop, no licensed data
    python -m fer_jax.main --config=configs/afew_rnn.py:simulated --config.features.run=RUN
    python -m fer_jax.ablate --config=configs/afew_rnn.py --config.features.run=RUN

RUN is the directory that the first command wrote. Its networks pass all frames once, as its own
config says, and keep their seeds: member s learns from the network of seed s. A network that was
fitted or chosen on a clip that judges here is refused. With `registered` one similarity, fitted on
AFEW's training clips, takes its mean shape onto that of FER2013, which RUN keeps (sec. 2.1.2).

Hardware and time: published size: not run, it needs the licensed release; the features of AFEW
take 1.4 GB for each network of RUN. `:simulated` has 60 drawn people, 16 frames a clip, batches of
16, a learning rate of 0.02 and 120 epochs: 21 CPU seconds, features included.

Paper: 39.6 % on the validation part. Ours: needs the licensed release; `:simulated` 41.33 % of 75
clips (30.7 to 52.0; majority class 16.00 %), simulated faces.

Deviations: the epoch is chosen on 15 % of the training clips, and the network trained again on all
of them; the paper stops by the validation part, which judges it (our rule `test_best_fold`). Clips
of more than 96 frames are sampled uniformly. AFEW's own aligned faces are taken as they are; with
`registered` faces are found by YuNet in the films, as the aligned pictures ship without points.
Clips without a face are left out, which is what the paper's 711 and 371 clips point to (its card,
fer_jax/papers/kahou2015.toml, Table 2).
"""

from ml_collections import ConfigDict

from fer_jax.config import Ablation, complete, merged, parse_variant
from fer_jax.papers import kahou2015


def get_config(variant: str = '') -> ConfigDict:
    """The config; variants: simulated, registered."""
    options = parse_variant(variant, simulated=False, registered=False)
    config = merged(
        kahou2015.CLIPS,
        kahou2015.FACES,
        {
            'name': 'afew_rnn',
            'features': {'layer': 'pool2'},
            'protocol': {'validation': 0.15},
            'inputs': {'normalize': 'none'},
            'model': {'name': 'rnn'},
            'optimizer': {'name': 'sgd', 'learning_rate': 0.005, 'clip': 1.0},
            'train': {
                'batch_size': 64,
                'epochs': 200,
                'seeds': 3,
                'retrain': True,
                'checkpoint_every': 10,
            },
        },
    )
    if options.registered:
        config.data.update({'faces': 'yunet', 'registration': 'mean_shape'})
    if options.simulated:
        config.simulated = {'subjects': kahou2015.SUBJECTS}
        config.data.frames = 16
        config.optimizer.learning_rate = 0.02
        config.train.update({'epochs': 120, 'batch_size': 16, 'seeds': 1, 'checkpoint_every': 30})
    return complete(config)


def get_ablations(config: ConfigDict) -> dict[str, Ablation]:
    """Lists what kahou2015 leaves open of its recurrent network."""
    scales = {
        f'scale_{scale:g}'.replace('.', ''): Ablation(
            f'Recurrent weights that start at {scale:g} times the identity: "scaled variations of '
            'the identity matrix", without a scale.',
            {'model.identity_scale': scale},
        )
        for scale in (0.1, 0.01)
    }
    layers = {
        f'layer_{layer}': Ablation(
            f"Features of '{layer}': other layers than the second were tried, no figure is given.",
            {'features.layer': layer},
        )
        for layer in ('pool1', 'pool3', 'logits')
    }
    return {
        **scales,
        **layers,
        'momentum': Ablation(
            'Momentum of 0.9: the paper says stochastic gradient descent and no more.',
            {'optimizer.name': 'momentum'},
        ),
        'tanh': Ablation(
            'A tanh network, which the paper does not try: what rectified units are worth.',
            {'model.activation': 'tanh'},
        ),
    }
