"""A disk that is full while a trial saves its checkpoints."""

import json

import pytest

from fer_jax.errors import UserError
from tests import small_disk

# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')


@pytest.fixture
def disk(tmp_path):
    """A disk of half a megabyte."""
    with small_disk.mounted(tmp_path / 'disk', '512k') as folder:
        yield folder


@pytest.mark.slow
# Writes that orbax no longer waits for end into an event loop that it has closed by then.
@pytest.mark.filterwarnings(
    'ignore:Exception ignored in. None:pytest.PytestUnraisableExceptionWarning'
)
def test_a_full_disk_is_one_sentence_and_the_trial_goes_on_where_there_is_room(call_sweep, disk):
    place = disk / 'study'
    with pytest.raises(
        UserError, match='trial-0000: .*No space left on device; make room'
    ) as error:
        call_sweep('--trials=1', f'--workdir={place}')
    assert '\n' not in str(error.value)
    small_disk.remount(disk, 'size=64m')
    call_sweep('--trials=1', f'--workdir={place}')
    values = json.loads((place / 'study.json').read_text())
    assert [trial['state'] for trial in values['trials']] == ['done']
