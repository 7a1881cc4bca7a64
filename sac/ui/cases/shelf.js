// A card for each case. What people wrote is set as text, never as HTML.
const cards = element.querySelector('.sac-cards'), none = element.querySelector('.sac-none')
const SURE = 4000   // milliseconds in which a second press deletes

function made(tag, text, kind) {
  const node = document.createElement(tag)
  if (text) node.textContent = text
  if (kind) node.className = kind
  return node
}

function deed(text, label, does, kind) {
  const button = made('button', text, kind)
  button.type = 'button'
  button.setAttribute('aria-label', label)
  button.addEventListener('click', () => does(button))
  return button
}

function card(facts) {
  const item = made('li'), picture = made('img'), about = made('div', '', 'sac-about'), deeds = made('div', '', 'sac-deeds')
  const name = made('b', facts.name), order = what => trigger('deed', { do: what, case: facts.id })
  item.dataset.case = facts.id
  picture.src = facts.thumbnail
  picture.alt = ''
  picture.addEventListener('click', () => order('open'))
  name.title = facts.name
  const when = new Date(facts.changed * 1000).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
  deeds.append(
    deed('Open', `Open ${facts.name}`, () => order('open'), 'sac-first'),
    deed('Rename', `Rename ${facts.name}`, () => rename(name, facts)),
    deed('Duplicate', `Duplicate ${facts.name}`, () => order('duplicate')),
    deed('Download', `Download ${facts.name}`, () => order('download')),
    deed('Delete', `Delete ${facts.name} for good`, button => sure(button, () => order('delete'))))
  about.append(name, made('small', `${facts.nuclei} found · version ${facts.version}${facts.author ? ` by ${facts.author}` : ''}`), made('small', when), deeds)
  item.append(picture, about)
  return item
}

function rename(name, facts) {
  const field = made('input')
  field.value = facts.name
  field.maxLength = 120
  field.setAttribute('aria-label', 'New name')
  name.replaceWith(field)
  field.select()
  let over = false
  const end = keeps => {
    if (over) return
    over = true
    const now = field.value.trim()
    field.replaceWith(name)
    if (keeps && now && now !== facts.name) trigger('deed', { do: 'rename', case: facts.id, name: now })
  }
  field.addEventListener('keydown', event => { if (event.key === 'Enter') end(true); if (event.key === 'Escape') end(false) })
  field.addEventListener('blur', () => end(true))
}

// The first press asks, the second does.
function sure(button, does) {
  if (button.classList.contains('sac-sure')) return does()
  const text = button.textContent
  button.classList.add('sac-sure')
  button.textContent = 'Delete for good?'
  setTimeout(() => { button.classList.remove('sac-sure'); button.textContent = text }, SURE)
}

async function handOver(file) {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(await (await fetch(file.url)).blob())
  link.download = file.name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60000)
}

watch('value', () => {
  const value = props.value
  if (value?.file) return handOver(value.file)
  if (!value?.cases) return
  cards.replaceChildren(...value.cases.map(card))
  none.hidden = value.cases.length > 0
  element.querySelector('.sac-shelf').dataset.cases = value.cases.length
})
