// The stage. Given by Gradio: element, props, watch. Everything shown is drawn here from the last value.
const view = element.querySelector('#sac-canvas')
const canvas = view.querySelector('canvas')
const pen = canvas.getContext('2d')
const live = element.querySelector('.sac-live')
const hover = element.querySelector('.sac-hover')
const layers = { fill: true, outline: true, points: true }
let opacity = 0.35
let shown = null   // { value, picture, labels, fill, outline }
let zoom = 1, left = 0, top_ = 0
let under = 0      // nucleus under the pointer
let waiting = false

function draw() {
  if (waiting) return
  waiting = true
  requestAnimationFrame(() => { waiting = false; paint() })
}

function paint() {
  const ratio = window.devicePixelRatio || 1
  const width = view.clientWidth, height = view.clientHeight
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio)
    canvas.height = Math.round(height * ratio)
  }
  pen.setTransform(1, 0, 0, 1, 0, 0)
  pen.clearRect(0, 0, canvas.width, canvas.height)
  if (!shown) return
  pen.setTransform(ratio * zoom, 0, 0, ratio * zoom, ratio * left, ratio * top_)
  pen.imageSmoothingEnabled = zoom < 2
  pen.drawImage(shown.picture, 0, 0)
  if (layers.fill) { pen.globalAlpha = opacity; pen.drawImage(shown.fill, 0, 0); pen.globalAlpha = 1 }
  if (layers.outline) pen.drawImage(shown.outline, 0, 0)
  pen.setTransform(ratio, 0, 0, ratio, 0, 0)
  if (layers.points) paintPoints()
}

// Positive prompts are dots, negative ones hollow squares, so that a neighbour's dot still shows inside a square.
function paintPoints() {
  const size = Math.max(1.8, Math.min(6, 1.4 * zoom + 0.8)) * (under ? 1.4 : 1)
  const rows = under ? shown.value.prompts.filter(row => row.nucleus === under) : shown.value.prompts
  for (const kind of [0, 1])
    for (const row of rows)
      for (const [x, y, label] of row.points)
        if (label === kind) paintPoint(left + (x + 0.5) * zoom, top_ + (y + 0.5) * zoom, label, size)
}

function paintPoint(x, y, label, size) {
  pen.beginPath()
  if (label) {
    pen.arc(x, y, size, 0, 2 * Math.PI)
    pen.fillStyle = '#00c878'
    pen.fill()
    pen.lineWidth = 1
    pen.strokeStyle = '#fff'
  } else {
    pen.rect(x - 1.6 * size, y - 1.6 * size, 3.2 * size, 3.2 * size)
    pen.lineWidth = 1.4
    pen.strokeStyle = '#eb3c50'
  }
  pen.stroke()
}

function fit() {
  if (!shown) return
  const { width, height } = shown.value
  zoom = Math.min(view.clientWidth / width, view.clientHeight / height)
  left = (view.clientWidth - width * zoom) / 2
  top_ = (view.clientHeight - height * zoom) / 2
  draw()
}

function magnify(factor, x = view.clientWidth / 2, y = view.clientHeight / 2) {
  const next = Math.max(0.02, Math.min(40, zoom * factor))
  left = x - (x - left) * next / zoom
  top_ = y - (y - top_) * next / zoom
  zoom = next
  draw()
}

// A colour per nucleus: steps of the golden ratio round the hue circle, as in the exported overlay.
function colours(count) {
  const table = new Uint32Array(count + 1)
  for (let n = 1; n <= count; n++) {
    const hue = (n * 0.618034 % 1) * 6
    const channel = k => Math.round(255 * (1 - 0.75 * Math.max(0, Math.min(1, Math.min((k + hue) % 6, 4 - (k + hue) % 6)))))
    table[n] = 0xff000000 | channel(1) << 16 | channel(3) << 8 | channel(5)
  }
  return table
}

function paintLabels(labels, width, height, count) {
  const table = colours(count)
  const fill = new ImageData(width, height), outline = new ImageData(width, height)
  const inside = new Uint32Array(fill.data.buffer), border = new Uint32Array(outline.data.buffer)
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) {
      const n = labels[i]
      if (!n) continue
      inside[i] = table[n]
      const edge = (x > 0 && labels[i - 1] !== n) || (x < width - 1 && labels[i + 1] !== n) ||
        (y > 0 && labels[i - width] !== n) || (y < height - 1 && labels[i + width] !== n)
      if (edge) border[i] = table[n]
    }
  return [fill, outline].map(pixels => {
    const sheet = new OffscreenCanvas(width, height)
    sheet.getContext('2d').putImageData(pixels, 0, 0)
    return sheet
  })
}

