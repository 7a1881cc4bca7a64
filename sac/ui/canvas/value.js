// What the server sends, and the orders that wait for its answer. One order at a time, so that edits keep their order.
const orders = []
let asked = null, counted = 0
const PATIENCE = 20000   // milliseconds, after which an answer counts as lost and everything is sent again

function ask(order) {
  if (!shown?.nuclei || (order.do !== 'judge' && !canEdit())) return
  orders.push({ ...order, answer: ++counted, picture: shown.id })
  next()
}

function next() {
  if (asked || !orders.length) return
  asked = orders.shift()
  view.classList.add('sac-busy')
  asked.timer = setTimeout(() => { answered(String(asked?.answer)); trigger('show', { resend: true }) }, PATIENCE)
  const { timer, ...order } = asked
  if (order.do === 'judge') trigger('judge', order)
  else trigger('edit', order)
}

function answered(number) {
  if (!asked || String(asked.answer) !== number) return
  clearTimeout(asked.timer)
  asked = null
  if (!orders.length) view.classList.remove('sac-busy')
  next()
}

const unzipped = (bytes, kind) => new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream(kind))).arrayBuffer()
const fetched = async file => new Uint32Array(await unzipped(await (await fetch(file.url)).arrayBuffer(), 'gzip'))

async function load(value) {
  if (!value?.kind) return
  if (value.kind === 'full') await loadFull(value)
  else if (value.kind === 'patch') await loadPatch(value)
  else if (value.kind === 'rival') await loadRival(value)
  else if (value.kind === 'marks') loadMarks(value)
  else if (value.kind === 'case') loadCase(value)
  else if (value.kind === 'file') await saveFile(value)
  if (value.strip) showStrip(value)
  if (value.kind === 'full' || value.kind === 'case') followCase()
  if (value.said) say(value.said, value.warns)
  if (value.answer) answered(value.answer)
  else if (!asked) view.classList.remove('sac-busy')
}

async function loadFull(value) {
  const same = shown && value.image && shown.image === value.image.url
  if (!value.image) {
    shown = rival = null
    element.querySelector('.sac-empty').hidden = false
  } else {
    const picture = same ? shown.picture : await fetch(value.image.url).then(r => r.blob()).then(createImageBitmap)
    const { width, height } = value
    const next = { ...value, id: value.picture, image: value.image.url, picture, mistakes: null }
    next.labels = value.labels ? await fetched(value.labels) : null
    if (next.labels) {
      next.fill = sheetOf(width, height)
      next.outline = sheetOf(width, height)
      paintLabels(next.labels, width, height, next.fill, next.outline)
    }
    next.truth = value.truth ? await fetched(value.truth) : null
    if (!same) rival = null
    shown = next
    element.querySelector('.sac-empty').hidden = true
  }
  chosen = []; chosenPoint = under = 0; rubber = null
  if (!same) fit()
  refresh(value.rev)
  if (shown?.truth) paintTruth()
  judgeSoon()
}

async function loadPatch(value) {
  if (!shown || value.base !== shown.rev) return trigger('show', { resend: true })
  const [x, y, w, h] = value.window
  if (w && h) {
    const part = new Uint32Array(await unzipped(Uint8Array.from(atob(value.labels), c => c.charCodeAt(0)), 'deflate'))
    for (let row = 0; row < h; row++) shown.labels.set(part.subarray(row * w, (row + 1) * w), (y + row) * shown.width + x)
    paintLabels(shown.labels, shown.width, shown.height, shown.fill, shown.outline, Math.max(0, x - 1), Math.max(0, y - 1), Math.min(shown.width, x + w + 1), Math.min(shown.height, y + h + 1))
  }
  for (const part of ['nuclei', 'points', 'rows'])
    for (const [n, fact] of Object.entries(value[part])) if (fact) shown[part][n] = fact; else delete shown[part][n]
  shown.undo = value.undo
  shown.redo = value.redo
  if (shown.case) shown.case.unsaved = value.unsaved
  if (value.select) chosen = [value.select]
  else chosen = chosen.filter(n => shown.nuclei[n] || shown.rows[n])
  if (chosenPoint && !shown.points[chosenPoint]) chosenPoint = 0
  if (under && !shown.nuclei[under]) under = 0
  refresh(value.rev)
  paint()
  judgeSoon()
}

async function loadRival(value) {
  if (value.of !== shown?.id) return   // another picture was opened meanwhile
  const labels = await fetched(value.labels)
  const fill = sheetOf(shown.width, shown.height), outline = sheetOf(shown.width, shown.height)
  paintLabels(labels, shown.width, shown.height, fill, outline)
  rival = { name: value.name, fill, outline }
  element.querySelector('.sac-theirs').textContent = value.name
  placeWipe(wipeAt)
  refresh(shown.rev)
  say(`${value.name} is on the right of the wipe`)
}

function loadMarks(value) {
  if (!shown?.truth || value.rev !== shown.rev) return
  shown.mistakes = { missed: new Set(value.missed), extra: new Set(value.extra), merged: new Set(value.merged) }
  paintTruth()
  draw()
}

