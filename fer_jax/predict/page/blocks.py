"""The page in the browser, with Gradio: what is chosen on it, and what it shows.

Gradio reports to nobody here and loads nothing from elsewhere: no telemetry, no fonts, no shared
address. What is uploaded is removed as soon as it was looked at.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from fer_jax import atomic
from fer_jax.errors import UserError
from fer_jax.predict.jobs import FILMS, PICTURES
from fer_jax.predict.models import FaceClassifier
from fer_jax.predict.page import showing
from fer_jax.reports import page

# Only this machine's own browser reaches it.
HOST = '127.0.0.1'
# Seconds after which results, and uploads that nobody had looked at, are removed, and how often
# that is looked after.
KEPT, EVERY = 3600, 60
_WAITING = 8  # people's turns; one is served at a time, since a film takes all cores

_CSS = """
.gradio-container {
  max-width: min(72rem, 100vw) !important; margin-inline: auto !important; overflow-x: clip
}
.gradio-container main, .gradio-container .block { max-width: 100%; min-width: 0 !important }
iframe.fer-jax { width: 100%; height: 40rem; border: 0; border-radius: .6rem; display: block }
#note, #note * { font-size: .875rem }
#note { opacity: .8 }
#files button[aria-label*="emove"] { display: none }
"""
# Frames of results tell how high they are.
_JS = """() => addEventListener('message', (event) => {
  for (const frame of document.querySelectorAll('iframe.fer-jax'))
    if (frame.contentWindow === event.source && event.data.fer_jax_height)
      frame.style.height = `${event.data.fer_jax_height + 8}px`;
})"""


def load_gradio(folder: Path) -> ModuleType:
    """Imports Gradio with its telemetry off and its files in `folder`.

    Raises:
      UserError: it is not installed.
    """
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
    os.environ['GRADIO_SERVER_NAME'] = HOST  # read where it looks for a free port
    os.environ['HF_HUB_DISABLE_TELEMETRY'] = '1'
    os.environ['GRADIO_TEMP_DIR'] = str(folder / 'gradio')
    try:
        import gradio
    except ImportError as error:
        raise UserError("gradio is not installed: pip install 'fer_jax[demo]'") from error
    return gradio


def serve(
    gradio: ModuleType,
    folder: Path,
    models: Mapping[str, FaceClassifier],
    port: int,
    megabytes: int,
) -> Any:
    """Opens the page and returns it; `close()` ends it.

    Args:
      folder: of `load_gradio`; results lie there, outside Gradio's own, until they are shown.
      models: what can be chosen, by name; the first is chosen.
      port: 0 for the first free one from 7860.
      megabytes: the largest upload.
    Raises:
      UserError: the port is taken.
    """
    demo = compose(gradio, folder, models, megabytes)
    demo.queue(max_size=_WAITING, default_concurrency_limit=1)
    try:
        demo.launch(
            server_name=HOST,
            server_port=port or None,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            max_file_size=megabytes * 1_000_000,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            theme=gradio.themes.Base(
                font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace']
            ),
            css=_CSS,
            js=_JS,
        )
    except OSError as error:
        raise UserError(f'--port={port}: taken; give another one, or 0 for a free one') from error
    return demo


def compose(
    gradio: ModuleType, folder: Path, models: Mapping[str, FaceClassifier], megabytes: int
) -> Any:
    """Composes the page, a gradio.Blocks; arguments as of `serve`."""
    with gradio.Blocks(
        title='Facial expressions', analytics_enabled=False, delete_cache=(EVERY, KEPT)
    ) as demo:
        gradio.Markdown('# Facial expressions\nin a picture, a film, or before the camera')
        with gradio.Row():
            with gradio.Column(scale=3), gradio.Tabs():
                with gradio.Tab('File'):
                    upload = gradio.File(
                        label=f'A picture or a film, at most {megabytes} MB',
                        file_types=sorted(FILMS | PICTURES),
                        height=220,
                    )
                    look = gradio.Button('Look at the file', variant='primary')
                with gradio.Tab('Camera'):
                    camera = gradio.Video(
                        label='Record, stop, then look at it',
                        sources=['webcam'],
                        include_audio=False,
                        webcam_options=gradio.WebcamOptions(mirror=False),
                        height=320,
                    )
                    # The film as the browser recorded it; Gradio would call ffmpeg for it.
                    camera.preprocess = lambda payload: payload and payload.path
                    look_camera = gradio.Button('Look at the recording', variant='primary')
            with gradio.Column(scale=2):
                model = gradio.Dropdown([*models], value=next(iter(models)), label='Network')
                blur = gradio.Checkbox(False, label='Hide faces in what is drawn')
                gradio.Markdown(
                    f'{page.NOTE}\n\nThis page runs on this machine alone. What you give it is '
                    'removed as soon as it was looked at; results are removed after an hour, or '
                    'when the command ends.',
                    elem_id='note',
                )
        summary = gradio.Markdown(visible=False)
        picture = gradio.Image(
            visible=False, show_label=False, interactive=False, buttons=['fullscreen']
        )
        result = gradio.HTML(visible=False, padding=False)
        table = gradio.Dataframe(visible=False, interactive=False, max_height=360)
        files = gradio.File(
            visible=False, label='Download', file_count='multiple', interactive=False,
            elem_id='files',
        )  # fmt: skip
        shown = [summary, picture, result, table, files]

        def answer(
            path: str | None,
            name: str,
            hidden: bool,
            tell=gradio.Progress(),  # noqa: B008 (Gradio finds it by this default)
        ) -> Iterator[list[Any]]:
            """Predicts an upload and removes it, whatever comes of it."""
            if not path or not Path(path).is_file():
                yield _said(gradio, 'Give a picture or a film first.')
                return
            try:
                # Gradio copies what is shown while this waits for the next call.
                with tempfile.TemporaryDirectory(dir=folder) as out:
                    found = showing.show(
                        Path(path), Path(out), models[name], blur=hidden,
                        progress=lambda share, stage: tell(share, desc=stage),
                    )  # fmt: skip
                    yield [None, *_updates(gradio, found)]
            except UserError as error:
                yield _said(gradio, str(error))
            except OSError as error:
                said = atomic.refusal(error)
                if not said:
                    raise
                yield _said(gradio, said)
            finally:
                Path(path).unlink(missing_ok=True)

        for button, given in ((look, upload), (look_camera, camera)):
            button.click(
                answer, [given, model, blur], [given, *shown],
                show_progress_on=[given], api_visibility='private',
            )  # fmt: skip
    return demo


def _said(gradio: ModuleType, message: str) -> list[Any]:
    """Returns an emptied input, and the parts that show results with a message alone."""
    return [
        None,
        gradio.Markdown(f'**{_plain(message)}**', visible=True),
        gradio.Image(None, visible=False),
        gradio.HTML('', visible=False),
        gradio.Dataframe(visible=False),
        gradio.File(None, visible=False),
    ]


def _updates(gradio: ModuleType, found: showing.Shown) -> list[Any]:
    """Returns what becomes of the five parts that show results."""
    label = f'The table{f", its first {showing.ROWS} rows" * (len(found.rows) == showing.ROWS)}'
    return [
        gradio.Markdown(f'**{_plain(found.summary)}**', visible=True),
        gradio.Image(found.picture and str(found.picture), visible=found.picture is not None),
        gradio.HTML(found.page, visible=bool(found.page)),
        gradio.Dataframe(found.rows, headers=found.header, label=label, visible=True),
        gradio.File([str(path) for path in found.files], visible=True),
    ]


def _plain(text: str) -> str:
    """Escapes what Markdown would read as markup."""
    return re.sub(r'[\\`*_{}\[\]<>()#!|~&$]', lambda found: f'&#{ord(found[0])};', text)
