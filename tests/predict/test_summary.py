"""What is said of a film: stretches, doubts, shares and their intervals."""

import numpy as np
import pytest

from fer_jax.predict import film_page, segments, summary


def test_stretches_are_what_the_labels_say(made):
    result = made([1] * 30, [0] * 10 + [1] * 1 + [0] * 4 + [2] * 15, fps=10)
    found = segments.segments(result)
    # A single frame of a tenth of a second is none.
    assert [(part.label, round(part.start, 2), round(part.end, 2)) for part in found] == [
        ('calm', 0.0, 1.0),
        ('calm', 1.1, 1.5),
        ('sad', 1.5, 3.0),
    ]
    assert found[0].probability == pytest.approx(0.8) and found[0].uncertain == 0
    times = [0.0, 0.1, 0.2, 3.0, 3.1, 3.2]
    apart = segments.segments(made([1] * 6, [1] * 6, times=times))
    assert [(round(part.start, 2), round(part.end, 2)) for part in apart] == [(0, 0.8), (3, 3.3)]


def test_what_is_uncertain_is_a_share_of_time_in_films_of_uneven_rate(made):
    times = [0.0, 0.4, 0.5, 0.6, 0.7]  # and a tenth of a second for the last row
    result = made([1] * 5, [1] * 5, times=times)
    result.smoothed[0, 1] = 0.3  # below what is sure
    (part,), (row,) = segments.segments(result), summary.tracks(result).rows
    assert part.uncertain == row['uncertain'] == pytest.approx(0.5)
    (row,) = summary.tracks(made([1], [1])).rows
    assert row['seconds'] == row['uncertain'] == 0


def test_films_that_are_seldom_looked_at_have_whole_stretches(made):
    result = made([1] * 10, [0] * 10, fps=1)
    found = segments.segments(result)
    assert [(part.start, part.end) for part in found] == [(0, 10)]
    text = film_page._band(result, 1, 0.0, 9.0)
    assert text.count('<polygon') == len(result.classes)
    times = [0, 1, 2, 5, 6, 7]
    apart = segments.segments(made([1] * 6, [1] * 6, times=times))
    assert [(part.start, part.end) for part in apart] == [(0, 3.5), (5, 8)]


def test_shares_of_a_person_add_up_and_have_intervals(made):
    rng = np.random.default_rng(0)
    label = np.repeat(rng.choice(3, 60, p=[0.6, 0.3, 0.1]), 10)
    table = summary.tracks(made([1] * 600, label))
    (row,) = table.rows
    shares = [row[f'share_{name}'] for name in ('calm', 'glad', 'sad')]
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([np.mean(label == k) for k in range(3)])
    assert row['seconds'] == pytest.approx(60)
    assert (row['first_s'], row['last_s']) == pytest.approx((0, 59.9))
    for share, name in zip(shares, ('calm', 'glad', 'sad'), strict=True):
        low, high = row[f'interval_{name}']
        assert low <= share <= high and high - low > 0.03
    assert 'share_calm' in table.csv(()).splitlines()[0]


def test_intervals_know_that_neighbours_say_the_same():
    rng = np.random.default_rng(1)
    blocks = np.repeat(rng.integers(0, 2, 40), 25)
    mixed = rng.permutation(blocks)
    wide, narrow = (
        np.diff(summary.block_shares(label, np.ones(1000), 2, 50)[1], axis=0)[0, 0]
        for label in (blocks, mixed)
    )
    assert wide > 3 * narrow
    # The textbook's deviation of 40 independent blocks.
    assert wide == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 40), rel=0.35)
    assert np.isnan(summary.block_shares(blocks[:60], np.ones(60), 2, 50)[1]).all()
