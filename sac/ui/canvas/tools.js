// What the visitor does: pointer, keys, buttons.
const button = id => element.querySelector(`#sac-${id}`)
const NEAR = 8, STILL = 4   // pixels of the screen: a point is meant; a pointer has not moved
let tool = 'inside', space = false, drag = null
const touches = new Map()

const place = event => {
  const box = view.getBoundingClientRect()
  return [event.clientX - box.left, event.clientY - box.top]
}
const onPicture = (px, py) => [(px - left) / zoom, (py - top_) / zoom]
const isOn = (x, y) => shown && x >= 0 && y >= 0 && x < shown.width && y < shown.height
const nucleusAt = (x, y) => isOn(x, y) && shown.labels ? shown.labels[Math.floor(y) * shown.width + Math.floor(x)] : 0
// a prompt's coordinates name the middle of a pixel
const prompt = ([x, y]) => ({ x: Math.max(0, Math.min(shown.width - 1, x - 0.5)), y: Math.max(0, Math.min(shown.height - 1, y - 0.5)) })

function pointNear(px, py) {
  if (!layers.points || !shown?.points) return 0
  let best = 0, least = NEAR
  for (const p of shown.used) {
    const distance = Math.hypot(left + (shown.points[p][0] + 0.5) * zoom - px, top_ + (shown.points[p][1] + 0.5) * zoom - py)
    if (distance < least) { least = distance; best = p }
  }
  return best
}

function setTool(name) {
  tool = name
  for (const each of element.querySelectorAll('[data-tool]')) each.setAttribute('aria-checked', each.dataset.tool === name)
  view.dataset.cursor = name === 'pan' ? 'pan' : ''
}

function select(n, more = false) {
  chosenPoint = 0
  if (!n) chosen = more ? chosen : []
  else if (more) chosen = chosen.includes(n) ? chosen.filter(m => m !== n) : [...chosen, n]
  else chosen = [n]
  refreshSelection()
}

function refreshSelection() {
  button('delete').disabled = !chosen.length
  button('merge').disabled = chosen.length < 2
  showSelected()
  draw(false)
}

function showSelected() {
  const bar = element.querySelector('.sac-selected'), n = chosen.at(-1), fact = shown?.nuclei?.[n]
  const point = shown?.points?.[chosenPoint]
  bar.hidden = !n && !point
  if (bar.hidden) return
  const told = chosen.length > 1 ? `${chosen.length} ${shown.sought} selected` : fact ? describe(n) : n ? nothingFound(n) : 'Prompt'
  bar.firstChild.textContent = told
  button('accept').hidden = !fact || chosen.length > 1 || fact[8]
  button('point').hidden = !point
  if (point) button('point').textContent = `Switch ${point[3] ? 'your' : 'automatic'} point ${point[4] ? 'off' : 'on'}`
}

const nothingFound = n => shown.rows?.[n]?.[1]
  ? 'Nothing found in this box: draw it closer, or click inside it'
  : 'Nothing found at this point yet: add points, or drag a box'

// "nuclei" -> "Nucleus", "glands" -> "Gland"
const one = many => (many === 'nuclei' ? 'nucleus' : many.replace(/s$/, '')).replace(/^./, letter => letter.toUpperCase())

function describe(n) {
  const [, , , , area, certainty, stability, origin, accepted] = shown.nuclei[n]
  const size = shown.microns ? `${(area * shown.microns ** 2).toFixed(1)} µm²` : `${area} px`
  const sure = shown.mode === 'instances' ? ` · certainty ${certainty.toFixed(2)} · stability ${stability.toFixed(2)}` : ''
  return `${one(shown.sought)} ${n} · ${size}${sure} · ${accepted ? 'accepted' : origin}`
}

// A click on a nucleus selects it; on the ground it starts a new one. `extend`: the point is for the selected one.
function click(x, y, positive, extend, more) {
  if (!isOn(x, y) || !shown.nuclei) return
  const n = nucleusAt(x, y), mine = chosen.at(-1) || 0
  if (more) return select(n, true)
  const at = prompt([x, y])
  if (!positive) return ask({ do: 'click', positive: false, nucleus: mine || n, ...at })
  if (mine && (extend || n === mine)) return ask({ do: 'click', positive: true, nucleus: mine, ...at })
  if (n) return select(n)
  select(0)
  ask({ do: 'click', positive: true, nucleus: 0, ...at })
}

function pressPoint(p) {
  const own = Object.entries(shown.rows).find(([, [points]]) => points.some(([q, label]) => q === p && label === shown.points[p][2]))
  select(own && shown.mode === 'instances' ? Number(own[0]) : 0)
  chosenPoint = p
  refreshSelection()
}

