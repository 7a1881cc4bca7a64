// What is drawn. Given by Gradio: element, props, trigger, watch. Nothing here asks the server.
const view = element.querySelector('#sac-canvas')
const canvas = view.querySelector('canvas')
const pen = canvas.getContext('2d')
const live = element.querySelector('.sac-live')
const hover = element.querySelector('.sac-hover')
const wipe = element.querySelector('.sac-wipe')
const layers = { fill: true, outline: true, points: true, truth: true, comments: true }
let opacity = 0.35
let brightness = 1    // how many times brighter what is dim is drawn, up to 8
let shown = null      // the picture and its work: see load() in value.js
let rival = null      // { name, fill, outline }: another method's result on the same picture
let wipeAt = 0.5      // where the wipe stands, as a share of the view's width
let zoom = 1, left = 0, top_ = 0
let fitted = true     // until somebody moves or zooms
let viewWidth = 0, viewHeight = 0   // the size at which the picture was laid so
let under = 0         // nucleus below the pointer
let chosen = []       // selected nuclei; the last one is refined by clicks
let chosenPoint = 0
let rubber = null     // what is being dragged: { box } or { stroke } or { point, x, y }
let waiting = false
const sheets = {}     // the layers at the size of the view, so that opacity and toggles only put them together
let stale = true

function draw(changed = true) {
  stale ||= changed
  if (waiting) return
  waiting = true
  requestAnimationFrame(() => { waiting = false; paint() })
}

function paint() {
  const ratio = window.devicePixelRatio || 1
  const width = Math.round(view.clientWidth * ratio), height = Math.round(view.clientHeight * ratio)
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; stale = true }
  pen.setTransform(1, 0, 0, 1, 0, 0)
  pen.clearRect(0, 0, width, height)
  if (!shown || !width) return
  if (stale) { renderSheets(width, height, ratio); stale = false }
  pen.drawImage(sheets.picture, 0, 0)
  const border = rival ? Math.round(wipeAt * width) : width
  putLayers(sheets.fill, sheets.outline, 0, border, height)
  if (rival) putLayers(sheets.rivalFill, sheets.rivalOutline, border, width, height)
  if (shown.truth && layers.truth) pen.drawImage(sheets.truth, 0, 0)
  pen.setTransform(ratio, 0, 0, ratio, 0, 0)
  for (const n of new Set([...chosen, under])) paintEdge(n, chosen.includes(n))
  if (layers.points) paintPoints()
  if (rubber) paintRubber()
  paintPins()
}

function putLayers(fill, outline, from, to, height) {
  if (to <= from || !fill) return
  if (layers.fill) { pen.globalAlpha = opacity; pen.drawImage(fill, from, 0, to - from, height, from, 0, to - from, height); pen.globalAlpha = 1 }
  if (layers.outline) pen.drawImage(outline, from, 0, to - from, height, from, 0, to - from, height)
}

function renderSheets(width, height, ratio) {
  const sources = { picture: shown.picture, fill: shown.fill, outline: shown.outline, truth: shown.truthOutline, rivalFill: rival?.fill, rivalOutline: rival?.outline }
  for (const [name, source] of Object.entries(sources)) {
    if (!source) { delete sheets[name]; continue }
    const sheet = sheets[name]?.width === width && sheets[name].height === height ? sheets[name] : sheets[name] = new OffscreenCanvas(width, height)
    const brush = sheet.getContext('2d')
    brush.setTransform(1, 0, 0, 1, 0, 0)
    brush.clearRect(0, 0, width, height)
    brush.imageSmoothingEnabled = zoom * ratio < 2
    // only the part that is seen: a large picture zoomed in costs what is on the screen
    const x0 = Math.max(0, Math.floor(-left / zoom)), y0 = Math.max(0, Math.floor(-top_ / zoom))
    const x1 = Math.min(shown.width, Math.ceil((view.clientWidth - left) / zoom)), y1 = Math.min(shown.height, Math.ceil((view.clientHeight - top_) / zoom))
    if (x1 <= x0 || y1 <= y0) continue
    const k = zoom * ratio
    const area = [left * ratio + x0 * k, top_ * ratio + y0 * k, (x1 - x0) * k, (y1 - y0) * k]
    brush.drawImage(source, x0, y0, x1 - x0, y1 - y0, ...area)
    if (name === 'picture') brighten(brush, ...area)
  }
}

