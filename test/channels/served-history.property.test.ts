// Random journals of two channels, which are deleted and made again, against the plainest reading of the whole journal:
// however a history came to be known, applied, learned backwards or both, it says the same, or that it does not know.
import { deepStrictEqual, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { applyChange } from '../../src/channels/change.ts'
import { channelBody, channelKey, channelOf } from '../../src/channels/channel.ts'
import { compatibility, servedSpans, type Compatibility } from '../../src/channels/history.ts'
import { lapse } from '../../src/channels/lapse.ts'
import { ServedHistory, type HistoryEntry } from '../../src/channels/served-history.ts'
import { momentOf } from '../../src/channels/time.ts'
import type { Document, DocumentChange } from '../../src/store/port.ts'
import { anyBlocked, anyStep, changeOf, T0, TICK_MS, type Step } from '../fixtures/channel-arbitraries.ts'
import { contextOf } from '../fixtures/channel-samples.ts'
import { sized } from '../fixtures/test-form.ts'

/** What one entry does: a step of one of the channels or of both, or its end. */
const anyEntry = fc.record({
  step: anyStep,
  who: fc.constantFrom([0], [0], [1], [0, 1]),
  deletes: fc.nat({ max: 7 }).map((number) => number === 0),
})
type Drawn = typeof anyEntry extends fc.Arbitrary<infer T> ? T : never

const anyCase = fc.record({
  drawn: fc.array(anyEntry, { minLength: 1, maxLength: 60 }),
  isBlocked: anyBlocked,
  /** How much of the journal was there when the state was loaded. */
  loaded: fc.nat({ max: 100 }),
  /** In which order entries come and are learned: true for one that comes. */
  order: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
  ticks: fc.nat({ max: 12 }),
  graceTicks: fc.nat({ max: 40 }),
})

interface World {
  readonly entries: readonly HistoryEntry[]
  /** The documents after each number of entries. */
  readonly states: readonly ReadonlyMap<string, Document>[]
  readonly now: number
}

/** The journal that these steps make by the rules. */
function worldOf(drawn: readonly Drawn[], isBlocked: (version: string) => boolean, ticks: number): World {
  let now = T0
  const entries: HistoryEntry[] = []
  const documents = new Map<string, Document>()
  const revisions = new Map<string, number>()
  const states = [new Map(documents)]
  for (const { step, who, deletes } of drawn) {
    now += step.ticks * TICK_MS
    const changes: DocumentChange[] = []
    for (const index of who) {
      const name = index === 0 ? 'a' : 'b'
      const key = channelKey(name)
      const before = documents.get(key) ?? null
      const revision = (revisions.get(key) ?? 0) + 1
      const after = deletes ? null : nextDocument(before, { key, name, revision }, step, isBlocked, now)
      if (after === before) continue
      changes.push({ key, before, after })
      if (after === null) documents.delete(key)
      else documents.set(key, after)
      if (after !== null) revisions.set(key, revision)
    }
    if (changes.length === 0) continue
    entries.push({ seq: entries.length + 1, at: now, changes })
    states.push(new Map(documents))
  }
  return { entries, states, now: now + ticks * TICK_MS }
}

function nextDocument(
  before: Document | null,
  { key, name, revision }: { key: string; name: string; revision: number },
  step: Step,
  isBlocked: (version: string) => boolean,
  now: number,
): Document | null {
  const current = before === null ? null : channelOf(before)
  const change = changeOf(current === null ? { ...step, does: 'create' } : step, now, current, name)
  const isUpstream = change?.kind === 'upstream' || change?.kind === 'upstream-problem'
  const fits = current === null || (change?.kind !== 'create' && (!isUpstream || current.source.kind === 'forward'))
  if (change === null || !fits) {
    const lapsed = current === null ? null : lapse(current, isBlocked, now)
    if (lapsed === null) return before
    return { key, revision, format: 1, body: channelBody({ ...lapsed, updatedAt: momentOf(now) }) }
  }
  const applied = applyChange(current, change, contextOf({ now, isBlocked, force: true, reason: 'for the test' }))
  if (applied.outcome === 'refused') return before
  return { key, revision, format: 1, body: channelBody(applied.channel) }
}

/** What the whole journal says of a channel. */
function naive({ entries, now }: World, key: string, isBlocked: (version: string) => boolean, graceMs: number) {
  const steps = entries.flatMap(({ at, changes }) =>
    changes.flatMap(({ key: changed, before, after }) =>
      changed === key
        ? [{ at, revision: (after ?? before)?.revision ?? 0, channel: after === null ? null : channelOf(after) }]
        : [],
    ),
  )
  return compatibility(servedSpans(steps, isBlocked, now), graceMs, now)
}

function versionsIn({ versions }: Compatibility): readonly string[] {
  return versions.map(({ version }) => version).toSorted()
}

t.test('what is kept says what the whole journal says, or that it does not know', async (t) => {
  const tally = { whole: 0, known: 0, unknown: 0, again: 0 }
  fc.assert(
    fc.property(anyCase, ({ drawn, isBlocked, loaded, order, ticks, graceTicks }) => {
      const world = worldOf(drawn, isBlocked, ticks)
      const { entries, states, now } = world
      const graceMs = graceTicks * TICK_MS
      const first = loaded % (entries.length + 1)
      const history = new ServedHistory(first, states[first]?.values() ?? [], entries[first - 1]?.at ?? T0)
      const [coming, past] = [entries.slice(first), entries.slice(0, first).toReversed()]
      const check = (isEnd: boolean): void => {
        const applied = entries.length - coming.length
        if (!isEnd && applied < entries.length) return
        for (const [key, document] of states[applied] ?? []) {
          const { spans, knownSince } = history.served(document, isBlocked, { now, expiryTime: now })
          const [found, meant] = [compatibility(spans, graceMs, now), naive(world, key, isBlocked, graceMs)]
          const all = naive(world, key, isBlocked, now - T0 + 1)
          if (knownSince === null) {
            deepStrictEqual(found, meant)
            tally.whole += 1
            if (document.revision > 1) tally.again += 1
          } else if (knownSince <= now - graceMs) {
            deepStrictEqual(versionsIn(found), versionsIn(meant))
            tally.known += 1
          } else {
            const served = new Set(versionsIn(all))
            ok(versionsIn(found).every((version) => served.has(version)))
            tally.unknown += 1
          }
        }
      }
      for (let turn = 0; coming.length > 0 || history.cursor !== null; turn += 1) {
        if (order[turn % order.length] === true || history.cursor === null) {
          const entry = coming.shift()
          if (entry !== undefined) history.apply(entry, entry.at)
        }
        if (order[turn % order.length] !== true && history.cursor !== null) {
          const entry = past.shift()
          if (entry !== undefined) history.learn(entry, now)
          if (past.length === 0) history.learnedAll({})
        }
        if (order.every((comes) => comes) && coming.length === 0) break
        check(false)
      }
      check(true)
    }),
    { numRuns: sized(300, 5_000) },
  )
  for (const [what, times] of Object.entries(tally)) t.ok(times > 50, `${what}: ${times} times`)
})
