// The checker of the fault tests catches what it is there for: each planted fault is reported as what it is, and a clean
// run has none.
import fc from 'fast-check'
import t from 'tap'
import type { JournalEntry } from '../../src/store/port.ts'
import { channelDocument } from '../fixtures/poll-worlds.ts'
import { NOW, sourceOf } from '../fixtures/channel-samples.ts'
import { checkRun, type Attempt, type Observation, type Run, type ViolationKind } from '../fixtures/fleet-checker.ts'
import { range } from '../fixtures/store-changes.ts'

const REPLICAS = ['a', 'b', 'c'] as const
const CHANNELS = ['stable/x', 'stable/y'] as const

/** A run as it should be: every write goes to both channels in turn, and each replica is polled after each write. */
function cleanRun(writes: number): Run {
  const journal: JournalEntry[] = []
  const attempts: Attempt[] = []
  const observations: Observation[] = []
  const revisions = new Map<string, number>()
  for (const n of range(1, writes)) {
    const channel = CHANNELS[n % CHANNELS.length] ?? 'stable/x'
    const replica = REPLICAS[n % REPLICAS.length] ?? 'a'
    const version = `15.1.${n}`
    const revision = (revisions.get(channel) ?? 0) + 1
    revisions.set(channel, revision)
    const document = (at: number, of: string) => channelDocument(channel, at, { source: sourceOf(of) })
    const before = revision === 1 ? null : document(revision - 1, `15.1.${n - CHANNELS.length}`)
    const after = document(revision, version)
    const said = { actor: 'ann', kind: 'channel.version', reason: `write-${n}`, requestId: `r-${n}` }
    const at = new Date(NOW).toISOString()
    const changes = [{ key: after.key, before, after }]
    journal.push({ seq: n, mark: `m-${n}`, format: 1, at, ...said, subjects: [after.key], changes })
    const sentAt = n * 100
    const asked = { marker: `write-${n}`, replica, channel, version, sentAt, receivedAt: sentAt + 10 }
    attempts.push({ ...asked, outcome: 'acknowledged', revision })
    for (const [index, polled] of REPLICAS.entries()) {
      const times = { sentAt: sentAt + 20 + index, receivedAt: sentAt + 30 + index }
      const shared = { replica: polled, channel, status: 200, revision, ...times }
      observations.push({ ...shared, value: 'version', body: version }, { ...shared, value: 'critical', body: 'no' })
    }
  }
  const versions = new Map(attempts.map(({ channel, version }) => [channel, version]))
  const finals = REPLICAS.map((replica) => ({ replica, epoch: 'e', seq: writes, versions }))
  return { journal, attempts, observations, finals }
}

function kindsIn(run: Run): readonly ViolationKind[] {
  return [...new Set(checkRun(run).map(({ kind }) => kind))].toSorted()
}

function replaced<T>(items: readonly T[], index: number, next: (item: T) => T): readonly T[] {
  return items.map((item, at) => (at === index ? next(item) : item))
}

