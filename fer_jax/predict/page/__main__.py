"""Predicts expressions in a browser: upload a picture or a film, or use the camera.

    python -m fer_jax.predict.page [--model=small,RUN,FOLDER] [--port=7860]

The page opens at http://127.0.0.1:7860, for this machine's browsers alone. Give a picture or a
film, or record one with the camera, choose a network, and see the overlay, a time line for each
person and the table; all files of `python -m fer_jax.predict` can be downloaded. The extra `demo`
is needed (Gradio).
First flags: --model=small,RUN, --port. Documented in docs/predict.md.

--model lists the networks that can be chosen: those of the package by their name, finished runs,
and folders that fer_jax.export wrote. What is uploaded is removed when it was looked at, results
after an hour, and everything when the command ends (Ctrl-C). Nothing leaves the machine.

The labels say how people would name the expression in a picture, not what a person feels. The
European Union's AI Act, Article 5(1)(f), forbids inferring emotions at work and in education,
except for medical or safety reasons. This is general information, no legal advice.
"""

import shutil
import tempfile
import time
from pathlib import Path

from absl import flags

from fer_jax import cli
from fer_jax.errors import UserError


def define(fv: flags.FlagValues) -> None:
    """Defines the command's flags."""
    flags.DEFINE_list(
        'model', ['small'], 'networks to choose from: names, finished runs, folders', flag_values=fv
    )
    flags.DEFINE_integer(
        'port', 7860, 'of the page; 0 for the first free one from 7860', 0, 65535, flag_values=fv
    )
    flags.DEFINE_integer('megabytes', 200, 'the largest upload', 1, flag_values=fv)


def main(fv: flags.FlagValues) -> None:
    """Serves the page until it is stopped.

    Raises:
      UserError: Gradio is missing, no such network, or the port is taken.
    """
    if not fv.model:
        raise UserError('--model is empty: name a network, a finished run or a folder')
    from fer_jax import runtime
    from fer_jax.predict import networks
    from fer_jax.predict.page import blocks

    with tempfile.TemporaryDirectory(prefix='fer_jax-', ignore_cleanup_errors=True) as folder:
        gradio = blocks.load_gradio(Path(folder))
        runtime.prepare()
        models = {name: networks.open_model(name) for name in fv.model}
        demo = blocks.serve(gradio, Path(folder), models, fv.port, fv.megabytes)
        try:
            print(f'{demo.local_url}  (Ctrl-C ends it)', flush=True)
            while True:
                time.sleep(1)  # a wait without an end misses a signal that another thread took
        finally:
            demo.close(verbose=False)
            remove(Path(folder))


def remove(folder: Path, seconds: float = 10.0) -> None:
    """Removes a folder that threads of Gradio's may still write into, for as long as they do.

    What is written while a folder is removed is an error, which would take the place of Ctrl-C.

    Args:
      folder: a temporary one.
      seconds: after which what is left stays.
    """
    end = time.monotonic() + seconds
    while folder.exists() and time.monotonic() < end:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


if __name__ == '__main__':
    cli.run(main, define, __doc__)
