"""fer_jax.report --card: a paper's table from the command line."""

import pytest

from fer_jax import cli, report
from fer_jax.errors import UserError


def call(*words):
    cli.call(report.main, report.define, words)


def test_a_card_is_printed_and_drawn(tmp_path, capsys):
    call('--card=haddad2020:table5')
    printed = capsys.readouterr().out
    assert 'one-sided p = 0.0362' in printed and 'not significant' in printed
    call('--card=haddad2020:table5', f'--out={tmp_path / "card"}')
    path = capsys.readouterr().out.splitlines()[-1]
    assert path.startswith(str(tmp_path))
    with open(path) as page:
        assert 'Table 5' in page.read()


@pytest.mark.parametrize(
    'words, message',
    [
        (['--card=haddad2020:table99'], "there is no card 'haddad2020:table99': choose one of"),
        (['--card=haddad2020:table5', '--rule=last'], 'leave it out with --card'),
        (['--card=haddad2020:table5', 'nowhere'], 'there is no run at nowhere'),
    ],
)
def test_mistakes_are_one_line(words, message):
    with pytest.raises(UserError, match=message) as error:
        call(*words)
    assert '\n' not in str(error.value)
