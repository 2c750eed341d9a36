"""Findings from the papers' printed numbers, recomputed from the cells of the cards.

Counts of clips that stand here are the datasets' published ones.
"""

import math
from fractions import Fraction

import pytest
from scipy import stats

from fer_jax.papers import arithmetic, load, questions
from fer_jax.simulation.releases import roster

FOLDS = [str(fold) for fold in range(1, 11)]
# {labelled sequences: subjects of CK+ that have so many}, counted in tests/data/test_protocols.py.
CKPLUS_SUBJECTS = {1: 21, 2: 22, 3: 47, 4: 20, 5: 7, 6: 1}


def cells(card: str, *, column: str = '', row: str = '') -> list[str]:
    """The printed numbers of a column or a row."""
    found = questions.numbers(
        load(card), rows=[row] if row else [], columns=[column] if column else []
    )
    return [text for _, _, text in found]


def counts(texts: list[str], n: int, way: str = 'truncation', **how) -> list[int]:
    """The one k of each text of n clips."""
    found = [list(arithmetic.counts(text, n, way, **how)) for text in texts]
    assert all(len(each) == 1 for each in found)
    return [k for (k,) in found]


def folds(table: str, row: str) -> list[str]:
    return [load(f'haddad2020:{table}').cell(row, fold) for fold in FOLDS]


def test_kahou_table_2_is_of_711_and_371_clips():
    valid, train = (
        cells('kahou2015:table2', column='Valid'),
        cells('kahou2015:table2', column='Train'),
    )
    assert counts(valid, 371) == [203, 202, 267, 254]
    assert counts(train, 711) == [613, 583, 372, 375]
    # No other number of clips near the stated ones admits either column.
    assert list(arithmetic.common(valid, range(300, 384), 'truncation')) == [371]
    assert list(arithmetic.common(train, range(600, 724), 'truncation')) == [711]
    assert not any(arithmetic.fits(text, [383]) for text in valid)
    assert not any(arithmetic.fits(text, [723]) for text in train)
    test = cells('kahou2015:table2', column='Test')
    assert counts(test, 539) == [239, 264, 272, 270, 257, 285, 269]


def test_kahou_fusion_is_of_371_clips_and_activity_may_be_of_383():
    (fusion,) = cells('kahou2015:text', row='Fusion network')
    assert counts([fusion], 371, 'rounding') == [162]
    # Only raised to the next tenth would 167 of 383 be printed so.
    assert {fit.way for fit in arithmetic.fits(fusion, [383])} == {'ceiling'}
    activity = load('kahou2015:table1').cell('Activity', 'Validation')
    share = {'percent': False}
    for way in ('rounding', 'truncation'):
        assert counts([activity], 383, way, **share) == [102]
    assert {(f.k, f.way) for f in arithmetic.fits(activity, [371], **share)} == {(99, 'truncation')}
    # The models that need a face fit 371 clips by rounding, as fusion does, and not 383.
    others = [load('kahou2015:table1').cell(row, 'Validation') for row in ('Audio', 'RNN')]
    others.append(load('kahou2015:table1').cell('Aggregated CNN', 'Validation'))
    assert 371 in arithmetic.common(others, [371, 383], 'rounding', **share)
    for way in arithmetic.WAYS:
        assert 383 not in arithmetic.common(others, [371, 383], way, **share)


def test_minaee_figure_8_sums_to_ferplus_and_not_to_fer2013():
    figure = load('minaee2019:figure8')
    rows = questions.row_sums(figure)
    assert rows == [327, 25, 99, 930, 1290, 452, 450] and sum(rows) == 3573
    right = sum(int(row[i]) for i, row in enumerate(figure.rows.values()))
    assert right == 2502
    printed = load('minaee2019:table1').cell('The proposed algorithm', 'Accuracy Rate')
    assert counts([printed], 3573) == [right]
    known = [ask for ask in figure.asks if ask['ask'] == 'sizes']
    totals = [sum(ask['sizes']) for ask in known]
    assert totals == [3589, 3573]
    apart = [max(abs(a - b) for a, b in zip(rows, ask['sizes'], strict=True)) for ask in known]
    assert apart == [664, 4]