view.addEventListener('pointerdown', event => {
  if (event.target.closest('.sac-wipe, .sac-selected, .sac-note')) return
  view.focus({ preventScroll: true })
  const [px, py] = place(event)
  if (event.button === 0 && shown && pressComment(px, py)) return event.preventDefault()   // the focus is the note's
  touches.set(event.pointerId, [px, py])
  view.setPointerCapture(event.pointerId)
  if (touches.size === 2) { drag = { kind: 'pinch' }; rubber = null; return draw(false) }
  if (touches.size > 2 || !shown) return
  const region = shown.slide && event.button === 0 && !space && tool !== 'pan'
  const kind = region ? 'region' : event.button === 1 || space || tool === 'pan' || !canEdit() || (!shown.nuclei && event.button === 0) ? 'pan' : event.button === 2 ? 'negative' : tool
  drag = { kind, px, py, last: [px, py], point: ['inside', 'outside'].includes(kind) ? pointNear(px, py) : 0, shift: event.shiftKey || kind === 'extend', more: event.ctrlKey || event.metaKey || kind === 'several' }
  if (kind === 'pan') view.classList.add('sac-dragging')
  if (kind === 'split') rubber = { stroke: [Object.values(prompt(onPicture(px, py)))] }
})

view.addEventListener('pointermove', event => {
  const [px, py] = place(event)
  if (drag?.kind === 'pinch' && touches.has(event.pointerId)) return pinch(event.pointerId, px, py)
  if (!drag) return look(px, py)
  pull(px, py)
})

// What is held follows the pointer, also in the very event that lets it go: fast moves are told late.
function pull(px, py) {
  const moved = Math.hypot(px - drag.px, py - drag.py) > STILL
  if (drag.kind === 'pan') { pan(px - drag.last[0], py - drag.last[1]); drag.last = [px, py]; return }
  if (drag.kind === 'split') rubber?.stroke.push(Object.values(prompt(onPicture(px, py))))
  else if (!['negative', 'several'].includes(drag.kind) && (moved || rubber)) {
    const at = prompt(onPicture(px, py))
    if (drag.point) rubber = { point: drag.point, ...at }
    else { const from = prompt(onPicture(drag.px, drag.py)); rubber = { box: [from.x, from.y, at.x, at.y] } }
    if (drag.kind === 'region') hover.textContent = measured(rubber.box)
  }
  draw(false)
}

view.addEventListener('pointerup', event => {
  touches.delete(event.pointerId)
  view.classList.remove('sac-dragging')
  if (drag && drag.kind !== 'pinch') pull(...place(event))
  const done = drag, held = rubber
  drag = rubber = null
  if (!done || done.kind === 'pan') return
  if (done.kind === 'pinch') { touches.clear(); return }
  const [x, y] = onPicture(done.px, done.py)
  const nucleus = chosen.at(-1) || 0
  if (done.kind === 'region') { if (held?.box) openRegion(held.box) }
  else if (held?.stroke) { if (held.stroke.length > 1) ask({ do: 'split', stroke: held.stroke.slice(0, 4000) }) }
  else if (held?.point) { pressPoint(held.point); ask({ do: 'move', point: held.point, nucleus: chosen.at(-1) || 0, x: held.x, y: held.y }) }
  else if (held?.box) ask({ do: 'box', box: held.box, nucleus: done.shift ? nucleus : 0 })
  else if (done.kind === 'negative') click(x, y, false)
  else if (done.point && !done.more && !done.shift && done.point !== chosenPoint) pressPoint(done.point)
  else if (done.kind !== 'split') click(x, y, done.kind !== 'outside', done.shift, done.more)
  draw(false)
})
view.addEventListener('pointercancel', event => { touches.delete(event.pointerId); drag = rubber = null; draw(false) })
view.addEventListener('pointerleave', () => { hover.textContent = ''; if (under) { under = 0; draw(false) } })
view.addEventListener('contextmenu', event => event.preventDefault())
view.addEventListener('wheel', event => { event.preventDefault(); magnify(Math.exp(-event.deltaY / 400), ...place(event)) }, { passive: false })

// Of a whole slide, only the part below a box is opened: corners in pixels of the preview, whole pixels included.
const spread = ([x0, y0, x1, y1]) => [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1) + 1, Math.max(y0, y1) + 1]

function measured(box) {
  const [x0, y0, x1, y1] = spread(box), k = shown.slide.downsample
  const sides = [(x1 - x0) * k, (y1 - y0) * k].map(Math.round)
  const wide = shown.microns ? ` · ${sides.map(v => (v * shown.microns / 1000).toFixed(2)).join(' × ')} mm` : ''
  return `${sides.map(v => v.toLocaleString('en')).join(' × ')} px${wide}`
}

