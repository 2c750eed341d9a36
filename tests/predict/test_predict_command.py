"""The command: what it prints, what it refuses, and that it survives being killed."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_jax import cli
from fer_jax.errors import UserError
from fer_jax.predict import __main__ as command
from fer_jax.predict import camera, networks, several
from fer_jax.training import model_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(monkeypatch, bands):
    """Runs the command with a network that needs no training."""
    monkeypatch.setattr(networks, 'open_model', lambda *args, **options: bands())

    def call(*arguments):
        cli.call(command.main, command.define, ['--model=any', *map(str, arguments)])

    return call


@pytest.fixture(scope='module')
def film(tmp_path_factory, people, scene, write_film):
    images = [scene((people[0][k // 20], 20 + k, 30), (people[1][0], 290, 40)) for k in range(80)]
    return write_film(tmp_path_factory.mktemp('film') / 'two.mp4', images)


@pytest.mark.parametrize(
    'flag,name,value',
    [
        ('--blur', 'blur', True),
        ('--nopage', 'page', False),
        ('--nooverlay', 'overlay', False),
        ('--smooth=0.3', 'smooth', 0.3),
        ('--events=elan', 'events', 'elan'),
        ('--against=coder.csv', 'against', 'coder.csv'),
    ],
)
def test_flags_are_what_films_are_predicted_with(flag, name, value):
    options = command._options(cli.parse(command.define, ['film.mp4', flag]))
    otherwise = command._options(cli.parse(command.define, ['film.mp4']))
    assert getattr(options, name) == value != getattr(otherwise, name)


def test_flags_are_how_films_are_looked_at():
    words = ['film.mp4', '--fps=2', '--small_faces']
    settings = command._options(cli.parse(command.define, words)).settings
    otherwise = command._options(cli.parse(command.define, words[:1])).settings
    assert settings.fps == 2 != otherwise.fps
    assert max(settings.sides) > max(otherwise.sides)


def test_a_folder_of_films_and_pictures(call, film, people, scene, tmp_path, capsys):
    folder = tmp_path / 'Aufnahmen 測試'
    folder.mkdir()
    shutil.copy(film, folder / 'é.mp4')
    (folder / 'broken.mp4').write_bytes(b'no film')
    picture = scene((people[2][1], 50, 30))
    cv2.imwrite(str(tmp_path / 'a.png'), picture[..., ::-1])
    (tmp_path / 'a.png').rename(folder / 'Bild ü.png')
    out = tmp_path / 'out'
    with pytest.raises(UserError, match='1 of 2 films failed'):
        call(folder, f'--out={out}')
    printed = capsys.readouterr().out
    assert 'broken.mp4: no film' in printed and '80 frames, 80 with a face, 2 people' in printed
    assert (out / 'é.csv').is_file() and (out / 'films.csv').is_file()
    call(folder / 'Bild ü.png', f'--out={out}')
    assert 'Bild ü.png,face' in (out / 'pictures.csv').read_text(encoding='utf-8')
    assert '1 picture, 1 face, 0 unreadable' in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in out.iterdir() if path.stem[0] == 'é'}
    call(folder / 'é.mp4', f'--out={out}')
    assert before == {
        path: path.stat().st_mtime_ns for path in out.iterdir() if path.stem[0] == 'é'
    }


def test_pictures_beside_a_film_that_is_none_are_predicted(call, people, scene, tmp_path, capsys):
    folder, out = tmp_path / 'folder', tmp_path / 'out'
    folder.mkdir()
    (folder / 'holiday.mp4').write_bytes(b'no film')
    (folder / 'a.heic').write_bytes(b'x')
    cv2.imwrite(str(folder / 'b.png'), scene((people[2][1], 50, 30)))
    with pytest.raises(UserError, match='holiday.mp4: no film'):
        call(folder, f'--out={out}')
    assert 'b.png,face' in (out / 'pictures.csv').read_text()
    assert 'note: passed over: 1 .heic; save' in capsys.readouterr().out


def test_names_in_another_coding_are_shown_and_a_film_is_to_be_renamed(
    call, film, people, scene, tmp_path, capsys, monkeypatch
):
    folder, out = tmp_path / os.fsdecode(b'J\xfcrgen'), tmp_path / 'out'
    folder.mkdir()
    sys.stdout.reconfigure(errors='replace')  # as `cli.run` does
    monkeypatch.setattr(sys, 'orig_argv', ['python', str(folder)])
    _, data = cv2.imencode('.png', scene((people[2][1], 50, 30)))
    (folder / os.fsdecode(b'M\xfcller.png')).write_bytes(data.tobytes())
    for name in ('plain.mp4', os.fsdecode(b'M\xfcller.mp4')):
        shutil.copy(film, folder / name)
    (folder / 'broken.mp4').write_bytes(b'no film')
    with pytest.raises(UserError, match='2 of 3 films failed'):
        call(folder, f'--out={out}', '--fps=1')
    assert 'M\ufffdller.png,face' in (out / 'pictures.csv').read_text(encoding='utf-8')
    assert 'M\ufffdller.png' in (out / 'pictures.html').read_text(encoding='utf-8')
    table = (out / 'films.csv').read_text(encoding='utf-8')
    assert 'M\ufffdller.mp4: its name is no text in UTF-8; rename it' in table
    assert 'plain.mp4,done' in table and 'J\ufffdrgen/broken.mp4: no film' in table
    assert 'J\ufffdrgen' in (out / 'plain.html').read_text(encoding='utf-8')


def test_frames_a_second_and_parts_are_chosen(call, film, tmp_path):
    call(film, f'--out={tmp_path}', '--fps=5', '--overlay=false', '--page=false')
    rows = (tmp_path / 'two.csv').read_text().splitlines()[1:]
    assert sorted({row.split(',')[0] for row in rows}, key=float) == [
        f'{k / 5:.4f}' for k in range(16)
    ]
    assert {path.name for path in tmp_path.iterdir()} == {'two.csv', 'two.tracks.csv', 'two.json'}


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ((), 'name a picture, a film or a folder'),
        (('gone.mp4',), 'gone.mp4: no such file'),
        (('--camera=0', 'gone.mp4'), 'do not go together'),
    ],
)
def test_what_cannot_be_is_said(call, arguments, said):
    with pytest.raises(UserError, match=said):
        call(*arguments)


def test_without_a_network_there_is_nothing_to_predict(film, tmp_path, monkeypatch):
    monkeypatch.setattr(model_folder, 'SHIPPED', tmp_path)
    with pytest.raises(UserError, match='small: no such network or folder; give a name'):
        cli.call(command.main, command.define, [str(film)])


def test_codes_are_for_one_film(call, film, tmp_path):
    codes = tmp_path / 'codes.csv'
    codes.write_text('start_s,end_s,label\n0,2,mouth\n2,3.2,middle\n')
    call(film, f'--out={tmp_path}', f'--against={codes}', '--overlay=false')
    assert 'kappa' in (tmp_path / 'two.agreement.csv').read_text()
    other = tmp_path / 'other.mp4'
    shutil.copy(film, other)
    with pytest.raises(UserError, match='for one film'):
        call(film, other, f'--against={codes}')


def test_a_folder_that_cannot_be_written_is_one_line(call, film, tmp_path):
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(UserError, match='cannot write there') as error:
        call(film, f'--out={tmp_path / "file" / "out"}')
    assert '\n' not in str(error.value)


def test_a_full_disk_is_one_line_and_then_it_goes_on(call, film, tmp_path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=40k', 'tmpfs', str(disk)]
    if not shutil.which('mount') or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('no right to mount a small disk here: run as root on a machine of your own')
    try:
        with pytest.raises(UserError, match='[Nn]o space left') as error:
            call(film, f'--out={disk / "out"}')
        assert '\n' not in str(error.value)
        subprocess.run(['mount', '-o', 'remount,size=64m', str(disk)], check=True)
        call(film, f'--out={disk / "out"}')
        assert (disk / 'out' / 'two.html').is_file()
    finally:
        subprocess.run(['umount', '-l', str(disk)], check=True)


def test_a_network_of_sequences_needs_two_frames_a_second(film, tmp_path, monkeypatch, bands):
    model = bands(frames=4, seconds=1.0)
    monkeypatch.setattr(networks, 'open_model', lambda *args, **options: model)
    with pytest.raises(UserError, match='--fps=1: bands sees several frames.* at least 2 a second'):
        cli.call(command.main, command.define, [str(film), '--fps=1', f'--out={tmp_path}'])
    assert not list(tmp_path.iterdir())


def test_a_network_of_sequences_is_smoothed_from_window_to_window(
    film, tmp_path, monkeypatch, bands
):
    model = bands(frames=4, seconds=1.0)
    monkeypatch.setattr(networks, 'open_model', lambda *args, **options: model)
    words = [str(film), f'--out={tmp_path}', '--nopage', '--nooverlay']
    with pytest.raises(UserError, match='--smooth=0.1: bands says .* at least --smooth=0.25'):
        cli.call(command.main, command.define, [*words, '--smooth=0.1'])
    assert not list(tmp_path.iterdir())
    cli.call(command.main, command.define, [*words, '--smooth=0', '--fps=4'])
    assert (tmp_path / 'two.csv').is_file()


def test_no_camera_is_one_line(call):
    with pytest.raises(UserError, match='--camera=63: no camera of that number'):
        call('--camera=63')


class FakeCapture:
    """A camera that shows one person and is unplugged after a while."""

    def __init__(self, image, count=30):
        self.image, self.left = image, count

    def isOpened(self):
        return True

    def read(self):
        self.left -= 1
        time.sleep(0.01)
        return self.left >= 0, self.image[..., ::-1]

    def get(self, _):
        return 0.0

    def release(self):
        self.left = 0


def test_a_camera_is_followed_until_it_ends(call, people, scene, tmp_path, monkeypatch, capsys):
    image = scene((people[0][0], 60, 30))
    monkeypatch.setattr(camera.cv2, 'VideoCapture', lambda number: FakeCapture(image))
    call('--camera=0', f'--out={tmp_path}')
    (table,) = [path for path in tmp_path.glob('camera0-*.csv') if '.tracks' not in path.name]
    rows = table.read_text().splitlines()[1:]
    assert rows and all(row.split(',')[3] == 'face' for row in rows)
    times = [float(row.split(',')[0]) for row in rows]
    assert times == sorted(times) and times[-1] < 20
    assert 'Ctrl-C ends it' in capsys.readouterr().out
    assert not list(tmp_path.glob('*.overlay.mp4'))


def test_a_camera_ends_with_an_interrupt(people, scene, monkeypatch):
    image = scene((people[0][0], 60, 30))
    monkeypatch.setattr(camera.cv2, 'VideoCapture', lambda number: FakeCapture(image, 10_000))
    before = signal.getsignal(signal.SIGINT)
    frames = camera.Camera.open(0, 'it').frames()
    assert next(frames).image.shape == image.shape
    os.kill(os.getpid(), signal.SIGINT)
    assert len(list(frames)) < 5
    assert signal.getsignal(signal.SIGINT) is before


def test_tasks_share_films_and_the_whole_only_reads_them(call, film, tmp_path, capsys):
    folder, out = tmp_path / 'films', tmp_path / 'out'
    folder.mkdir()
    for name in 'abc':
        shutil.copy(film, folder / f'{name}.mp4')
    shared = (folder, f'--out={out}', '--nopage', '--nooverlay', '--at_once=1')
    call(*shared, '--share=1/2')
    assert {path.name for path in out.glob('*.json')} == {'b.json'}
    call(*shared, '--share=0/2')
    assert {path.name for path in out.glob('*.json')} == {'a.json', 'b.json', 'c.json'}
    assert not (out / 'films.csv').exists()
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    call(*shared)
    assert (out / 'films.csv').read_text().count('done') == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert 'the same command without --share writes films.csv' in capsys.readouterr().out
    (folder / 'd.mp4').write_bytes(b'no film')
    call(*shared, '--share=1/2')  # a film that is none fails no task
    assert '1 of 2 films failed' in capsys.readouterr().out
    for wrong in ('2/2', '1', '-1/2', 'a/b'):
        with pytest.raises(UserError, match=f'--share={wrong}: give K/N'):
            call(*shared, f'--share={wrong}')


@pytest.mark.parametrize(
    ('wanted', 'films', 'cores', 'accelerated', 'expected'),
    [(0, 9, 2, False, 1), (0, 9, 4, False, 2), (0, 9, 4, True, 1), (0, 1, 4, False, 1),
     (3, 9, 2, True, 3), (3, 2, 2, False, 2), (0, 0, 4, False, 1)],
)  # fmt: skip
def test_films_at_a_time(wanted, films, cores, accelerated, expected, monkeypatch):
    monkeypatch.setattr(several.host, 'cores', lambda: cores)
    assert several.at_once(wanted, films, accelerated) == expected


@pytest.mark.slow
def test_two_films_at_a_time_say_what_one_says(film, tmp_path, capsys):
    folder = tmp_path / 'films'
    folder.mkdir()
    for name in 'ab':
        shutil.copy(film, folder / f'{name}.mp4')
    (folder / 'c.mp4').write_bytes(b'no film')
    words = [str(folder), '--nopage', '--nooverlay', '--fps=5']
    for count in (1, 2):
        with pytest.raises(UserError, match='1 of 3 films failed'):
            cli.call(
                command.main, command.define,
                [*words, f'--at_once={count}', f'--out={tmp_path / str(count)}'],
            )  # fmt: skip
        assert 'c.mp4: no film' in capsys.readouterr().out
    for name in ('a.csv', 'b.csv', 'a.tracks.csv', 'films.csv'):
        one, two = ((tmp_path / each / name).read_bytes() for each in '12')
        assert one == two, name


@pytest.mark.slow
def test_killed_at_any_moment_the_final_table_is_the_same(people, scene, write_film, tmp_path):
    images = [
        scene((people[k // 120][k // 30 % 4], 20 + k // 3, 30), (people[2][0], 300, 20 + k // 12))
        for k in range(240)
    ]
    film = write_film(tmp_path / 'long.mp4', images)
    script = tmp_path / 'predict.py'
    script.write_text(
        textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {str(ROOT)!r})
        BrightMouth = __import__('tests.predict.conftest', fromlist=['it']).BrightMouth
        from fer_jax import cli
        from fer_jax.predict import __main__ as command, networks
        said = BrightMouth.probabilities
        def slowly(self, clips, length):
            time.sleep(0.3)  # so that there is time to be killed in
            return said(self, clips, length)
        BrightMouth.probabilities = slowly
        networks.open_model = lambda *args, **options: BrightMouth()
        cli.run(command.main, command.define, '')
        """)
    )

    def start(out):
        return subprocess.Popen(
            [sys.executable, str(script), str(film), '--model=any', f'--out={out}'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    assert start(tmp_path / 'whole').wait(300) == 0
    wanted = (tmp_path / 'whole' / 'long.csv').read_bytes()
    rng = np.random.default_rng()
    out = tmp_path / 'killed'
    killed = 0
    for _ in range(5):
        process = start(out)
        until = time.monotonic() + 60
        rows = out / '.long.predicting' / 'rows.csv'
        while not rows.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.8))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed >= 3
    assert start(out).wait(300) == 0
    assert (out / 'long.csv').read_bytes() == wanted
    assert (out / 'long.tracks.csv').read_bytes() == (
        tmp_path / 'whole' / 'long.tracks.csv'
    ).read_bytes()
    assert not list(out.glob('.*'))
