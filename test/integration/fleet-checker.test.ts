// The checker of the fault tests catches what it is there for: each planted fault is reported as what it is, and a clean
// run has none.
import fc from 'fast-check'
import t from 'tap'
import type { JournalEntry } from '../../src/store/port.ts'
import { channelDocument } from '../fixtures/poll-worlds.ts'
import { NOW, sourceOf } from '../fixtures/channel-samples.ts'
import { checkRun, type Attempt, type Observation, type Run, type ViolationKind } from '../fixtures/fleet-checker.ts'
import { cohortRanks } from '../../src/channels/cohort.ts'
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
  'no target for a channel that has one': {
    plant: (run, n) => ({
      ...run,
      observations: replaced(run.observations, n * 6, (o) => ({
        ...o,
        status: 404,
        body: `channel ${o.channel} has no target version`,
      })),
    }),
    kinds: ['wrong answer'],
  },
  'a halt that nobody answers to': {
    plant: (run, n) => {
      const halt = { reason: 'stop', at: new Date(NOW).toISOString(), by: 'ann' }
      const journal = replaced(run.journal, n, (entry) => ({
        ...entry,
        changes: entry.changes.map((change) => {
          if (change.after === null) return change
          return { ...change, after: { ...change.after, body: { ...change.after.body, halt } } }
        }),
      }))
      return { ...run, journal }
    },
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

t.test('a replica killed and started from its file may be behind by as much as the file, and no more', (t) => {
  const run = cleanRun(20)
  const earlier = run.observations[6 * 6]
  if (earlier === undefined) throw new Error('the run is empty')
  const { replica } = earlier
  const observations = [...run.observations, { ...earlier, sentAt: 25_000, receivedAt: 25_001 }]
  t.strictSame(checkRun({ ...run, observations, setBacks: [{ replica, killedAt: 2_500 }] }), [])
  for (const setBack of [
    { replica: 'another', killedAt: 2_500 },
    { replica, killedAt: 20_000 },
    { replica, killedAt: 26_000 },
  ]) {
    t.strictSame(kindsIn({ ...run, observations, setBacks: [setBack] }), ['stale read', 'step back'])
  }
  const caughtUp = run.observations.findLast((poll) => poll.replica === replica && poll.channel === earlier.channel)
  if (caughtUp === undefined) throw new Error('it was never polled')
  const twice = [
    ...run.observations,
    { ...caughtUp, sentAt: 3_000, receivedAt: 3_001 },
    { ...earlier, sentAt: 4_000, receivedAt: 4_001 },
  ]
  const setBacks = [{ replica, killedAt: 2_500 }]
  t.strictSame(kindsIn({ ...run, observations: twice, setBacks }), ['step back'], 'it has caught up, and goes back')
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

const ROLLED_OUT = ['to/some', 'to/all'] as const
const SHARES = [10, 50, 100] as const
const rules = ROLLED_OUT.map((channel) => ({ name: channel, channels: [channel] }))

/** Releases that go through two stages by a ramp each; every cohort of both channels is polled after each step. */
function cleanRollouts(releases: number): Run {
  const journal: JournalEntry[] = []
  const observations: Observation[] = []
  const documents = new Map<string, NonNullable<JournalEntry['changes'][number]['after']>>()
  const enter = (kind: string, reason: string, bodies: Readonly<Record<string, object>>): void => {
    const seq = journal.length + 1
    const changes = Object.entries(bodies).map(([key, body]) => {
      const before = documents.get(key) ?? null
      const after = { key, revision: (before?.revision ?? 0) + 1, format: 1, body: { ...body } }
      documents.set(key, after)
      return { key, before, after }
    })
    const at = new Date(NOW).toISOString()
    const said = { actor: 'ann', kind, reason, requestId: reason }
    journal.push({ seq, mark: `m-${seq}`, format: 1, at, ...said, subjects: Object.keys(bodies), changes })
  }
  const channelBody = (name: string, version: string, ramp?: object) =>
    channelDocument(name, 1, { source: sourceOf(version), ...(ramp === undefined ? {} : { ramp: ramp as never }) }).body
  for (const name of ROLLED_OUT)
    enter('channel.create', `create-${name}`, { [`channel/${name}`]: channelBody(name, '1.0.0') })
  for (const n of range(1, releases)) {
    const [release, earlier] = [`1.1.${n}`, n === 1 ? '1.0.0' : `1.1.${n - 1}`]
    const key = `rollout/fleet/${release}`
    let stages = ROLLED_OUT.map((name) => ({ name, state: 'waiting', percent: 0 }))
    enter('release.register', `register-${n}`, { [key]: { release, rules: { stages: rules }, stages } })
    for (const [index, name] of ROLLED_OUT.entries()) {
      for (const percent of SHARES) {
        const isOver = percent === 100
        stages = stages.map((stage, at) =>
          at === index ? { name, state: isOver ? 'done' : 'promoting', percent } : stage,
        )
        const before = { version: earlier, critical: false, criticalUntil: null }
        const ramp = { seed: `fleet/${release}`, percent, plainPath: 'last', before }
        enter(percent === SHARES[0] ? 'rollout.promote' : 'rollout.step', `${release}-${name}-${percent}`, {
          [key]: { release, rules: { stages: rules }, stages },
          [`channel/${name}`]: channelBody(name, release, isOver ? undefined : ramp),
        })
        const revision = documents.get(`channel/${name}`)?.revision ?? 0
        const sentAt = journal.length * 1_000
        const shared = {
          replica: 'a',
          channel: name,
          value: 'version',
          status: 200,
          revision,
          sentAt,
          receivedAt: sentAt + 1,
        } as const
        observations.push({ ...shared, body: isOver ? release : earlier })
        for (const [cohort, rank] of cohortRanks(ramp.seed).entries()) {
          observations.push({ ...shared, cohort, body: rank < percent ? release : earlier })
        }
      }
    }
  }
  const asks = range(1, releases).map((n) => ({ marker: `register-${n}`, outcome: 'acknowledged' as const }))
  const versions = new Map(ROLLED_OUT.map((name) => [name, releases === 0 ? '1.0.0' : `1.1.${releases}`]))
  return {
    journal,
    observations,
    attempts: [],
    asks,
    finals: [{ replica: 'a', epoch: 'e', seq: journal.length, versions }],
  }
}

/** The journal with its seqs and revisions made to follow again, so that nothing but the planted fault is wrong. */
function renumbered(journal: readonly JournalEntry[]): readonly JournalEntry[] {
  const known = new Map<string, NonNullable<JournalEntry['changes'][number]['after']>>()
  return journal.map((entry, index) => ({
    ...entry,
    seq: index + 1,
    changes: entry.changes.map(({ key, after }) => {
      const before = known.get(key) ?? null
      if (after === null) return { key, before, after }
      const next = { ...after, revision: (before?.revision ?? 0) + 1 }
      known.set(key, next)
      return { key, before, after: next }
    }),
  }))
}

/** A clean run with another journal, of which only the journal is looked at. */
function withJournal(run: Run, journal: readonly JournalEntry[]): Run {
  return { ...run, journal: renumbered(journal), observations: [], asks: [], finals: [] }
}

function edited(entry: JournalEntry, prefix: string, edit: (body: Record<string, unknown>) => object): JournalEntry {
  const changes = entry.changes.map((change) =>
    change.after === null || !change.key.startsWith(prefix)
      ? change
      : { ...change, after: { ...change.after, body: { ...edit({ ...change.after.body }) } } },
  )
  return { ...entry, changes }
}

const at = (run: Run, reason: string): number => run.journal.findIndex((entry) => entry.reason === reason)

const rolloutFaults: Readonly<
  Record<string, { plant: (run: Run, n: number) => Run; kinds: readonly ViolationKind[] }>
> = {
  'a cohort that is told the release too early': {
    plant: (run, n) => {
      const late = run.observations.findIndex(({ body, cohort }) => cohort !== undefined && body === `1.1.${n - 1}`)
      return { ...run, observations: replaced(run.observations, late, (o) => ({ ...o, body: `1.1.${n}` })) }
    },
    kinds: ['wrong answer'],
  },
  'a plain path that follows the first cohorts': {
    plant: (run, n) => {
      const late = run.observations.findIndex(({ body, cohort }) => cohort === undefined && body === `1.1.${n - 1}`)
      const ramped = run.observations.findIndex((o, index) => index > late && o.cohort === undefined)
      return { ...run, observations: replaced(run.observations, ramped, (o) => ({ ...o, body: `1.1.${n}` })) }
    },
    kinds: ['wrong answer'],
  },
  'a stage that is promoted twice': {
    plant: (run, n) => {
      const first = at(run, `1.1.${n}-to/some-10`)
      const { journal } = run
      const [again, start] = [journal[first], journal[first - 1]]
      if (again === undefined || start === undefined) throw new Error('there is no promotion')
      // A second driver whose rollout was still the one before.
      const stale = {
        ...edited(start, 'rollout/', (body) => body),
        reason: 'stale',
        changes: start.changes.slice(0, 1),
      }
      return withJournal(run, [
        ...journal.slice(0, first + 1),
        { ...stale, kind: 'x' },
        { ...again, reason: 'again' },
        ...journal.slice(first + 1),
      ])
    },
    kinds: ['doubled promotion', 'ramp back'],
  },
  'a stage that is promoted before the one before it is done': {
    plant: (run, n) => {
      const soon = run.journal.slice(0, at(run, `1.1.${n}-to/all-10`) + 1)
      return withJournal(
        run,
        soon.filter(({ reason }) => reason !== `1.1.${n}-to/some-100`),
      )
    },
    kinds: ['skipped stage'],
  },
  'a channel that is moved ahead of its stage': {
    plant: (run, n) => {
      const first = at(run, `1.1.${n}-to/some-10`)
      const body = channelDocument('to/all', 1, { source: sourceOf(`1.1.${n}`) }).body
      const ahead = {
        key: 'channel/to/all',
        before: null,
        after: { key: 'channel/to/all', revision: 1, format: 1, body },
      }
      return withJournal(
        run,
        replaced(run.journal, first, (entry) => ({ ...entry, changes: [...entry.changes, ahead] })),
      )
    },
    kinds: ['skipped stage'],
  },
  'a promotion that leaves its channel where it is': {
    plant: (run, n) => {
      const first = at(run, `1.1.${n}-to/all-10`)
      return withJournal(
        run,
        replaced(run.journal, first, (entry) => ({ ...entry, changes: entry.changes.slice(0, 1) })),
      )
    },
    kinds: ['half a promotion'],
  },
  'a ramp that goes back': {
    plant: (run, n) => {
      const second = at(run, `1.1.${n}-to/all-50`)
      const less = (entry: JournalEntry): JournalEntry =>
        edited(entry, 'channel/', (body) => ({ ...body, ramp: { ...(body['ramp'] as object), percent: 5 } }))
      return withJournal(run, replaced(run.journal, second, less))
    },
    kinds: ['ramp back'],
  },
  'a step that takes a channel back': {
    plant: (run, n) => {
      const last = at(run, `1.1.${n}-to/all-100`)
      const back = (entry: JournalEntry): JournalEntry =>
        edited(entry, 'channel/', () => channelDocument('to/all', 1, { source: sourceOf(`1.1.${n - 1}`) }).body)
      return withJournal(run, replaced(run.journal, last, back).slice(0, last + 1))
    },
    kinds: ['ramp back', 'skipped stage'],
  },
  'a registration that was acknowledged and lost': {
    plant: (run) => ({ ...run, asks: [{ marker: 'register-999', outcome: 'acknowledged' }] }),
    kinds: ['lost write'],
  },
  'a promotion that was refused and is made': {
    plant: (run, n) => ({ ...run, asks: [{ marker: `1.1.${n}-to/some-10`, outcome: 'refused' }] }),
    kinds: ['ghost write'],
  },
}

t.test('a clean run of rollouts has no violation', (t) => {
  for (const releases of [0, 1, 4]) t.strictSame(checkRun(cleanRollouts(releases)), [], `${releases} releases`)
  t.end()
})

for (const [name, { plant, kinds }] of Object.entries(rolloutFaults)) {
  t.test(`${name}: caught, wherever it is`, (t) => {
    for (const n of [2, 3, 4]) t.strictSame(kindsIn(plant(cleanRollouts(4), n)), kinds, `release ${n} of 4`)
    t.end()
  })
}
