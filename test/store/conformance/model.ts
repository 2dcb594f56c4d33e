// Random sequences of commits, compared step by step with the simplest thing that could be right: a map and a list.
import fc from 'fast-check'
import type { Test } from 'tap'
import { FORMAT, type Change, type Document, type JournalEntry, type Store } from '../../../src/store/port.ts'
import { allPages, change, expectation } from '../../fixtures/store-changes.ts'
import type { MakePlace } from '../conformance.ts'

const KEYS = ['channel/a', 'channel/a/b', 'channel/ab', 'token/1', 'x'] as const
const RUNS = 25
const COMMITS_MAX = 25

/** An intention; `off` makes the expected revision wrong by that much, so that some commits conflict. */
interface Step {
  readonly touches: readonly { readonly key: string; readonly off: number; readonly deletes: boolean }[]
  readonly reads: readonly { readonly key: string; readonly off: number }[]
  readonly actor: string
  readonly value: number
}

const key = fc.constantFrom(...KEYS)
const off = fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(-1, 1) })
const step: fc.Arbitrary<Step> = fc.record({
  touches: fc.uniqueArray(fc.record({ key, off, deletes: fc.boolean() }), {
    minLength: 1,
    maxLength: 3,
    selector: (touch) => touch.key,
  }),
  reads: fc.array(fc.record({ key, off }), { maxLength: 2 }),
  actor: fc.constantFrom('ann', 'bob'),
  value: fc.nat(),
})

class Model {
  readonly documents = new Map<string, Document>()
  readonly last = new Map<string, number>()
  readonly entries: JournalEntry[] = []

  revision(key: string): number {
    return this.documents.get(key)?.revision ?? 0
  }

  plan({ touches, reads, actor, value }: Step): Change {
    const writes = touches.map(({ key, off, deletes }) => {
      const expected = Math.max(this.revision(key) + off, 0)
      return { key, expected, body: deletes && expected > 0 ? null : { value } }
    })
    const expectations = reads.map(({ key, off }) => expectation(key, Math.max(this.revision(key) + off, 0)))
    return change(writes, { actor, reads: expectations })
  }

  commit(change: Change): unknown {
    for (const { key, expected } of [...change.writes, ...change.reads]) {
      const actual = this.revision(key)
      if (actual !== expected) return { outcome: 'conflict', key, expected, actual, seq: this.entries.length }
    }
    const { at, actor, kind, reason, requestId } = change
    const changes = change.writes.map(({ key, body }) => {
      const before = this.documents.get(key) ?? null
      const revision = (this.last.get(key) ?? 0) + 1
      const after = body === null ? null : { key, revision, format: FORMAT, body }
      if (after === null) this.documents.delete(key)
      else {
        this.documents.set(key, after)
        this.last.set(key, revision)
      }
      return { key, before, after }
    })
    const subjects = change.writes.map(({ key }) => key)
    const seq = this.entries.length + 1
    const entry = { seq, mark: '', format: FORMAT, at, actor, kind, subjects, reason, requestId, changes }
    this.entries.push(entry)
    return { outcome: 'committed', entry, repeated: false, foreign: [] }
  }
}

export async function model(t: Test, makePlace: MakePlace): Promise<void> {
  await t.test('random commits leave what a map and a list would hold, also after reopening', async (t) => {
    let runs = 0
    const steps = fc.array(step, { minLength: 1, maxLength: COMMITS_MAX })
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(COMMITS_MAX), async (steps, reopenAt) => {
        const place = await makePlace(t)
        const expected = new Model()
        let store = await place.open()
        try {
          for (const [index, one] of steps.entries()) {
            if (index === reopenAt) {
              await store.close()
              store = await place.open()
            }
            const change = expected.plan(one)
            same(await store.commit(change), expected.commit(change))
          }
          await compare(store, expected)
          runs += 1
        } finally {
          await store.close()
        }
      }),
      { numRuns: RUNS },
    )
    t.equal(runs, RUNS)
  })
}

async function compare(store: Store, expected: Model): Promise<void> {
  const { documents, seq } = await store.load()
  same(sorted(documents), sorted([...expected.documents.values()]))
  same(seq, expected.entries.length)
  const newest = [...expected.entries].reverse()
  same((await allPages(store, { limit: 4 })).entries, newest)
  for (const subject of KEYS) {
    const about = newest.filter(({ subjects }) => subjects.includes(subject))
    same((await allPages(store, { limit: 3, subject })).entries, about)
  }
  const anns = newest.filter(({ actor }) => actor === 'ann')
  same((await allPages(store, { limit: 3, actor: 'ann' })).entries, anns)
}

function sorted(documents: readonly Document[]): Document[] {
  return [...documents].sort((a, b) => (a.key < b.key ? -1 : 1))
}

/** fast-check shrinks on a throw, so this compares without tap. */
function same(actual: unknown, expected: unknown): void {
  const [found, wanted] = [canonical(actual), canonical(expected)]
  if (found !== wanted) throw new Error(`found ${found}, not ${wanted}`)
}

/** JSON with the names of objects in order: what order a store gives them in is its own business. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (name, part: unknown) =>
    // A mark is random; that it is there is tested elsewhere.
    name === 'mark'
      ? ''
      : typeof part === 'object' && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
        : part,
  )
}
