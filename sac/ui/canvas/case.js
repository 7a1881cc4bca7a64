// What a case adds: a button that saves, comments pinned to places, and no tools for whoever may only look.
const note = element.querySelector('.sac-note'), listed = element.querySelector('.sac-comments')
const PIN = 11   // pixels of the screen: radius of a pin
const OWN = /^[0-9a-f]{16}$/
let written = false   // whether name or notes were changed, which lie beside the canvas
let noted = null   // { id } of a comment that is read, or { x, y } of one that is written

const comments = () => shown?.case?.comments ?? []
const isUnsaved = () => shown.case.unsaved || written
const canEdit = () => !shown?.case || shown.case.level !== 'view'
const onScreen = at => [left + (at.x + 0.5) * zoom, top_ + (at.y + 0.5) * zoom]
const pinNear = (px, py) => layers.comments && comments().findLast(c => Math.hypot(onScreen(c)[0] - px, onScreen(c)[1] - py) < PIN + 2)

function paintPins() {
  if (!layers.comments) return
  comments().forEach((comment, index) => {
    const [x, y] = onScreen(comment)
    pen.globalAlpha = comment.done ? 0.55 : 1
    pen.beginPath()
    pen.arc(x, y, PIN, 0, 2 * Math.PI)
    pen.fillStyle = comment.done ? '#64748b' : '#f59e0b'
    pen.fill()
    pen.lineWidth = noted?.id === comment.id ? 3 : 1.5
    pen.strokeStyle = '#fff'
    pen.stroke()
    pen.fillStyle = comment.done ? '#fff' : '#16181c'
    pen.font = '600 12px system-ui, sans-serif'
    pen.textAlign = 'center'
    pen.textBaseline = 'middle'
    pen.fillText(index + 1, x, y + 0.5)
    pen.globalAlpha = 1
  })
  placeNote()
}

// Everything beside the canvas that says what case it is.
function refreshCase() {
  const mine = shown?.case, save = button('save')
  view.dataset.case = mine ? mine.level : ''
  view.dataset.version = mine ? mine.version : ''
  view.dataset.comments = comments().length
  view.dataset.unsaved = mine && isUnsaved() ? 'yes' : ''
  element.querySelector('.sac-stage').classList.toggle('sac-looking', !canEdit())
  if (!canEdit() && tool !== 'pan') setTool('pan')
  save.disabled = !shown || !!shown.slide || !canEdit() || (mine && !isUnsaved())
  save.textContent = mine ? (isUnsaved() ? 'Save' : 'Saved') : 'Save as case'
  element.querySelector('[data-tool=comment]').hidden = !mine || !canEdit()
  if (tool === 'comment' && !mine) setTool('inside')
  element.querySelector('[data-layer=comments]').hidden = listed.hidden = !comments().length
  listed.replaceChildren(...comments().map(commentRow))
  if (noted?.id && !comments().some(c => c.id === noted.id)) noted = null
  showNote()
}

function commentRow(comment, index) {
  const row = document.createElement('button'), number = document.createElement('b'), text = document.createElement('span'), by = document.createElement('small')
  row.type = 'button'
  row.classList.toggle('sac-settled', comment.done)
  number.textContent = index + 1
  text.textContent = comment.text
  by.textContent = signed(comment)
  row.append(number, text, by)
  row.addEventListener('click', () => { noted = { id: comment.id }; if (!isInView(comment)) centre(comment.x, comment.y); showNote() })
  return row
}

