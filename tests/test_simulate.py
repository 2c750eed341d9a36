"""The command that writes a simulated release."""

import pytest

from fer_jax import cli, simulate
from fer_jax.errors import UserError


def test_writes_a_release_and_says_where(tmp_path, capsys):
    out = tmp_path / 'faces'
    cli.call(
        simulate.main,
        simulate.define,
        ['--dataset=fer2013', f'--out={out}', '--subjects=10', '--seed=5'],
    )
    assert sorted(p.name for p in out.iterdir()) == [
        'SIMULATED.json',
        'fer2013.csv',
        'fer2013new.csv',
    ]
    assert f'{out}: simulated fer2013' in capsys.readouterr().out


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--out=x'], '--dataset is missing'),
        (['--dataset=ckplus'], '--out is missing'),
        (['--dataset=nobody', '--out=x'], 'choose from ckplus, jaffe, mmi'),
    ],
)
def test_mistakes_are_one_sentence(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as error:
        cli.call(simulate.main, simulate.define, arguments)
    assert '\n' not in str(error.value)
    assert not any(tmp_path.iterdir())
