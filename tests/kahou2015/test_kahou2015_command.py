"""kahou2015's system as it is typed under the paper's name."""

from pathlib import Path

import pytest

from fer_jax import cli
from fer_jax.errors import UserError
from fer_jax.kahou2015 import __main__ as command
from fer_jax.kahou2015 import outcome, page, system

CONFIGS = Path(__file__).parents[2] / 'configs'
# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')


def call(*words):
    cli.call(command.main, command.define, words)


def test_a_config_is_trained_where_it_is_asked_to(monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(system, 'run', lambda config, **where: given.append((config.name, where)))
    call(
        f'--config={CONFIGS / "afew_emotiw.py"}:simulated', f'--workdir={tmp_path / "run"}',
        f'--data_dir={tmp_path}',
    )  # fmt: skip
    assert given == [('afew_emotiw', {'workdir': str(tmp_path / 'run'), 'data_dir': tmp_path})]


def test_a_run_is_drawn_again(run, tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(
        page, 'write', lambda *given: drawn.append(given[1:]) or Path('report.html')
    )
    call(str(run[0]), f'--out={tmp_path}')
    assert drawn == [(run[0], str(tmp_path))]
    printed = capsys.readouterr().out
    assert printed.startswith(outcome.text(outcome.load(run[0]).values))
    assert printed.endswith('\n\nreport.html\n')


@pytest.mark.parametrize(
    'words, message',
    [
        ([], 'give the system: --config=configs/afew_emotiw.py, or one run of it'),
        (['one', 'two'], 'or one run of it to draw again'),
        ([f'--config={CONFIGS / "afew_emotiw.py"}', 'run'], 'or one run of it to draw again'),
        ([f'--config={CONFIGS / "ckplus_c3d.py"}'], 'ckplus_c3d is one experiment'),
        (['run', '--fusions', '--out=there'], '--out is the folder of the page of a RUN'),
        ([f'--config={CONFIGS / "afew_emotiw.py"}', '--out=there'], '--out is the folder of the'),
        (['nowhere'], r'clips\.npz is missing: delete it and DONE'),
    ],
)
def test_mistakes_are_one_line(words, message):
    with pytest.raises(UserError, match=message) as error:
        call(*words)
    assert '\n' not in str(error.value)
