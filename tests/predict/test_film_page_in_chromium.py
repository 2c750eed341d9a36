"""film.html in a real browser: the film plays, a click goes to its time, nothing complains."""

import numpy as np
import pytest

from fer_jax.predict import film_page, jobs
from fer_jax.predict.films import Film
from fer_jax.predict.jobs import Options

pytestmark = pytest.mark.chromium

DESKTOP, PHONE = (1280, 900), (390, 844)

CLICK = """(async () => {
  const band = document.querySelector('.band'), box = band.getBoundingClientRect();
  const video = document.getElementById('shown');
  for (let k = 0; video && video.readyState < 1 && k < 200; k++)
    await new Promise((done) => setTimeout(done, 50));
  band.dispatchEvent(new MouseEvent('click', { clientX: box.left + box.width * SHARE }));
  await new Promise((done) => setTimeout(done, 300));
  const figures = [...document.querySelectorAll('#line figure')];
  return {
    at: document.getElementById('at').textContent,
    film: video && [video.currentTime, video.duration, video.videoWidth],
    still: [...document.querySelectorAll('#stills img')]
      .filter((image) => image.style.display === 'block').map((image) => image.dataset.time),
    loaded: [...document.querySelectorAll('#stills img')].every((image) => image.naturalWidth),
    said: figures.map((figure) => figure.querySelector('output').textContent),
    now: document.querySelector('.now').getAttribute('x1'),
    wide: document.documentElement.scrollWidth - innerWidth,
  };
})()"""


@pytest.fixture(scope='module')
def page(tmp_path_factory, people, scene, write_film, bands):
    """The page of four seconds; a second person is there in the last one."""
    folder = tmp_path_factory.mktemp('page')
    images = []
    for k in range(100):
        parts = [(people[0][k // 25], 20 + k // 2, 30)]
        if k >= 75:
            parts.append((people[1][0], 300, 40))
        images.append(scene(*parts))
    film = write_film(folder / 'film.mp4', images, sound=True)
    about = jobs.predict_film(Film.open(film), folder / 'film', bands(), Options())
    return folder, about


def clicked(browser, share):
    """Clicks at a share of the first band's width; returns what the page shows then."""
    answer = browser.call(
        'Runtime.evaluate', expression=CLICK.replace('SHARE', str(share)), awaitPromise=True,
        returnByValue=True,
    )  # fmt: skip
    assert 'exceptionDetails' not in answer, answer
    return answer['result']['value']


@pytest.mark.parametrize('size', [DESKTOP, PHONE])
def test_a_click_on_the_line_goes_to_its_time(browser, page, size):
    folder, _ = page
    browser.open(folder / 'film.html', size)
    found = clicked(browser, 0.5)
    time, duration, width = found['film']
    assert duration == pytest.approx(4, abs=0.1) and width == 480
    assert time == pytest.approx(0.5 * 3.96, abs=0.08)
    assert float(found['at'].split()[0]) == pytest.approx(time, abs=0.08)
    assert float(found['now']) == pytest.approx(500, abs=15)
    assert found['said'][0].split()[0] in ('forehead', 'middle', 'mouth')
    assert found['said'][1] == 'not seen'
    assert clicked(browser, 0.95)['said'][1] != 'not seen'
    assert found['wide'] <= 0
    assert browser.complaints() == []


def test_without_the_film_the_frame_of_that_time_is_shown(browser, page, tmp_path, made):
    _, about = page
    result = made([1] * 60, [0] * 20 + [1] * 20 + [2] * 20)
    stills = [(t, np.full((40, 60, 3), 90, np.uint8)) for t in film_page.changes(result)]
    text = film_page.text('a.mp4', result, about, film=None, stills=stills, table=b'a\n', base='a')
    (tmp_path / 'stills.html').write_text(text, encoding='utf-8')
    browser.open(tmp_path / 'stills.html', DESKTOP)
    assert clicked(browser, 0.5)['still'] == ['2.000']
    found = clicked(browser, 0.99)
    assert found['still'] == ['4.000'] and found['loaded']
    assert browser.complaints() == []


def test_the_pictures_page_is_quiet(browser, people, scene, tmp_path, bands):
    import cv2

    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), scene((people[0][0], 40, 30), (people[1][0], 270, 30))[..., ::-1])
    jobs.predict_pictures([('a.png', path)], tmp_path / 'out', bands(), Options())
    browser.open(tmp_path / 'out' / 'pictures.html', PHONE)
    assert browser.evaluate('[...document.images].every((image) => image.naturalWidth)')
    assert browser.evaluate('document.images.length') == 2
    assert browser.complaints() == []