// White in soft light makes four times of what is dim and the root of what is bright, so that nothing burns out. It is
// laid on what is seen of the picture, in part for less, twice for more: every browser can, and a frame costs little.
function brighten(brush, x, y, width, height) {
  const x0 = Math.ceil(x), y0 = Math.ceil(y)   // whole pixels: the border's, half covered, would be whitened
  brush.save()
  brush.globalCompositeOperation = 'soft-light'
  brush.fillStyle = '#fff'
  for (let gain = brightness; gain > 1; gain /= 4) {
    brush.globalAlpha = Math.min(1, (gain - 1) / 3)
    brush.fillRect(x0, y0, Math.floor(x + width) - x0, Math.floor(y + height) - y0)
  }
  brush.restore()
}

// The border of one nucleus, bright, from the label map itself.
function paintEdge(n, strong) {
  const nucleus = shown.nuclei?.[n]
  if (!nucleus) return
  const [x0, y0, x1, y1] = nucleus
  if (shown.edge?.n !== n || shown.edge.rev !== shown.rev) shown.edge = { n, rev: shown.rev, path: edgePath(n, x0, y0, x1, y1) }
  pen.save()
  pen.translate(left, top_)
  pen.scale(zoom, zoom)
  pen.lineJoin = 'round'
  for (const [colour, size] of [['rgb(0 0 0 / 60%)', strong ? 4.5 : 3], ['#fff', strong ? 2.4 : 1.4]]) {
    pen.lineWidth = size / zoom
    pen.strokeStyle = colour
    pen.stroke(shown.edge.path)
  }
  pen.restore()
}

function edgePath(n, x0, y0, x1, y1) {
  const path = new Path2D(), { labels, width, height } = shown
  const is = (x, y) => x >= 0 && y >= 0 && x < width && y < height && labels[y * width + x] === n
  for (let y = y0; y < y1; y++)
    for (let x = x0; x < x1; x++) {
      if (!is(x, y)) continue
      if (!is(x, y - 1)) { path.moveTo(x, y); path.lineTo(x + 1, y) }
      if (!is(x, y + 1)) { path.moveTo(x, y + 1); path.lineTo(x + 1, y + 1) }
      if (!is(x - 1, y)) { path.moveTo(x, y); path.lineTo(x, y + 1) }
      if (!is(x + 1, y)) { path.moveTo(x + 1, y); path.lineTo(x + 1, y + 1) }
    }
  return path
}

// Positive prompts are dots, negative ones hollow squares. Of the nucleus looked at, all that it was asked with is
// shown, its neighbours' points as its negatives, too; elsewhere each point as what it was set for.
function paintPoints() {
  if (!shown.points) return
  const looked = under || chosen.at(-1)
  const size = Math.max(1.8, Math.min(6, 1.4 * zoom + 0.8))
  const row = shown.mode === 'instances' && shown.rows[looked]
  if (row) {
    for (const [p, label] of row[0]) paintPoint(p, label, 1.35 * size)
    if (row[1]) paintBox(row[1])
    return
  }
  for (const p of shown.used) paintPoint(p, shown.points[p][2], size)
}

function paintPoint(p, label, size) {
  const [px, py, , byHand, on] = shown.points[p]
  const moved = rubber?.point === p ? rubber : { x: px, y: py }
  const x = left + (moved.x + 0.5) * zoom, y = top_ + (moved.y + 0.5) * zoom
  if (x < -20 || y < -20 || x > view.clientWidth + 20 || y > view.clientHeight + 20) return
  if (p === chosenPoint) { pen.beginPath(); pen.arc(x, y, 2.2 * size + 3, 0, 2 * Math.PI); pen.lineWidth = 1.5; pen.strokeStyle = '#fff'; pen.stroke() }
  pen.globalAlpha = on ? 1 : 0.45
  pen.beginPath()
  if (label) {
    pen.arc(x, y, byHand ? 1.3 * size : size, 0, 2 * Math.PI)
    pen.fillStyle = on ? '#00c878' : '#9aa3ad'
    pen.fill()
    pen.lineWidth = byHand ? 1.6 : 1
    pen.strokeStyle = '#fff'
  } else {
    pen.rect(x - 1.3 * size, y - 1.3 * size, 2.6 * size, 2.6 * size)
    pen.lineWidth = byHand ? 2.2 : 1.5
    pen.strokeStyle = on ? '#eb3c50' : '#9aa3ad'
  }
  pen.stroke()
  if (!on) { pen.beginPath(); pen.moveTo(x - 1.5 * size, y + 1.5 * size); pen.lineTo(x + 1.5 * size, y - 1.5 * size); pen.strokeStyle = '#fff'; pen.stroke() }
  pen.globalAlpha = 1
}