// True outlines: thin and white where found, broken yellow where missed; found ones that are wrong, in their colour.
function paintTruth() {
  const { width, height, truth, labels, mistakes } = shown
  const sheet = sheetOf(width, height), brush = sheet.getContext('2d')
  const layer = sheetOf(width, height)
  const shades = { missed: 0xff1fd2ff, extra: 0xffd84fff, merged: 0xff1f8aff }
  paintLabels(truth, width, height, null, sheet, 0, 0, width, height, n => mistakes?.missed.has(n) ? shades.missed : 0xb0ffffff)
  if (mistakes && labels) {
    paintLabels(labels, width, height, null, layer, 0, 0, width, height, n => mistakes.extra.has(n) ? shades.extra : mistakes.merged.has(n) ? shades.merged : 0)
    brush.drawImage(layer, 0, 0)
  }
  shown.truthOutline = sheet
}

let judging = 0
function judgeSoon() {
  clearTimeout(judging)
  if ((shown?.truth || rival) && shown.nuclei) judging = setTimeout(() => ask({ do: 'judge' }), 400)
}

// Everything beside the canvas that says what is on it.
function refresh(rev) {
  const nuclei = shown?.nuclei ? Object.keys(shown.nuclei).length : 0
  if (shown) { shown.rev = rev; shown.edge = null; view.dataset.width = shown.width; view.dataset.height = shown.height }
  const [positive, negative] = countPoints()
  view.dataset.picture = shown?.id ?? ''   // which the buttons beside the canvas mean
  view.dataset.nuclei = nuclei
  view.dataset.points = positive + negative
  const work = shown?.nuclei, open = uncertain().length
  for (const [id, on] of Object.entries({
    undo: shown?.undo, redo: shown?.redo, delete: chosen.length, merge: chosen.length > 1, clear: nuclei || positive + negative,
    compare: work, export: work, 'next-uncertain': open })) button(id).disabled = !on
  button('compare').setAttribute('aria-pressed', !!rival)
  button('compare').textContent = rival ? 'End comparison' : 'Compare'
  wipe.hidden = !rival
  button('next-uncertain').textContent = open ? `Next uncertain · ${open} left` : 'Next uncertain'
  element.querySelector('[data-layer=truth]').hidden = element.querySelector('.sac-key').hidden = !shown?.truth
  showSelected()
  refreshCase()
  if (work) {
    live.textContent = `${nuclei} ${shown.sought} · ${positive} positive and ${negative} negative prompts`
    live.classList.remove('sac-warns')
    view.setAttribute('aria-label', `${shown.name}: ${live.textContent}`)
  } else {
    live.textContent = shown?.slide ? `A whole slide of ${shown.slide.width.toLocaleString('en')} × ${shown.slide.height.toLocaleString('en')} px: drag a rectangle over the part to segment` : ''
    live.classList.remove('sac-warns')
    view.setAttribute('aria-label', shown ? `${shown.name}: not segmented yet` : 'Nothing segmented yet')
  }
  draw()
  view.dataset.rev = rev   // last: whoever waits for it finds the rest done
}

// Distinct points that are in use, as they are asked: a point may be one nucleus's positive and another's negative.
function countPoints() {
  const kinds = [new Set(), new Set()]
  if (!shown?.rows) return [0, 0]
  const used = new Set()
  for (const [points] of Object.values(shown.rows))
    for (const [p, label] of points) { used.add(p); if (shown.points[p][4]) kinds[label].add(p) }
  shown.used = [...used]
  return [kinds[1].size, kinds[0].size]
}

// On pictures held out from training, half of the nuclei below it or more have an IoU under .6 with the truth.
const DOUBT = 0.55
const doubt = n => shown.nuclei[n][5] * shown.nuclei[n][6]

// Automatic nuclei that were not accepted yet and are less certain than DOUBT, the least certain first.
function uncertain() {
  if (!shown?.nuclei || shown.mode !== 'instances') return []
  const open = Object.keys(shown.nuclei).filter(n => shown.nuclei[n][7] === 'automatic' && !shown.nuclei[n][8] && doubt(n) < DOUBT)
  return open.map(Number).sort((a, b) => doubt(a) - doubt(b) || a - b)
}

function say(text, warns = false) {
  live.textContent = text
  live.classList.toggle('sac-warns', warns)
}

async function saveFile(value) {
  const link = document.createElement('a'), inline = value.file.url.startsWith('data:')
  link.href = inline ? URL.createObjectURL(await (await fetch(value.file.url)).blob()) : value.file.url
  link.download = value.name
  link.click()
  if (inline) setTimeout(() => URL.revokeObjectURL(link.href), 60000)
}

let loading = Promise.resolve()
watch('value', () => {
  const value = props.value
  loading = loading.then(() => load(value)).catch(error => {
    say('The result could not be drawn; press Segment again.', true)
    console.error(error)
  })
})
