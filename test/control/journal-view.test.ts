// A page of the journal is shown in turns: hundreds of small entries are as much as a large one.
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { Control } from '../../src/control/control.ts'
import { readJournal } from '../../src/control/journal-view.ts'
import type { EntryInParts } from '../../src/store/port.ts'

const ENTRIES = 300
/** As long as anybody can write at once. */
const LONG = 'x'.repeat(1_000)

function entryOf(seq: number): EntryInParts {
  const body = { name: 'stable/cloud', description: LONG }
  const document = { key: 'channel/stable/cloud', revision: seq, format: 1, body }
  const head = { seq, format: 1, mark: 'm', at: '2026-03-01T00:00:00.000Z', actor: 'ann', kind: 'channel.edit' }
  return {
    head: { ...head, subjects: [document.key], reason: LONG, requestId: null, changes: [] },
    async *changes() {
      yield [{ key: document.key, before: document, after: document }]
    },
  }
}

t.test('a page of many small entries lets others have their turn', async (t) => {
  const entries = Array.from({ length: ENTRIES }, (_, n) => entryOf(ENTRIES - n))
  const store = { journalInParts: async () => ({ entries, next: null }) }
  const control = { store, replica: { state: null } } as unknown as Control // For an admin nothing more of it is read.
  let [turns, isDone] = [0, false]
  const reading = readJournal(control, { actor: 'ann', role: 'admin', channels: null }, { limit: ENTRIES }).then(
    (page) => {
      isDone = true
      return page
    },
  )
  while (!isDone) {
    await nextTurn()
    turns += 1
  }
  t.equal((await reading).items.length, ENTRIES)
  t.ok(turns > 5, `${turns} turns`)
})