def test_haddad_table_4_has_folds_of_33_and_32_clips():
    fits = {'places': 1}
    for row, none in (('c2', ['90']), ('c3', [])):
        printed = folds('table4', row)
        found = {text: arithmetic.fits(text, [33, 32], ['truncation'], **fits) for text in printed}
        assert [text for text, each in found.items() if not each] == none
    # Of all sizes that the cited folds have, and those between, only these fit; 87.5 is 7/8.
    own = {'93.9': 33, '84.8': 33, '78.7': 33, '87.8': 33, '96.8': 32}
    for text, n in own.items():
        tried = arithmetic.fits(text, range(22, 41), ['truncation'], **fits)
        assert {fit.n for fit in tried} == {n}
    assert counts(['78.7', '84.8', '87.8', '93.9'], 33, **fits) == [26, 28, 29, 31]
    assert counts(['87.5', '96.8'], 32, **fits) == [28, 31]
    # 30/33 would be printed 90.9, and 90 without its zero is of neither size.
    assert counts(['90.9'], 33, **fits) == [30]
    # The cited folds, subjects[i::10], do not admit the rows.
    idstep = roster.FOLD_SIZES
    for row, most in (('c2', 2), ('c3', 0)):
        pairs = zip(folds('table4', row), idstep, strict=True)
        assert sum(bool(arithmetic.fits(text, [n], **fits)) for text, n in pairs) == most


def test_haddad_table_4_rows_do_not_share_folds():
    apart = []
    for fold, c2, c3 in zip(FOLDS, folds('table4', 'c2'), folds('table4', 'c3'), strict=True):
        if not arithmetic.common([c2, c3], [33, 32], 'truncation', places=1):
            apart.append(fold)
    assert apart == ['1', '10']


def test_haddad_loso_is_a_mean_over_subjects_or_raised():
    (ours,) = cells('haddad2020:table6', row='Our approach')
    assert ours == '97.56'
    fits = arithmetic.fits(ours, [327])
    assert [(fit.k, fit.way) for fit in fits] == [(319, 'ceiling')]
    assert arithmetic.counts('97.55', 327, 'rounding') == range(319, 320)
    sizes = [n for n, subjects in CKPLUS_SUBJECTS.items() for _ in range(subjects)]
    assert len(sizes) == 118 and sum(sizes) == 327
    assert arithmetic.errors_of_mean(ours, sizes, 'rounding') == list(range(8, 16))
    assert arithmetic.errors_of_mean(ours, sizes, 'truncation') == []
    # The ends, by hand: as few errors as possible, and as many.
    for missed, errors in (({1: 1, 2: 1, 3: 1, 4: 1, 5: 4}, 8), ({6: 5, 5: 9, 4: 1}, 15)):
        share = 1 - sum(Fraction(e, n) for n, e in missed.items()) / 118
        assert sum(missed.values()) == errors
        assert share in arithmetic.printed(ours, 'rounding')


def test_haddad_table_5_mixes_fold_sizes():
    common = {
        row: arithmetic.common(folds('table5', row), range(22, 61), 'truncation', places=1)
        for row in ('c1', 'c2', 'c4')
    }
    assert {row: list(found) for row, found in common.items()} == {
        'c1': [48],
        'c2': [40],
        'c4': [40],
    }
    table = load('haddad2020:table5')
    mean = sum(Fraction(text) for text in folds('table5', 'c2')) / 10
    assert mean == Fraction(table.cell('c2', 'Average')) == Fraction('84.25')
    (headline,) = cells('haddad2020:table8', row='Our approach')
    assert headline == '84.17' and counts([headline], 480, 'rounding') == [404]
    assert mean not in arithmetic.printed(headline, 'rounding')


@pytest.mark.parametrize(
    ('table', 'base', 'row', 'one_sided', 'two_sided'),
    [
        ('table4', 'c1', 'c2', 0.00057, 0.0011),
        ('table4', 'c1', 'c3', 0.00065, 0.0013),
        ('table5', 'c2', 'c1', 0.0362, 0.072),
        ('table5', 'c2', 'c4', 0.00598, 0.012),
    ],
)
def test_haddad_p_values_are_one_sided(table, base, row, one_sided, two_sided):
    first, second = ([float(text) for text in folds(table, name)] for name in (base, row))
    one = stats.ttest_rel(first, second, alternative='greater').pvalue
    two = stats.ttest_rel(first, second).pvalue
    assert float(f'{one:.3g}') == pytest.approx(one_sided, rel=0.005)
    assert float(f'{two:.2g}') == two_sided
    printed = float(load(f'haddad2020:{table}').cell(row, 'P-value'))
    assert one == pytest.approx(printed, rel=0.04) and two != pytest.approx(printed, rel=0.5)
    # Table 5's c1 is not significant at 5 % where both directions count.
    assert (two > questions.LEVEL) == ((table, row) == ('table5', 'c1'))
    # The counts behind the printed digits come nearer to the printed p-value.
    said = [line for line in questions.answer(load(f'haddad2020:{table}')) if 't-test' in line]
    (line,) = [line for line in said if line.startswith(f'{base} against {row},')]
    assert f'p = {one:.3g} ' in line and f'two-sided {two:.3g} ' in line
    assert ('not significant' in line) == ((table, row) == ('table5', 'c1'))


