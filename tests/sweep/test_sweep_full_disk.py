"""A disk that is full while a trial saves its checkpoints."""

import json
import shutil
import subprocess

import pytest

from fer_jax.errors import UserError

# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')


@pytest.fixture
def small_disk(tmp_path):
    """A disk of half a megabyte."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', str(folder)]
    if not shutil.which('mount') or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('no right to mount a small disk here: run as root on a machine of your own')
    yield folder
    subprocess.run(['umount', '-l', str(folder)], check=True)


@pytest.mark.slow
# Writes that orbax no longer waits for end into an event loop that it has closed by then.
@pytest.mark.filterwarnings(
    'ignore:Exception ignored in. None:pytest.PytestUnraisableExceptionWarning'
)
def test_a_full_disk_is_one_sentence_and_the_trial_goes_on_where_there_is_room(
    call_sweep, small_disk
):
    place = small_disk / 'study'
    with pytest.raises(UserError, match='no space is left for .*trial-0000') as error:
        call_sweep('--trials=1', f'--workdir={place}')
    assert '\n' not in str(error.value)
    subprocess.run(
        ['mount', '-o', 'remount,size=64m', str(small_disk)], check=True, capture_output=True
    )
    call_sweep('--trials=1', f'--workdir={place}')
    values = json.loads((place / 'study.json').read_text())
    assert [trial['state'] for trial in values['trials']] == ['done']
