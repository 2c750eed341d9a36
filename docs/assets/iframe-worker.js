// The search of the site runs in a Worker, which browsers do not start for pages that are opened from
// the disk. There, and only there, a hidden frame takes the worker's place.
if (location.protocol === 'file:') {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement('iframe')
      this.frame.hidden = true
      this.frame.srcdoc =
        "<script>postMessage = data => parent.postMessage(data, '*')<\/script>" +
        `<script src="${url}"><\/script>`
      this.ready = new Promise(done => this.frame.addEventListener('load', done))
      window.addEventListener('message', event => {
        if (event.source === this.frame.contentWindow)
          this.dispatchEvent(new MessageEvent('message', { data: event.data }))
      })
      document.body.append(this.frame)
    }

    postMessage(data) {
      this.ready.then(() =>
        this.frame.contentWindow.dispatchEvent(new MessageEvent('message', { data })))
    }
  }
}
