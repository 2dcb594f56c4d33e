// The stage machine against an account of its own: random histories of releases and rollouts over the real use cases and a
// real store, with crashes between all steps and two replicas at once. Whatever happens, no channel begins to tell a release
// whose stage's conditions do not hold at that commit, no stage is skipped or promoted twice, no ramp goes back, and nobody
// reads what is embargoed.
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Audit, type Event } from '../fixtures/rollout-audit.ts'
import type { Plan, Said } from '../fixtures/rollout-model.ts'
import { findLeaks, Rig } from '../fixtures/rollout-rig.ts'
import { anyPlan, anyStep, CHANNELS, History } from '../fixtures/rollout-steps.ts'
import { sized } from '../fixtures/test-form.ts'

const HISTORIES = sized(120, 1_000)
const STEPS_MAX = 120
const FILE_TIMEOUT_MS = 600_000
/** What must have happened so often in 100 histories, or the property says nothing. */
const HAPPENS_MIN: Readonly<Record<string, number>> = {
  'rollout.promote': 24,
  'rollout.step': 16,
  'rollout.soaked': 8,
  'rollout.suspend': 6,
  'rollout.rollback': 4,
  'rollout.resume': 4,
  'held by compatibility': 2,
  'held by embargo': 2,
  'channel.rollback': 4,
  'refused by rollback_end': 2,
  'promote refused as newer': 10,
  'promote by force': 10,
  'channel by force': 2,
  'channel refused as downgrade': 2,
  race: 20,
}

t.setTimeout(FILE_TIMEOUT_MS)

t.test('whatever is done to releases, and whenever it crashes, the rules hold at every commit', async (t) => {
  const tally = new Map<string, number>()
  const count = (what: string): void => void tally.set(what, (tally.get(what) ?? 0) + 1)
  const some = fc.array(anyStep, { maxLength: STEPS_MAX / 3, size: 'max' })
  const history = fc.record({
    plan: anyPlan,
    twoDrivers: fc.boolean(),
    steps: fc.tuple(some, some, some).map((parts) => parts.flat()),
  })
  const property = fc.asyncProperty(history, async ({ plan, twoDrivers, steps }) => {
    const rig = await Rig.start({ channels: CHANNELS, plan, twoDrivers })
    try {
      const done = new History(rig, count)
      for (const step of steps) {
        await done.do(step)
        mustHaveNone(rig.audit)
      }
      rig.compareAnswers()
      mustHaveNone(rig.audit)
      for (const { kind } of rig.entries) count(kind)
    } finally {
      await rig.end()
    }
  })
  await fc.assert(property, { numRuns: HISTORIES, includeErrorInReport: true })
  for (const [what, least] of Object.entries(HAPPENS_MIN)) {
    t.ok((tally.get(what) ?? 0) >= (least * HISTORIES) / 100, `${what}: ${tally.get(what) ?? 0} times`)
  }
})

function mustHaveNone({ findings: [finding] }: Audit): void {
  if (finding !== undefined) throw new Error(`${finding.kind}: ${finding.detail}`)
}

const STAGE = {
  auto: false,
  soakMinutes: 0,
  requireSignOff: false,
  approvals: 0,
  gateFailures: 0,
  rampPercent: [],
  rampMinutes: 1,
  officeHours: false,
  plainPath: 'last',
} as const
const PLAN: Plan = {
  graceDays: 1,
  requirePackages: true,
  stages: [
    { ...STAGE, name: 'canary', channels: CHANNELS.slice(0, 2), soakMinutes: 30, rampPercent: [10, 50] },
    { ...STAGE, name: 'everyone', channels: CHANNELS.slice(2), requireSignOff: true, approvals: 1 },
  ],
}
const TITLE = 'Closes the hole in the fence.'
const RELEASE: Extract<Said, { kind: 'register' }> = {
  kind: 'register',
  version: '15.0.1',
  full: true,
  packages: true,
  cutAt: Date.parse('2026-03-02T09:00:00.000Z'),
  minAgentVersion: null,
  changes: [{ id: '#1', title: TITLE, author: 'dev', significant: true }],
  security: { embargoed: true, fixes: ['SEC-0001'] },
  person: 'ann/t1',
}
const MINUTE_MS = 60_000

