"""The fusion network's penalty against a NumPy float64 version and its finite differences."""

import jax
import numpy as np
import pytest

from fer_jax.kahou2015.regularisers import GROUPS, penalty

WEIGHTS = {'frobenius': 0.3, 'l21': 0.7, 'l1': 0.2}
SHAPES = {'modality1': (5, 3), 'modality2': (4, 2), 'common': (5, 6), 'output': (6, 3)}


def parameters(seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: {'kernel': rng.normal(size=shape), 'bias': rng.normal(size=shape[1])}
        for name, shape in SHAPES.items()
    }


def in_float64(params, groups):
    """The definition, one group and one weight at a time."""
    total = 0.0
    for layer in params.values():
        total += WEIGHTS['frobenius'] / 2 * sum(w * w for w in layer['kernel'].ravel())
    for name in ('common',) if groups == 'fusion_rows' else ('modality1', 'modality2'):
        kernel = params[name]['kernel']
        rows = kernel if groups == 'fusion_rows' else [kernel[:, j] for j in range(kernel.shape[1])]
        for row in rows:
            total += WEIGHTS['l1'] * sum(abs(w) for w in row)
            if groups != 'across':
                total += WEIGHTS['l21'] * np.sqrt(sum(w * w for w in row))
    if groups == 'across':
        one, other = params['modality1']['kernel'], params['modality2']['kernel']
        for unit in range(3):  # the second layer has two units
            shared = [*one[:, unit], *(other[:, unit] if unit < 2 else ())]
            total += WEIGHTS['l21'] * np.sqrt(sum(w * w for w in shared))
    return total


def as_float32(params):
    return jax.tree.map(lambda w: w.astype(np.float32), params)


@pytest.mark.parametrize('groups', GROUPS)
def test_value_and_gradient_agree_with_float64(groups):
    params = parameters()
    value, gradient = jax.value_and_grad(lambda p: penalty(p, **WEIGHTS, groups=groups))(
        as_float32(params)
    )
    np.testing.assert_allclose(value, in_float64(params, groups), rtol=1e-5)
    step = 1e-6
    for name, layer in params.items():
        assert not np.any(gradient[name]['bias'])
        for place in np.ndindex(layer['kernel'].shape):
            kept = layer['kernel'][place]
            ends = []
            for end in (kept + step, kept - step):
                layer['kernel'][place] = end
                ends.append(in_float64(params, groups))
            layer['kernel'][place] = kept
            numeric = (ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(
                gradient[name]['kernel'][place], numeric, rtol=1e-4, atol=1e-6
            )


@pytest.mark.parametrize('groups', GROUPS)
def test_the_gradient_is_finite_where_groups_are_empty(groups):
    params = as_float32(parameters())
    params['modality1']['kernel'][:, 1] = 0
    params['modality2']['kernel'][:, 1] = 0
    params['common']['kernel'][2] = 0
    gradient = jax.grad(lambda p: penalty(p, **WEIGHTS, groups=groups))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert not np.any(gradient['modality1']['kernel'][:, 1])
    assert not np.any(gradient['common']['kernel'][2])
    nothing = jax.tree.map(np.zeros_like, params)
    gradient = jax.grad(lambda p: penalty(p, **WEIGHTS, groups=groups))(nothing)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize('groups', GROUPS)
def test_only_groups_across_modalities_couple_them(groups):
    """The mixed second derivative of the l2,1 term by weights of two modalities."""
    given = {'frobenius': 0.0, 'l1': 0.0, 'l21': 1.0, 'groups': groups}
    params = as_float32(parameters())

    def of(first, second):
        kernels = [params['modality1']['kernel'], params['modality2']['kernel']]
        own = [kernels[0].at[2, 1].add(first), kernels[1].at[3, 1].add(second)]
        layers = {f'modality{i}': {'kernel': kernel} for i, kernel in enumerate(own, 1)}
        return penalty({**params, **layers}, **given)

    params = jax.tree.map(jax.numpy.asarray, params)
    mixed = jax.grad(jax.grad(of), 1)(0.0, 0.0)
    weights = [params[f'modality{i}']['kernel'][:, 1] for i in (1, 2)]
    norm = np.sqrt(sum(float((w**2).sum()) for w in weights))
    expected = -weights[0][2] * weights[1][3] / norm**3 if groups == 'across' else 0
    np.testing.assert_allclose(mixed, expected, rtol=1e-4, atol=1e-7)
    assert bool(mixed) == (groups == 'across')