const signed = c => [c.author, new Date(c.at * 1000).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' }), c.done ? 'settled' : ''].filter(Boolean).join(' · ')

function isInView(at) {
  const [x, y] = onScreen(at)
  return x > PIN && y > PIN && x < view.clientWidth - PIN && y < view.clientHeight - PIN
}

function showNote() {
  const comment = noted && comments().find(c => c.id === noted.id), writes = noted && !noted.id
  note.hidden = !comment && !writes
  draw(false)
  if (note.hidden) return
  const field = note.querySelector('textarea')
  note.querySelector('p').textContent = comment ? comment.text : ''
  note.querySelector('small').textContent = comment ? signed(comment) : ''
  field.hidden = button('note-add').hidden = !writes
  button('note-settle').hidden = button('note-remove').hidden = !comment || !canEdit()
  button('note-settle').textContent = comment?.done ? 'Open again' : 'Settle'
  if (writes) { field.value = ''; field.focus() }
  placeNote()
}

function placeNote() {
  const at = noted?.id ? comments().find(c => c.id === noted.id) : noted
  if (note.hidden || !at) return
  const [x, y] = onScreen(at)
  note.style.left = `${Math.max(8, Math.min(view.clientWidth - note.offsetWidth - 8, x + 16))}px`
  note.style.top = `${Math.max(8, Math.min(view.clientHeight - note.offsetHeight - 8, y - 8))}px`
}

const comment = order => trigger('comment', { ...order, picture: shown.id })

function addComment() {
  const text = note.querySelector('textarea').value.trim()
  if (text) comment({ do: 'pin', x: noted.x, y: noted.y, text })
  noted = null
  showNote()
}

// A press with the comment tool, or on a pin: true where it was one.
function pressComment(px, py) {
  const pin = pinNear(px, py), [x, y] = onPicture(px, py)
  if (pin) noted = { id: pin.id }
  else if (tool === 'comment' && isOn(x, y)) noted = prompt([x, y])
  else { if (noted && !(noted.id === undefined && note.querySelector('textarea').value)) { noted = null; showNote() } return false }
  showNote()
  return true
}

// By the keyboard: at the selected nucleus, else the next press says where.
function noteHere() {
  const fact = shown.nuclei?.[chosen.at(-1)]
  if (!fact) return setTool('comment')
  noted = prompt([(fact[0] + fact[2]) / 2, (fact[1] + fact[3]) / 2])
  showNote()
}

function loadCase(value) {
  if (!shown || shown.id !== value.of) return
  if (value.case?.version !== shown.case?.version) written = false
  shown.case = value.case
  refreshCase()
}

// The address is that of one's own case, so that a reload finds it again. That of a link stays.
function placeCase() {
  const url = new URL(location.href), asked = url.searchParams.get('case')
  if (asked && !OWN.test(asked)) return
  if (shown?.case?.id) url.searchParams.set('case', shown.case.id); else url.searchParams.delete('case')
  if (url.href !== location.href) history.replaceState(history.state, '', url)
}

// Another picture, or the same as another case or version: the panel on the left follows.
let told = ''
function followCase() {
  const now = [shown?.id, shown?.name, shown?.case?.name, shown?.case?.version, cards.length].join('\n')
  if (now === told) return
  told = now
  written = false
  placeCase()
  trigger('turned', {})
}

const save = () => { if (!button('save').disabled) { say('Saving …'); trigger('keep', {}) } }
button('save').addEventListener('click', save)
button('note-add').addEventListener('click', addComment)
button('note-close').addEventListener('click', () => { noted = null; showNote() })
button('note-settle').addEventListener('click', () => comment({ do: 'settle', comment: noted.id, done: !comments().find(c => c.id === noted.id).done }))
button('note-remove').addEventListener('click', () => { comment({ do: 'remove', comment: noted.id }); noted = null; showNote() })
note.addEventListener('keydown', event => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) addComment()
  if (event.key === 'Escape') { noted = null; showNote() }
})
// First of all listeners, and the last where somebody may stay: Gradio's own would end the tab's work before the answer.
window.addEventListener('beforeunload', event => {
  if (!shown?.case || !isUnsaved()) return
  event.preventDefault()
  event.stopImmediatePropagation()
}, { capture: true })
document.addEventListener('input', event => {
  if (!shown?.case || !event.target.closest?.('#sac-case-name, #sac-case-notes')) return
  written = true
  refreshCase()
})