/** A release brought out as it should be, with all that happened. */
async function recorded(t: Test): Promise<Rig> {
  const rig = await Rig.start({ channels: CHANNELS, plan: PLAN, twoDrivers: false })
  t.teardown(() => rig.end())
  const { version } = RELEASE
  const promote = { kind: 'promote', version, stage: null, critical: false, force: false, dryRun: false } as const
  await rig.do(0, RELEASE, 'ann/t1')
  await rig.do(0, promote, 'ann/t1')
  for (const minutes of [1, 1, 30]) {
    await rig.wait(minutes * MINUTE_MS, [])
    await rig.look(0)
  }
  await rig.do(0, { kind: 'verify', version, id: '#1' }, 'bob/t2')
  await rig.do(0, { kind: 'approve', version, stage: null, person: 'bob/t2' }, 'bob/t2')
  await rig.do(0, promote, 'ann/t1')
  await rig.do(0, { kind: 'rollback', version, to: null, dryRun: false }, 'ann/t1')
  return rig
}

t.test('a rollout that begins while the newer one is withdrawn is judged by what became of that', async (t) => {
  const rig = await Rig.start({ channels: CHANNELS, plan: PLAN, twoDrivers: false })
  t.teardown(() => rig.end())
  const newer: Said = { ...RELEASE, version: '15.0.2', security: null }
  await rig.do(0, newer, 'ann/t1')
  await rig.do(
    0,
    { kind: 'promote', version: '15.0.2', stage: null, critical: false, force: false, dryRun: false },
    'ann/t1',
  )
  rig.interpose({ said: { kind: 'withdraw', version: '15.0.2' }, actor: 'ann/t1' })
  await rig.do(0, { ...RELEASE, security: null }, 'ann/t1')
  t.strictSame(rig.audit.findings, [])
  t.equal(rig.audit.account.rollouts.get(RELEASE.version)?.state, 'running')
})

t.test('a rollout is not overtaken by a release that is withdrawn while that is decided', async (t) => {
  const rig = await Rig.start({ channels: CHANNELS, plan: PLAN, twoDrivers: false })
  t.teardown(() => rig.end())
  await rig.do(0, { ...RELEASE, version: '15.0.2', security: null }, 'ann/t1')
  // It begins too late for the promotion of the newer one to end it.
  rig.interpose({ said: { ...RELEASE, security: null }, actor: 'ann/t1' })
  await rig.do(
    0,
    { kind: 'promote', version: '15.0.2', stage: null, critical: false, force: false, dryRun: false },
    'ann/t1',
  )
  rig.interpose({ said: { kind: 'withdraw', version: '15.0.2' }, actor: 'ann/t1' })
  await rig.look(0)
  t.strictSame(rig.audit.findings, [])
  t.equal(rig.audit.account.rollouts.get(RELEASE.version)?.state, 'running')
})

t.test('no time counts for a release that a newer one of other rules is taking from its agents', async (t) => {
  const stages = [
    { ...STAGE, name: 'canary', channels: CHANNELS.slice(0, 1) },
    { ...STAGE, name: 'internal', channels: CHANNELS.slice(1, 2), soakMinutes: 30 },
  ]
  const rig = await Rig.start({ channels: CHANNELS, plan: { ...PLAN, stages }, twoDrivers: false })
  t.teardown(() => rig.end())
  const promote = async (version: string): Promise<void> => {
    await rig.do(0, { kind: 'promote', version, stage: null, critical: false, force: false, dryRun: false }, 'ann/t1')
  }
  const older: Said = { ...RELEASE, security: null, changes: [] }
  await rig.do(0, older, 'ann/t1')
  await promote(older.version)
  await promote(older.version)
  const wide = [
    { ...STAGE, name: 'canary', channels: CHANNELS.slice(0, 2), rampPercent: [5] },
    { ...STAGE, name: 'internal', channels: CHANNELS.slice(2, 3) },
  ]
  await rig.do(0, { kind: 'pipeline', plan: { ...PLAN, stages: wide } }, 'ann/t1')
  await rig.do(0, { ...older, version: '15.0.2' }, 'ann/t1')
  await promote('15.0.2')
  await rig.look(0)
  rig.audit.account.mustCountTime()
  t.strictSame(rig.audit.findings, [])
  t.equal(rig.audit.account.rollouts.get(older.version)?.stages.get('internal')?.since, Infinity)
})

