"""Agreement of a film's labels with the codes of a person."""

import numpy as np
import pytest

from fer_jax.errors import UserError
from fer_jax.predict import agreement


def write_codes(path, rows):
    lines = [','.join(rows[0])] + [','.join(map(str, row.values())) for row in rows]
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return path


def test_agreement_is_cohens_kappa(tmp_path, made):
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    said = rng.integers(0, 3, 200)
    human = np.where(rng.random(200) < 0.7, said, rng.integers(0, 3, 200))
    result = made([1] * 200, said)
    names = result.classes
    rows = [
        {'start_s': k / 10 - 0.01, 'end_s': k / 10 + 0.09, 'label': names[human[k]]}
        for k in range(200)
    ]
    codes = agreement.read(write_codes(tmp_path / 'codes.csv', rows), names)
    table = {row['label']: row for row in agreement.compare(result, codes).rows}
    assert table['all']['kappa'] == pytest.approx(cohen_kappa_score(human, said))
    for k, name in enumerate(names):
        assert table[name]['kappa'] == pytest.approx(cohen_kappa_score(human == k, said == k))
        shares = table[name]['coded'], table[name]['predicted']
        assert shares == pytest.approx((np.mean(human == k), np.mean(said == k)))
        low, high = table[name]['kappa_interval']
        assert low < table[name]['kappa'] < high
    assert table['all']['seconds'] == pytest.approx(20)
    perfect = [row | {'label': names[said[k]]} for k, row in enumerate(rows)]
    same = agreement.read(write_codes(tmp_path / 'same.csv', perfect), names)
    assert [row['kappa'] for row in agreement.compare(result, same).rows] == pytest.approx([1] * 4)


def test_codes_may_name_a_person(tmp_path, made):
    result = made([1, 2] * 20, [0, 1] * 20, times=np.repeat(np.arange(20) / 10, 2))
    rows = [
        {'start_s': 0, 'end_s': 1, 'label': 'calm', 'track': 1},
        {'start_s': 0, 'end_s': 2, 'label': 'calm', 'track': 2},
    ]
    codes = agreement.read(write_codes(tmp_path / 'codes.csv', rows), result.classes)
    table = {(row['track'], row['label']): row for row in agreement.compare(result, codes).rows}
    assert table[1, 'all']['agreed'] == 1 and table[1, 'all']['seconds'] == pytest.approx(1)
    assert table[2, 'all']['agreed'] == 0 and table[2, 'all']['seconds'] == pytest.approx(2)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('start_s,end_s\n0,1\n', 'no column label'),
        ('start_s,end_s,label\n0,1,bored\n', "row 2: 'bored' is none"),
        ('start_s,end_s,label\n0,x,calm\n', 'row 2: a time'),
        ('start_s,end_s,label\n0,1,calm\n2,1,calm\n', 'row 3: end_s is not after'),
    ],
)
def test_wrong_codes_are_said_in_one_line(tmp_path, text, said):
    path = tmp_path / 'codes.csv'
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        agreement.read(path, ('calm', 'glad'))