function openRegion(box) {
  say('Reading the region …')
  view.classList.add('sac-busy')
  trigger('region', { picture: shown.id, box: spread(box) })
}

function pinch(id, px, py) {
  const [other] = [...touches].filter(([key]) => key !== id).map(([, at]) => at)
  const [x, y] = touches.get(id)
  touches.set(id, [px, py])
  if (!other) return
  const before = Math.hypot(x - other[0], y - other[1]), after = Math.hypot(px - other[0], py - other[1])
  pan((px - x) / 2, (py - y) / 2)
  if (before > 0) magnify(after / before, (px + other[0]) / 2, (py + other[1]) / 2)
}

function look(px, py) {
  if (!shown) return
  const [x, y] = onPicture(px, py)
  const n = nucleusAt(x, y)
  if (shown.slide) { hover.textContent = isOn(x, y) ? [x, y].map(v => Math.floor(v * shown.slide.downsample)).join(', ') : ''; return }
  hover.textContent = n ? describe(n) : isOn(x, y) ? `${Math.floor(x)}, ${Math.floor(y)}` : ''
  if (tool !== 'pan') view.dataset.cursor = pointNear(px, py) ? 'point' : ''
  if (n !== under) { under = n; draw(false) }
}

button('next-uncertain').title = `Go to the least certain nucleus (N). Uncertain: certainty × stability below ${DOUBT}.`

function review(acceptFirst) {
  const mine = chosen.at(-1)
  if (acceptFirst && shown?.nuclei?.[mine]) {
    ask({ do: 'accept', nucleus: mine })
    shown.nuclei[mine][8] = true   // at once, so that the next one is another
  }
  const open = uncertain()
  const n = open.find(m => m !== mine) ?? open[0]
  if (!n) { select(0); return say(`No uncertain ${shown?.sought ?? 'nuclei'} are left.`) }
  select(n)
  goTo(n)
}

function step(direction) {
  const all = Object.keys(shown?.nuclei ?? {}).map(Number).sort((a, b) => a - b)
  if (!all.length) return
  const n = all[(all.indexOf(chosen.at(-1)) + direction + all.length) % all.length] ?? all[0]
  select(n)
  goTo(n)
  say(describe(n))
}

function toggle(layer) {
  const on = layers[layer] = !layers[layer]
  element.querySelector(`[data-layer=${layer}]`).setAttribute('aria-pressed', on)
  draw(false)
}

// A stop is twice as bright.
function setStops(stops) {
  brightness = 2 ** stops
  button('brightness').value = stops
  button('brightness').setAttribute('aria-valuetext', `${brightness.toFixed(1)} ×`)
  draw()
}

function compare() {
  if (rival) { rival = null; return refresh(shown.rev) }
  say('Comparing …')
  trigger('compare', {})
}

function placeWipe(share) {
  wipeAt = Math.max(0, Math.min(1, share))
  wipe.style.left = `${100 * wipeAt}%`
  wipe.setAttribute('aria-valuenow', Math.round(100 * wipeAt))
  draw(false)
}

function switchPoint() {
  const point = shown?.points?.[chosenPoint]
  if (point) ask({ do: 'switch', point: chosenPoint, on: !point[4], nucleus: chosen.at(-1) || 0 })
}

const deeds = {
  undo: () => ask({ do: 'undo' }),
  redo: () => ask({ do: 'redo' }),
  delete: () => chosen.length && ask({ do: 'delete', nuclei: chosen }),
  merge: () => chosen.length > 1 && ask({ do: 'merge', nuclei: chosen }),
  clear: () => ask({ do: 'clear' }),
  'next-uncertain': () => review(false),
  accept: () => review(true),
  point: switchPoint,
  compare,
  export: () => { say('Preparing the files …'); trigger('export', { what: button('export-what').value }) },
  help: () => element.querySelector('.sac-keys').showModal(),
}
for (const [id, deed] of Object.entries(deeds)) button(id).addEventListener('click', deed)
for (const each of element.querySelectorAll('[data-tool]')) each.addEventListener('click', () => setTool(each.dataset.tool))
for (const each of element.querySelectorAll('[data-layer]')) each.addEventListener('click', () => toggle(each.dataset.layer))
for (const each of element.querySelectorAll('[data-view]'))
  each.addEventListener('click', () => ({ in: () => magnify(1.4), out: () => magnify(1 / 1.4), fit })[each.dataset.view]())
button('opacity').addEventListener('input', event => { opacity = event.target.value / 100; draw(false) })
button('brightness').addEventListener('input', event => setStops(event.target.value))
button('brightness').addEventListener('dblclick', () => setStops(0))
element.querySelector('.sac-close').addEventListener('click', () => element.querySelector('.sac-keys').close())