type EntryEvent = Extract<Event, { kind: 'entry' }>

/** Faults as they are planted in what was recorded, and what must be found of each. */
const faults: Readonly<Record<string, { plant: (events: readonly Event[]) => readonly Event[]; finds: string }>> = {
  'a stage promoted before the soaking of the one before is over': {
    plant: (events) => without(events, 'rollout.soaked'),
    finds: 'condition stage-before',
  },
  'a soaking that ends too early': {
    plant: (events) => events.map((event) => earlier(event, 'rollout.soaked', MINUTE_MS)),
    finds: 'soaked too early',
  },
  'a step of a ramp that comes too early': {
    plant: (events) => events.map((event) => earlier(event, 'rollout.step', MINUTE_MS / 2)),
    finds: 'a step too early',
  },
  'a promotion without its approval': {
    plant: (events) =>
      events.map((event) => (saidKind(event) === 'approve' ? said(event, { person: 'Ann/t7' }) : event)),
    finds: 'condition approvals',
  },
  'a promotion without its sign-off': {
    plant: (events) =>
      events.map((event) => (saidKind(event) === 'verify' ? said(event, { kind: 'unverify' }) : event)),
    finds: 'condition sign-off',
  },
  'a promotion of a release without packages': {
    plant: (events) =>
      events.map((event) => (saidKind(event) === 'register' ? said(event, { packages: false }) : event)),
    finds: 'condition packages',
  },
  'a promotion of a release that is too new for some agents': {
    plant: (events) =>
      events.map((event) => (saidKind(event) === 'register' ? said(event, { minAgentVersion: '15.0.1' }) : event)),
    finds: 'condition compatibility',
  },
  'a promotion outside the hours': {
    plant: (events) => events.map((event) => (saidKind(event) === 'pipeline' ? said(event, { plan: closed }) : event)),
    finds: 'condition window',
  },
  'a promotion by nobody': {
    plant: (events) => events.map((event) => (isOf(event, 'rollout.promote') ? { ...event, said: null } : event)),
    finds: 'promoted by itself',
  },
  'a stage that is promoted twice': {
    plant: (events) =>
      events.flatMap((event): readonly Event[] => (isOf(event, 'rollout.promote') ? [event, event] : [event])),
    finds: 'promoted twice',
  },
  'a promotion that leaves a channel out': {
    plant: (events) => events.map((event) => (isOf(event, 'rollout.promote') ? lessOne(event, 'channel/') : event)),
    finds: 'half a promotion',
  },
  'a promotion without its rollout': {
    plant: (events) => events.map((event) => (isOf(event, 'rollout.promote') ? lessOne(event, 'rollout/') : event)),
    finds: 'moved without its rollout',
  },
  'a ramp that goes back': {
    plant: (events) => events.map((event) => (isOf(event, 'rollout.step') ? ramped(event, 5) : event)),
    finds: 'a ramp goes back',
  },
  'a ramp that reaches too many': {
    plant: (events) => events.map((event) => (isOf(event, 'rollout.step') ? ramped(event, 60) : event)),
    finds: 'another share than the step',
  },
  'channels that something else moves': {
    plant: (events) => events.map((event) => (isOf(event, 'rollout.promote') ? kind(event, 'rollout.approve') : event)),
    finds: 'moved by the wrong entry',
  },
  'a promotion of a lower version without force': {
    plant: (events) => events.map((event) => (isOf(event, 'rollout.promote') ? serving(event, LOWER_CLOUD) : event)),
    finds: 'a downgrade without force',
  },
  'a promotion over the other scheme without force': {
    plant: (events) => events.map((event) => (isOf(event, 'rollout.promote') ? serving(event, HIGHER_CLOUD) : event)),
    finds: 'over another scheme without force',
  },
  'a gap in the journal': {
    plant: (events) => events.map((event) => (isOf(event, 'rollout.rollback') ? later(event) : event)),
    finds: 'a gap in the journal',
  },
}
const [LOWER_CLOUD, HIGHER_CLOUD] = [
  '15.0.0-cloud.20260228T090000.abcdef0',
  '16.0.0-cloud.20260301T090000.abcdef0',
] as const
const closed: Plan = {
  ...PLAN,
  stages: PLAN.stages.map((stage) => ({ ...stage, officeHours: true, name: stage.name })),
}

