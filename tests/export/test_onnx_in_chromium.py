"""`small` as ONNX in a browser, by onnxruntime-web: it says there what it says in JAX.

The package is npm's and too large to keep: `npm pack onnxruntime-web`, unpack it, and name its
folder dist in FER_JAX_ORT_WEB.
"""

import functools
import http.server
import json
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import fer_jax
from fer_jax.export import onnx_graph
from fer_jax.export.folder import drawn_faces

DIST = os.environ.get('FER_JAX_ORT_WEB', '')
pytestmark = [
    pytest.mark.chromium,
    pytest.mark.slow,
    pytest.mark.skipif(not DIST, reason='FER_JAX_ORT_WEB names no folder of onnxruntime-web'),
]
PAGE = """<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,">
<script src="ort.wasm.min.js"></script>
<script>
(async () => {
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create('model.onnx');
  const bytes = new Uint8Array(await (await fetch('faces')).arrayBuffer());
  const run = async (data) => {
    const frames = new ort.Tensor('uint8', data, [data.length / SIZE, 1, SIDE, SIDE]);
    return (await session.run({ frames })).probabilities;
  };
  const said = await run(bytes), one = bytes.slice(0, SIZE);
  const times = [];
  for (let k = 0; k < 50; k++) {
    const start = performance.now();
    await run(one);
    times.push(performance.now() - start);
  }
  window.found = { said: [...said.data], dims: said.dims, ms: Math.min(...times) };
})().catch((error) => { window.found = { error: String(error) }; });
</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing of it."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        '.mjs': 'text/javascript',
        '.wasm': 'application/wasm',
    }

    def log_message(self, *_):
        pass


def test_small_says_the_same_in_a_browser(browser, tmp_path):
    onnx = pytest.importorskip('onnx')
    small = fer_jax.load('small')
    onnx.save(onnx_graph._model(small, 'small'), tmp_path / 'model.onnx')
    frames, length = drawn_faces(small)
    planes = onnx_graph._planes(frames)
    (tmp_path / 'faces').write_bytes(planes.tobytes())
    for file in Path(DIST).glob('ort*wasm*'):
        if not file.name.endswith('.map'):
            shutil.copy(file, tmp_path)
    side = planes.shape[-1]
    page = PAGE.replace('SIZE', str(side * side)).replace('SIDE', str(side))
    (tmp_path / 'index.html').write_text(page)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            browser.open(f'http://127.0.0.1:{server.server_port}/index.html', (800, 600))
            until = time.monotonic() + 120
            while not (found := browser.evaluate('window.found')):
                assert time.monotonic() < until
                time.sleep(0.2)
        finally:
            server.shutdown()
    assert 'error' not in found, found
    expected = small.probabilities(frames, length)
    said = np.array(found['said'], np.float32).reshape(found['dims'])
    difference = np.abs(said - expected).max()
    print(json.dumps({'difference': float(difference), 'ms a face': found['ms']}))
    assert said.shape == expected.shape and difference < 1e-5
    assert np.ptp(expected, 0).max() > 0.5