let wiping = false
wipe.addEventListener('pointerdown', event => { wiping = true; wipe.setPointerCapture(event.pointerId); event.stopPropagation() })
wipe.addEventListener('pointermove', event => wiping && placeWipe(place(event)[0] / view.clientWidth))
wipe.addEventListener('pointerup', () => { wiping = false })
wipe.addEventListener('keydown', event => {
  const by = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key]
  if (by) { placeWipe(wipeAt + by); event.preventDefault(); event.stopPropagation() }
})

const keys = {
  i: () => setTool('inside'), a: () => setTool('extend'), v: () => setTool('several'), o: () => setTool('outside'), s: () => setTool('split'), p: () => setTool('pan'), t: () => shown?.case && canEdit() && noteHere(),
  Delete: deeds.delete, Backspace: deeds.delete, m: deeds.merge, n: deeds['next-uncertain'], Enter: deeds.accept,
  ',': () => step(-1), '.': () => step(1), x: switchPoint, c: () => shown?.nuclei && compare(), e: () => shown?.nuclei && deeds.export(),
  1: () => toggle('fill'), 2: () => toggle('outline'), 3: () => toggle('points'), 4: () => toggle('truth'), 5: () => toggle('comments'),
  '+': () => magnify(1.25), '=': () => magnify(1.25), '-': () => magnify(0.8), 0: fit, '?': deeds.help,
  ArrowLeft: () => pan(60, 0), ArrowRight: () => pan(-60, 0), ArrowUp: () => pan(0, 60), ArrowDown: () => pan(0, -60),
  PageDown: () => turn(1), PageUp: () => turn(-1), Escape: () => select(0),
}

// Keys work wherever the focus is, except where someone writes, chooses or presses.
document.addEventListener('keydown', event => {
  if (view.offsetParent && (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 's') { event.preventDefault(); return save() }
  if (!view.offsetParent || event.altKey || event.target.closest?.('input, textarea, select, [contenteditable], dialog, [role=listbox]')) return
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'z') { event.preventDefault(); return ask({ do: event.shiftKey ? 'redo' : 'undo' }) }
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'y') { event.preventDefault(); return ask({ do: 'redo' }) }
  if (event.ctrlKey || event.metaKey) return
  const pressing = event.target.closest?.('button, a, [role=tab], [role=radio]')
  if (pressing && ['Enter', ' ', 'ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'].includes(event.key)) return
  if (event.key === ' ') { space = true; view.dataset.cursor = 'pan'; return event.preventDefault() }
  const deed = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key]
  if (deed) { deed(); event.preventDefault() }
})
document.addEventListener('keyup', event => { if (event.key === ' ') { space = false; view.dataset.cursor = tool === 'pan' ? 'pan' : '' } })

// The strip of images.
function turn(direction) {
  if (cards.length > 1) trigger('show', { picture: cards[(at + direction + cards.length) % cards.length].picture })
}

let cards = [], at = 0
function showStrip(value) {
  cards = value.strip
  if (value.index !== undefined) at = value.index
  const row = element.querySelector('.sac-strip')
  row.hidden = !cards.length
  row.replaceChildren(...cards.map((card, index) => {
    const holder = document.createElement('div'), show = document.createElement('button'), away = document.createElement('button')
    const picture = document.createElement('img'), name = document.createElement('b'), state = document.createElement('small')
    holder.className = 'sac-card'
    show.type = away.type = 'button'
    show.dataset.state = card.state
    show.setAttribute('aria-pressed', index === at)
    picture.src = card.thumbnail
    picture.alt = ''
    name.textContent = show.title = card.name
    state.textContent = card.nuclei === null ? card.state : `${card.nuclei} ${card.sought}${card.state === 'edited' ? ' · edited' : ''}`
    show.append(picture, name, state)
    show.addEventListener('click', () => trigger('show', { picture: card.picture }))
    away.className = 'sac-remove'
    away.textContent = '×'
    away.title = 'Close this image and the work on it'
    away.setAttribute('aria-label', `Close ${card.name}`)
    away.addEventListener('click', () => trigger('show', { remove: card.picture }))
    holder.append(show, away)
    return holder
  }))
}

// Files dropped on the stage go the way of the upload field, which checks them.
view.addEventListener('dragover', event => { event.preventDefault(); view.classList.add('sac-over') })
view.addEventListener('dragleave', () => view.classList.remove('sac-over'))
view.addEventListener('drop', event => {
  event.preventDefault()
  view.classList.remove('sac-over')
  const field = document.querySelector('#sac-upload input[type=file]')
  if (!field || !event.dataTransfer.files.length) return
  field.files = event.dataTransfer.files
  field.dispatchEvent(new Event('change', { bubbles: true }))
})

new ResizeObserver(resize).observe(view)
placeWipe(wipeAt)