t.test('what was done as it should be has no findings', async (t) => {
  const rig = await recorded(t)
  t.strictSame(rig.audit.findings, [])
  t.strictSame(heard(rig, rig.events), [])
})

t.test('each planted fault is found', async (t) => {
  const rig = await recorded(t)
  for (const [name, { plant, finds }] of Object.entries(faults)) {
    // The audit lets the weekend be when it looks at the hours.
    const events = name.includes('hours') ? plant(rig.events).map(onSunday) : plant(rig.events)
    t.ok(heard(rig, events).includes(finds), `${name}: ${heard(rig, events).join(', ')}`)
  }
  const secrets = ['SEC-0001', TITLE]
  t.strictSame(rig.audit.account.secrets(), secrets)
  findLeaks(rig.audit, secrets, 'an entry', rig.entries)
  t.strictSame(new Set(rig.audit.findings.map((finding) => finding.kind)), new Set(['embargoed text']))
})

/** What the audit finds in these events: the kinds. */
function heard({ start }: Rig, events: readonly Event[]): readonly string[] {
  const audit = new Audit(start.state, start.at)
  let { seq } = start.state
  for (const event of events) {
    // Whatever was planted, the journal counts on, unless that is the fault.
    if (event.kind === 'entry' && !(event.entry.seq > 1_000)) seq += 1
    audit.take(
      event.kind === 'entry' && event.entry.seq <= 1_000 ? { ...event, entry: { ...event.entry, seq } } : event,
    )
  }
  return [...new Set(audit.findings.map((finding) => finding.kind))]
}

function isOf(event: Event, name: string): event is EntryEvent {
  return event.kind === 'entry' && event.entry.kind === name
}

function saidKind(event: Event): string | null {
  return event.kind === 'entry' ? (event.said?.kind ?? null) : null
}

/** The event as if something else had been asked for. */
function said(event: Event, more: object): Event {
  return event.kind === 'entry' ? { ...event, said: { ...event.said, ...more } as Said } : event // As the fault has it.
}

function without(events: readonly Event[], name: string): readonly Event[] {
  return events.filter((event) => !isOf(event, name))
}

function earlier(event: Event, name: string, ms: number): Event {
  if (!isOf(event, name)) return event
  return { ...event, entry: { ...event.entry, at: new Date(Date.parse(event.entry.at) - ms).toISOString() } }
}

function onSunday(event: Event): Event {
  const day = 86_400_000
  if (event.kind === 'entry') return earlier(event, event.entry.kind, day)
  return event.kind === 'time' ? { ...event, now: event.now - day } : event
}

function kind(event: EntryEvent, name: string): Event {
  return { ...event, entry: { ...event.entry, kind: name } }
}

function later(event: EntryEvent): Event {
  return { ...event, entry: { ...event.entry, seq: 5_000 } }
}

function lessOne(event: EntryEvent, prefix: string): Event {
  const { changes } = event.entry
  const place = changes.findIndex(({ key }) => key.startsWith(prefix))
  return { ...event, entry: { ...event.entry, changes: changes.filter((_, at) => at !== place) } }
}

function ramped(event: EntryEvent, percent: number): Event {
  const changes = event.entry.changes.map((change) => {
    const ramp = change.after?.body['ramp']
    if (change.after === null || ramp === undefined) return change
    const body = { ...change.after.body, ramp: { ...(ramp as object), percent } } // A channel's document.
    return { ...change, after: { ...change.after, body } }
  })
  return { ...event, entry: { ...event.entry, changes } }
}

/** The entry as if its channels came to another version. */
function serving(event: EntryEvent, version: string): Event {
  const changes = event.entry.changes.map((change) => {
    if (change.after === null || !change.key.startsWith('channel/')) return change
    const source = { ...(change.after.body['source'] as object), version } // A channel's document.
    return { ...change, after: { ...change.after, body: { ...change.after.body, source } } }
  })
  return { ...event, entry: { ...event.entry, changes } }
}