function paintBox([x0, y0, x1, y1]) {
  const at = [left + (Math.min(x0, x1) + 0.5) * zoom, top_ + (Math.min(y0, y1) + 0.5) * zoom, Math.abs(x1 - x0) * zoom, Math.abs(y1 - y0) * zoom]
  pen.lineWidth = 3
  pen.strokeStyle = 'rgb(0 0 0 / 55%)'
  pen.strokeRect(...at)
  pen.setLineDash([5, 4])
  pen.lineWidth = 1.5
  pen.strokeStyle = shown.slide ? '#fff' : '#00c878'
  pen.strokeRect(...at)
  pen.setLineDash([])
}

function paintRubber() {
  if (rubber.box) return paintBox(rubber.box)
  if (!rubber.stroke) return
  pen.beginPath()
  for (const [x, y] of rubber.stroke) pen.lineTo(left + (x + 0.5) * zoom, top_ + (y + 0.5) * zoom)
  pen.lineWidth = 2
  pen.strokeStyle = '#ffd21f'
  pen.stroke()
}

// Where the picture lies in the view.
function lay(size, x, y, whole = false) {
  zoom = size
  left = x
  top_ = y
  fitted = whole
  draw()
}

function fit() {
  if (!shown) return
  const size = Math.min(view.clientWidth / shown.width, view.clientHeight / shown.height)
  lay(size, (view.clientWidth - shown.width * size) / 2, (view.clientHeight - shown.height * size) / 2, true)
}

// In a view of another size a fitted picture is fitted anew; of any other, what was in the middle stays there.
function resize() {
  const { clientWidth: width, clientHeight: height } = view
  if (!width) return   // another tab of the page is in front
  if (fitted) fit()
  else lay(zoom, left + (width - viewWidth) / 2, top_ + (height - viewHeight) / 2)
  viewWidth = width
  viewHeight = height
}

function magnify(factor, x = view.clientWidth / 2, y = view.clientHeight / 2) {
  const next = Math.max(0.02, Math.min(40, zoom * factor))
  lay(next, x - (x - left) * next / zoom, y - (y - top_) * next / zoom)
}

function pan(dx, dy) { if (dx || dy) lay(zoom, left + dx, top_ + dy) }

// Brings a place to the middle.
function centre(x, y, size = zoom) { lay(size, view.clientWidth / 2 - x * size, view.clientHeight / 2 - y * size) }

// Brings a nucleus to the middle, close enough to judge it.
function goTo(n) {
  const [x0, y0, x1, y1] = shown.nuclei[n]
  const close = 0.25 * Math.min(view.clientWidth, view.clientHeight) / Math.max(x1 - x0, y1 - y0)
  centre((x0 + x1) / 2, (y0 + y1) / 2, Math.max(zoom, Math.min(12, close)))
}

// A colour per nucleus: steps of the golden ratio round the hue circle, as in the exported overlay.
const table = [0]
function colour(n) {
  while (table.length <= n) {
    const hue = (table.length * 0.618034 % 1) * 6
    const channel = k => Math.round(255 * (1 - 0.75 * Math.max(0, Math.min(1, Math.min((k + hue) % 6, 4 - (k + hue) % 6)))))
    table.push((0xff000000 | channel(1) << 16 | channel(3) << 8 | channel(5)) >>> 0)
  }
  return table[n]
}

const sheetOf = (width, height) => new OffscreenCanvas(width, height)

// Paints a window of a label map onto its fill and outline sheets.
function paintLabels(labels, width, height, fill, outline, x0 = 0, y0 = 0, x1 = width, y1 = height, colourOf = colour) {
  if (x1 <= x0 || y1 <= y0) return
  const filled = new ImageData(x1 - x0, y1 - y0), lined = new ImageData(x1 - x0, y1 - y0)
  const inside = new Uint32Array(filled.data.buffer), border = new Uint32Array(lined.data.buffer)
  for (let y = y0, k = 0; y < y1; y++)
    for (let x = x0, i = y * width + x0; x < x1; x++, i++, k++) {
      const n = labels[i]
      if (!n) continue
      const shade = colourOf(n)
      inside[k] = shade
      if ((x > 0 && labels[i - 1] !== n) || (x < width - 1 && labels[i + 1] !== n) || (y > 0 && labels[i - width] !== n) || (y < height - 1 && labels[i + width] !== n)) border[k] = shade
    }
  fill?.getContext('2d').putImageData(filled, x0, y0)
  outline.getContext('2d').putImageData(lined, x0, y0)
}