def test_haddad_averages_and_p_values_are_of_the_counts():
    sizes = {'table4': {'c3': [33, 32]}, 'table5': {'c1': [48], 'c2': [40], 'c4': [40]}}
    exact = {
        (table, row): questions.shares(load(f'haddad2020:{table}'), row, FOLDS, each, places=1)
        for table, rows in sizes.items()
        for row, each in rows.items()
    }
    for (table, row), found in exact.items():
        printed = load(f'haddad2020:{table}').cell(row, 'Average')
        ways = [w for w in arithmetic.WAYS if sum(found) / 10 in arithmetic.printed(printed, w)]
        assert 'truncation' in ways, (table, row)
    for other, printed in (('c1', '0.0365'), ('c4', '0.00597')):
        first, second = ([float(x) for x in exact['table5', row]] for row in ('c2', other))
        p = stats.ttest_rel(first, second, alternative='greater').pvalue
        places = len(printed) - 2
        assert math.floor(p * 10**places) == round(float(printed) * 10**places)


def test_haddad_augmentation_counts_include_the_original():
    card = load('haddad2020:text')
    clips = {'Happy': 'happiness'}
    each = {
        row: roster.COUNTS[clips.get(row, row.lower())] * (1 + sum(map(int, copies)))
        for row, copies in card.rows.items()
    }
    assert each == {
        'Anger': 225, 'Contempt': 234, 'Disgust': 236, 'Fear': 250, 'Happy': 276, 'Sadness': 252,
        'Surprise': 249,
    }  # fmt: skip
    assert sum(each.values()) == 1722
    assert '1,722 in all' in questions.answer(card)[0]


def test_saurav_savee_needs_the_augmented_set():
    (savee,) = cells('saurav2020:table2', row='3DCNN-ConvLSTM (ours)')
    assert savee == '98.83'
    # The mean of five runs on 96 clips is k/480; a fifth of 480 clips augmented 8- or 10-fold, five
    # times, is 3,840 or 4,800.
    assert not arithmetic.fits(savee, [480]) and not arithmetic.fits(savee, [96])
    assert counts([savee], 3840, 'rounding') == [3795]
    assert counts([savee], 4800, 'rounding') == [4744]
    said = ' '.join(load('saurav2020:table2').notes)
    assert 'split was made after augmentation' in said and 'all views of each test clip' in said
    (afew,) = cells('saurav2020:text', row='3DCNN-ConvLSTM')
    assert counts([afew], 1155, 'rounding') == [960]
    (official,) = cells('saurav2020:table3', row='3DCNN-ConvLSTM (ours)')
    assert counts([official], 383) == [168]
    (ckplus,) = cells('saurav2020:table1', row='3DCNN-ConvLSTM (ours)')
    assert counts([ckplus], 327) == [311] and not arithmetic.fits(ckplus, [327], ['rounding'])


def test_jain_accuracies_are_no_shares_of_30_per_cent_of_jaffe():
    best = load('jain2018:table3').cell('Hybrid CNN-RNN, hidden layers = 6', 'Prediction accuracy')
    (text,) = cells('jain2018:text', row='Hybrid CNN-RNN')
    jaffe = load('jain2018:table4').cell('Proposed model', 'Accuracy of JAFFE')
    assert [best, text, jaffe] == ['94.91%', '94.72%', '94.91%']
    for printed in (best, text):
        assert arithmetic.fits(printed, range(60, 70)) == []
        assert arithmetic.fits(printed, [round(0.3 * 213)]) == []


def test_minaee_ckplus_is_a_share_of_three_stills_a_sequence():
    (printed,) = cells('minaee2019:table4', row='The proposed algorithm')
    sequences = sum(roster.COUNTS.values())
    for images in (sequences, 593, 2 * sequences):
        assert not arithmetic.fits(printed, [round(images / 5)], ['rounding'])
    assert counts([printed], round(3 * sequences / 5), 'rounding') == [192]
