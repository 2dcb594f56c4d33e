// Who may read the journal now: two at once, the others in order, and nobody waits for one that has gone.
import t from 'tap'
import { PageReaders, type ReadPlace } from '../../src/control/page-readers.ts'
import { range } from '../fixtures/store-changes.ts'

const stays = new AbortController().signal

async function place(readers: PageReaders): Promise<ReadPlace> {
  const entered = await readers.enter(stays)
  if (entered.outcome !== 'entered') throw new Error(entered.outcome)
  return entered.place
}

t.test('two read at once, and the others do in the order in which they came', async (t) => {
  const readers = new PageReaders()
  const [one, two] = [await place(readers), await place(readers)]
  const order: number[] = []
  const later = range(1, 3).map(async (number) => {
    const mine = await place(readers)
    order.push(number)
    return mine
  })
  await Promise.resolve()
  t.same(order, [])
  one.read()
  one.read()
  const first = await later[0]
  t.same(order, [1], 'a place is given back once')
  two.read()
  await later[1]
  first?.read()
  await later[2]
  t.same(order, [1, 2, 3])
})

t.test('sixteen pages are in memory at most, read or not', async (t) => {
  const readers = new PageReaders()
  const places: ReadPlace[] = []
  for (const _ of range(1, 16)) {
    const mine = await place(readers)
    mine.read()
    places.push(mine)
  }
  let hasEntered = false
  const waiting = place(readers).then(() => (hasEntered = true))
  await Promise.resolve()
  t.equal(hasEntered, false)
  places[7]?.end()
  places[7]?.end()
  await waiting
  t.equal(hasEntered, true)
})

t.test('one that goes leaves the line, and one that has gone already never enters it', async (t) => {
  const readers = new PageReaders()
  const [one] = [await place(readers), await place(readers)]
  const leaving = new AbortController()
  const left = readers.enter(leaving.signal)
  const next = place(readers)
  leaving.abort()
  t.equal((await left).outcome, 'gone')
  t.equal((await readers.enter(leaving.signal)).outcome, 'gone')
  one?.read()
  await next
})

t.test('two hundred wait at most', async (t) => {
  const readers = new PageReaders()
  const [one] = [await place(readers), await place(readers)]
  const line = range(1, 200).map(() => readers.enter(stays))
  t.equal((await readers.enter(stays)).outcome, 'full')
  one?.read()
  t.equal((await line[0])?.outcome, 'entered')
})
