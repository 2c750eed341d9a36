// The time line and the film follow each other: a click on a band goes there, playing moves the line.
const line = document.getElementById('line');
const start = Number(line.dataset.start), end = Number(line.dataset.end);
const video = document.getElementById('shown');
const stills = [...document.querySelectorAll('#stills img')];
const figures = [...line.querySelectorAll('figure')].map((figure) => ({
  figure,
  times: JSON.parse(figure.dataset.times),
  labels: JSON.parse(figure.dataset.labels),
  shares: JSON.parse(figure.dataset.shares),
  names: JSON.parse(figure.dataset.names),
}));
if (video) {
  const text = document.getElementById('film-data').textContent;
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  video.src = URL.createObjectURL(new Blob([bytes], { type: 'video/mp4' }));
}
let now = start;

function show(time) {
  now = Math.min(end, Math.max(start, time));
  const x = ((now - start) / (end - start)) * 1000;
  for (const { figure, times, labels, shares, names } of figures) {
    const mark = figure.querySelector('.now');
    mark.setAttribute('x1', x);
    mark.setAttribute('x2', x);
    let best = -1;
    times.forEach((t, k) => {
      if (best < 0 || Math.abs(t - now) < Math.abs(times[best] - now)) best = k;
    });
    const near = best >= 0 && Math.abs(times[best] - now) < Math.max(0.6, (end - start) / 400);
    figure.querySelector('output').textContent =
      near ? `${names[labels[best]]} ${shares[best].toFixed(2)}` : 'not seen';
  }
  let shown = 0;
  stills.forEach((still, k) => { if (Number(still.dataset.time) <= now + 1e-3) shown = k; });
  stills.forEach((still, k) => { still.style.display = k === shown ? 'block' : 'none'; });
  document.getElementById('at').textContent = `${now.toFixed(2)} s`;
}

function go(time) {
  show(time);
  if (video) video.currentTime = now;
}

for (const { figure } of figures) {
  const band = figure.querySelector('.band');
  band.addEventListener('click', (event) => {
    const box = band.getBoundingClientRect();
    go(start + ((event.clientX - box.left) / box.width) * (end - start));
  });
  band.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: -0.5, ArrowRight: 0.5 }[event.key];
    if (step) { event.preventDefault(); go(now + step); }
  });
}
if (video) {
  video.addEventListener('timeupdate', () => show(video.currentTime));
  video.addEventListener('seeked', () => show(video.currentTime));
}
show(start);