async function load(value) {
  if (!value || !value.image) return
  const [picture, packed] = await Promise.all([fetch(value.image.url).then(r => r.blob()).then(createImageBitmap), fetch(value.labels.url)])
  const stream = packed.body.pipeThrough(new DecompressionStream('gzip'))
  const labels = new Uint32Array(await new Response(stream).arrayBuffer())
  const count = value.certainty.length
  const [fill, outline] = paintLabels(labels, value.width, value.height, count)
  const same = shown && shown.value.name === value.name && shown.value.width === value.width && shown.value.height === value.height
  shown = { value, picture, labels, fill, outline }
  under = 0
  element.querySelector('.sac-empty').hidden = true
  if (!same) fit()
  paint()
  announce(value, count)
}

function announce(value, count) {
  const distinct = new Set()
  for (const row of value.prompts) for (const point of row.points) distinct.add(point.join())
  view.dataset.nuclei = count
  view.dataset.points = distinct.size
  view.dataset.rev = value.rev
  const positive = [...distinct].filter(key => key.endsWith(',1')).length
  live.textContent = `${count} nuclei · ${positive} positive and ${distinct.size - positive} negative prompts`
  view.setAttribute('aria-label', `${value.name}: ${live.textContent}`)
}

function point(event) {
  const box = view.getBoundingClientRect()
  return [event.clientX - box.left, event.clientY - box.top]
}

function look(event) {
  if (!shown) return
  const [px, py] = point(event)
  const x = Math.floor((px - left) / zoom), y = Math.floor((py - top_) / zoom)
  const on = x >= 0 && y >= 0 && x < shown.value.width && y < shown.value.height
  const n = on ? shown.labels[y * shown.value.width + x] : 0
  hover.textContent = n ? `Nucleus ${n} · certainty ${shown.value.certainty[n - 1].toFixed(2)}` : on ? `${x}, ${y}` : ''
  if (n !== under) { under = n; draw() }
}

let drag = null
view.addEventListener('pointerdown', event => { drag = point(event); view.setPointerCapture(event.pointerId); view.classList.add('sac-dragging') })
view.addEventListener('pointerup', () => { drag = null; view.classList.remove('sac-dragging') })
view.addEventListener('pointerleave', () => { hover.textContent = ''; if (under) { under = 0; draw() } })
view.addEventListener('pointermove', event => {
  if (!drag) return look(event)
  const [x, y] = point(event)
  left += x - drag[0]; top_ += y - drag[1]
  drag = [x, y]
  draw()
})
view.addEventListener('wheel', event => { event.preventDefault(); magnify(Math.exp(-event.deltaY / 400), ...point(event)) }, { passive: false })
view.addEventListener('dblclick', fit)
view.addEventListener('keydown', event => {
  const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }
  if (event.key === '+' || event.key === '=') magnify(1.25)
  else if (event.key === '-') magnify(0.8)
  else if (event.key === '0') fit()
  else if (moves[event.key]) { left += moves[event.key][0]; top_ += moves[event.key][1]; draw() }
  else return
  event.preventDefault()
})
for (const button of element.querySelectorAll('[data-layer]'))
  button.addEventListener('click', () => {
    const on = layers[button.dataset.layer] = !layers[button.dataset.layer]
    button.setAttribute('aria-pressed', on)
    draw()
  })
for (const button of element.querySelectorAll('[data-view]'))
  button.addEventListener('click', () => ({ in: () => magnify(1.4), out: () => magnify(1 / 1.4), fit })[button.dataset.view]())
element.querySelector('.sac-opacity input').addEventListener('input', event => { opacity = event.target.value / 100; draw() })
new ResizeObserver(draw).observe(view)

let chain = Promise.resolve()
watch('value', () => { const value = props.value; chain = chain.then(() => load(value)).catch(error => { live.textContent = 'The result could not be drawn; press Segment again.'; console.error(error) }) })