/** Faults as they are planted in the middle of a clean run, and what the checker must say of them. */
const faults: Readonly<Record<string, { plant: (run: Run, n: number) => Run; kinds: readonly ViolationKind[] }>> = {
  'an answer that was never committed': {
    plant: (run, n) => ({
      ...run,
      observations: replaced(run.observations, n * 6, (o) => ({ ...o, body: '15.0.666' })),
    }),
    kinds: ['wrong answer'],
  },
  'the right version at the wrong revision': {
    plant: (run, n) => ({
      ...run,
      observations: replaced(run.observations, n * 6, (o) => ({ ...o, revision: (o.revision ?? 0) + 1_000 })),
    }),
    kinds: ['step back', 'wrong answer'],
  },
  'a page of somebody else': {
    plant: (run, n) => ({
      ...run,
      observations: replaced(run.observations, n * 6, (o) => ({ ...o, body: '<html>', revision: null })),
    }),
    kinds: ['wrong answer'],
  },
  'a channel that is not there any more': {
    plant: (run, n) => ({
      ...run,
      observations: replaced(run.observations, n * 6, (o) => ({
        ...o,
        status: 404,
        body: 'unknown channel',
        revision: null,
      })),
    }),
    kinds: ['wrong answer'],
  },
  'critical without a reason': {
    plant: (run, n) => ({
      ...run,
      observations: replaced(run.observations, n * 6 + 1, (o) => ({ ...o, body: 'yes' })),
    }),
    kinds: ['wrong answer'],
  },
  'a replica that goes back': {
    plant: (run, n) => {
      const earlier = run.observations[(n - 2) * 6]
      if (earlier === undefined) throw new Error('there is no earlier answer')
      const back = { ...earlier, replica: 'd', sentAt: n * 100 + 150, receivedAt: n * 100 + 151 }
      const now = run.observations[n * 6]
      if (now === undefined) throw new Error('there is no answer')
      return { ...run, observations: [...run.observations, { ...now, replica: 'd' }, back] }
    },
    kinds: ['step back'],
  },
  'a write that its own replica does not show': {
    plant: (run, n) => {
      const attempt = run.attempts[n]
      const earlier = run.observations[(n - 2) * 6]
      if (attempt === undefined || earlier === undefined) throw new Error('there is no write')
      // Sent after the acknowledgement, before any other poll of this replica was answered.
      const poll = {
        ...earlier,
        replica: attempt.replica,
        sentAt: attempt.receivedAt + 1,
        receivedAt: attempt.receivedAt + 2,
      }
      return { ...run, observations: [...run.observations, poll] }
    },
    kinds: ['stale read'],
  },
  'an acknowledged write that is in no journal': {
    plant: (run) => {
      const lost: Attempt = { ...(run.attempts[0] as Attempt), marker: 'lost', version: '15.9.9', revision: 99 } // A clean run has one.
      return { ...run, attempts: [...run.attempts, { ...lost, sentAt: 0, receivedAt: 1, replica: 'nobody' }] }
    },
    kinds: ['lost write'],
  },
  'an acknowledged write with another version': {
    plant: (run, n) => ({ ...run, attempts: replaced(run.attempts, n, (a) => ({ ...a, version: '15.9.9' })) }),
    kinds: ['lost write'],
  },
  'a write that was made twice': {
    plant: (run, n) => ({
      ...run,
      journal: replaced(run.journal, n, (entry) => ({ ...entry, reason: run.journal[n - 2]?.reason ?? null })),
      attempts: run.attempts.filter((_, index) => index !== n),
    }),
    kinds: ['doubled write'],
  },
  'a write that was refused and is made': {
    plant: (run, n) => ({ ...run, attempts: replaced(run.attempts, n, (a) => ({ ...a, outcome: 'refused' })) }),
    kinds: ['ghost write'],
  },
  'writes in another order than they were acknowledged in': {
    plant: (run, n) => ({
      ...run,
      attempts: replaced(run.attempts, n, (a) => ({
        ...a,
        sentAt: a.sentAt - 5_000,
        receivedAt: a.receivedAt - 5_000,
        replica: 'z',
      })),
    }),
    kinds: ['disorder'],
  },
  'a hole in the journal': {
    plant: (run) => ({
      ...run,
      journal: run.journal.map((entry, index) =>
        index === run.journal.length - 1 ? { ...entry, seq: entry.seq + 1 } : entry,
      ),
      finals: run.finals.map((final) => ({ ...final, seq: final.seq + 1 })),
    }),
    kinds: ['broken journal'],
  },
  'a document that changed without an entry': {
    plant: (run, n) => ({
      ...run,
      journal: replaced(run.journal, n, (entry) => ({
        ...entry,
        changes: entry.changes.map((change) => ({
          ...change,
          before: change.before === null ? null : { ...change.before, revision: change.before.revision - 1 },
        })),
      })),
    }),
    kinds: ['broken journal'],
  },
  'a replica that stays behind': {
    plant: (run) => ({ ...run, finals: replaced(run.finals, 1, (final) => ({ ...final, seq: final.seq - 1 })) }),
    kinds: ['diverged'],
  },
  'a replica of another epoch': {
    plant: (run) => ({ ...run, finals: replaced(run.finals, 1, (final) => ({ ...final, epoch: 'f' })) }),
    kinds: ['diverged'],
  },
  'a replica that ends with something else': {
    plant: (run) => ({
      ...run,
      finals: replaced(run.finals, 2, (final) => ({ ...final, versions: new Map([['stable/x', '15.0.0']]) })),
    }),
    kinds: ['diverged'],
  },
}

t.test('a clean run has no violation', (t) => {
  for (const writes of [0, 1, 2, 7, 60]) t.strictSame(checkRun(cleanRun(writes)), [], `${writes} writes`)
  t.end()
})

for (const [name, { plant, kinds }] of Object.entries(faults)) {
  t.test(`${name}: caught, wherever it is`, (t) => {
    fc.assert(
      fc.property(fc.integer({ min: 12, max: 40 }), fc.nat(), (writes, place) => {
        const n = 6 + (place % (writes - 8))
        const found = kindsIn(plant(cleanRun(writes), n))
        if (JSON.stringify(found) !== JSON.stringify(kinds)) throw new Error(`found ${JSON.stringify(found)}`)
      }),
      { numRuns: 30 },
    )
    t.pass(kinds.join(', '))
    t.end()
  })
}

t.test('no answer, an unknown outcome and an overlapping poll are no violation', (t) => {
  const run = cleanRun(20)
  const [first] = run.observations
  const [attempt] = run.attempts
  if (first === undefined || attempt === undefined) throw new Error('the run is empty')
  const observations = [
    ...run.observations,
    { ...first, status: 503, body: 'no channel is loaded yet', revision: null, sentAt: 1_500, receivedAt: 1_501 },
    // On its way since the beginning: it may be answered from any state that was served meanwhile.
    { ...first, sentAt: 100, receivedAt: 2_500 },
  ]
  const unknown = { ...attempt, marker: 'nobody knows', outcome: 'unknown' as const, revision: null }
  t.strictSame(checkRun({ ...run, observations, attempts: [...run.attempts, unknown] }), [])
  t.end()
})

t.test('an accepted store may be behind from the decision on, and its entry may jump over what was lost', (t) => {
  const run = cleanRun(20)
  const earlier = run.observations[6 * 6]
  if (earlier === undefined) throw new Error('the run is empty')
  const back = { ...earlier, sentAt: 5_000, receivedAt: 5_001 }
  t.strictSame(kindsIn({ ...run, observations: [...run.observations, back] }), ['stale read', 'step back'])
  const accepted = { ...run, observations: [...run.observations, back], acceptedAt: [4_000] }
  t.strictSame(checkRun(accepted), [])
  const [entry] = run.journal
  if (entry === undefined) throw new Error('the journal is empty')
  const start: JournalEntry = { ...entry, seq: 31, kind: 'store.accept', reason: 'lost', changes: [], subjects: [] }
  const finals = run.finals.map((final) => ({ ...final, seq: 31 }))
  t.strictSame(checkRun({ ...run, journal: [...run.journal, start], finals }), [])
  t.end()
})
