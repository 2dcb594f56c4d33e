// Random histories of one channel: whatever is done, and whether lapses are written down or not, nothing is served that
// a guard forbids. What agents have is followed by looking at the target at every tick, never by what the channel says.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { applyChange } from '../../src/channels/change.ts'
import type { Channel } from '../../src/channels/channel.ts'
import type { ChangeContext, ChannelChange } from '../../src/channels/draft.ts'
import { lapse } from '../../src/channels/lapse.ts'
import { nextExpiry, sameTarget, targetAt, type Target } from '../../src/channels/target.ts'
import { compareVersions, majorOf } from '../../src/channels/version.ts'
import { anyStep, anyVersion, changeOf, T0, TICK_MS, type Step } from '../fixtures/channel-arbitraries.ts'
import { frozen } from '../fixtures/channel-samples.ts'
import { isOneShortLine, strangeText } from '../fixtures/channel-texts.ts'

/** How often each thing happened, so that no property holds for want of cases. */
class Tally {
  readonly times = new Map<string, number>()

  add(what: string): void {
    this.times.set(what, (this.times.get(what) ?? 0) + 1)
  }

  assertAtLeast(
    t: { ok(condition: boolean, message: string): unknown },
    least: number,
    things: readonly string[],
  ): void {
    for (const what of things) t.ok((this.times.get(what) ?? 0) >= least, `${what}: ${this.times.get(what) ?? 0} times`)
  }
}

/** Agents of one channel: they believe every target, and check that it may follow on the one before. */
class Agents {
  last: Target | null = null
  version: string | null = null
  readonly #tally: Tally

  constructor(tally: Tally) {
    this.#tally = tally
  }

  see(channel: Channel, blocked: ReadonlySet<string>, now: number, forced: boolean): void {
    const target = targetAt(channel, (version) => blocked.has(version), now)
    const { version } = target
    if (version !== null) {
      const outside =
        (channel.floor !== null && compareVersions(version, channel.floor) < 0) ||
        (channel.ceiling !== null && compareVersions(version, channel.ceiling) > 0)
      if (outside) throw new Error(`${version} is outside ${channel.floor} … ${channel.ceiling}`)
      if (version !== this.last?.version && blocked.has(version))
        throw new Error(`${version} is blocked and served anew`)
      const majors = this.version === null ? 0 : majorOf(version) - majorOf(this.version)
      if (!forced && (majors < 0 || majors > 1)) throw new Error(`agents go from ${this.version} to ${version}`)
      if (blocked.has(version)) this.#tally.add('a blocked version stays')
      if (majors !== 0) this.#tally.add(forced ? 'a major by force' : 'a major up')
      this.version = version
    }
    this.#tally.add(`because ${target.because}`)
    this.last = target
  }
}

class History {
  now = T0
  channel: Channel | null = null
  readonly blocked = new Set<string>()
  readonly agents: Agents
  readonly #tally: Tally
  readonly #lapsesWritten: boolean

  constructor(tally: Tally, lapsesWritten: boolean) {
    this.#tally = tally
    this.#lapsesWritten = lapsesWritten
    this.agents = new Agents(tally)
  }

  readonly #isBlocked = (version: string): boolean => this.blocked.has(version)

  /** Lets time pass, one tick and the millisecond before it at a time. */
  wait(ticks: number): void {
    for (let tick = 0; tick < ticks; tick += 1) {
      const { channel } = this
      const expiry = channel === null ? null : nextExpiry(channel, this.now)
      if (channel !== null) this.agents.see(channel, this.blocked, this.now + TICK_MS - 1, false)
      const before = this.agents.last
      this.now += TICK_MS
      if (channel === null) continue
      this.agents.see(channel, this.blocked, this.now, false)
      const moved = before !== null && this.agents.last !== null && !sameTarget(before, this.agents.last)
      if (moved) this.#tally.add('moved by time')
      if (moved && expiry !== this.now) throw new Error('a target moved at a time that is no expiry')
    }
  }

  take(step: Step): void {
    this.wait(step.ticks)
    if (step.does === 'lapse' ? this.#lapsesWritten : step.does === 'block' || step.does === 'unblock')
      this.#writeLapse()
    if (step.does === 'block') this.blocked.add(step.version)
    if (step.does === 'unblock') this.blocked.delete(step.version)
    const change = changeOf(step, this.now)
    const isUpstream = change?.kind === 'upstream' || change?.kind === 'upstream-problem'
    // Nobody is there to force what an upstream says.
    const forced = change !== null && step.force && !isUpstream
    if (change !== null && (!isUpstream || this.channel?.source.kind === 'forward')) this.#change(change, forced)
    // Blocking and unblocking move nothing: nobody forced them.
    if (this.channel !== null) this.agents.see(this.channel, this.blocked, this.now, forced)
  }

  /** As control/ does with every change of the block list: what time has changed is written before the list is. */
  #writeLapse(): void {
    const next = this.channel === null ? null : lapse(this.channel, this.#isBlocked, this.now)
    if (next === null) return
    this.#tally.add('lapsed')
    this.channel = frozen(next)
  }

  #change(change: ChannelChange, force: boolean): void {
    if (change.kind !== 'create' && this.channel === null) return
    const before = this.agents.last
    const context: ChangeContext = {
      now: this.now,
      actor: 'ada',
      reason: 'because',
      force,
      fallback: null,
      isBlocked: this.#isBlocked,
    }
    const outcome = applyChange(this.channel, frozen(change), context)
    if (outcome.outcome === 'refused') {
      this.#tally.add(`refused: ${outcome.why === 'guard' ? outcome.guard : outcome.why}`)
      return
    }
    this.#tally.add(`accepted: ${change.kind}`)
    this.channel = frozen(outcome.channel)
    if (before !== null && (outcome.before === null || !sameTarget(before, outcome.before))) {
      throw new Error('the target before a change is not what agents were told')
    }
    if (!sameTarget(outcome.after, targetAt(this.channel, this.#isBlocked, this.now)))
      throw new Error('not the target after')
  }
}

const KINDS = [
  'create',
  'upstream',
  'upstream-problem',
  'version',
  'pin',
  'rollback',
  'unpin',
  'halt',
  'resume',
  'critical',
  'edit',
]
const GUARDS = ['blocked-version', 'floor', 'ceiling', 'major-downgrade', 'major-jump']
const BECAUSE = ['source', 'pin', 'halt', 'expired', 'held', 'unanswered']

t.test('no history of changes, expiries, blocks and lapses leads past a guard', async (t) => {
  const tally = new Tally()
  const first = fc.record({ step: anyStep, limited: fc.boolean() })
  fc.assert(
    fc.property(
      first,
      fc.array(anyStep, { minLength: 10, maxLength: 40 }),
      fc.boolean(),
      ({ step, limited }, steps, written) => {
        const history = new History(tally, written)
        history.take({ ...step, does: 'create', ...(limited ? {} : { limits: {} }) })
        for (const next of steps) history.take(next)
        history.wait(6)
        const { channel, agents } = history
        // The baseline that channels keep is what agents have, once what time did is written down.
        const settled = channel && (lapse(channel, (version) => history.blocked.has(version), history.now) ?? channel)
        return settled === null || settled.lastServed === agents.version
      },
    ),
    { numRuns: 1_500 },
  )
  tally.assertAtLeast(t, 100, [
    ...KINDS.map((kind) => `accepted: ${kind}`),
    ...GUARDS.map((guard) => `refused: ${guard}`),
    ...BECAUSE.map((because) => `because ${because}`),
    'lapsed',
    'moved by time',
    'a blocked version stays',
    'a major by force',
    'a major up',
  ])
})

const someText = fc.oneof(strangeText(), anyVersion, fc.constantFrom('2026-03-01T00:05:00Z', '2026-02-01T00:00:00Z'))
const maybeText = fc.option(someText)
/** Every key may be missing. */
const ANY_KEYS: { readonly requiredKeys: never[] } = { requiredKeys: [] }
const urgency = fc.record({ critical: fc.boolean(), criticalUntil: maybeText }, ANY_KEYS)
const source = fc
  .record({ version: maybeText }, ANY_KEYS)
  .chain((version) => urgency.map((more) => ({ kind: 'static' as const, ...version, ...more })))
const document = fc.record({ description: someText, source, floor: maybeText, ceiling: maybeText }, ANY_KEYS)

/** Every kind of change, with any texts in it. */
const strangeChange: fc.Arbitrary<ChannelChange> = fc.oneof(
  fc.tuple(someText, document).map(([name, parts]) => ({ kind: 'create' as const, name, ...parts })),
  document.map((parts) => ({ kind: 'edit' as const, ...parts })),
  fc.tuple(maybeText, urgency).map(([version, parts]) => ({ kind: 'version' as const, version, ...parts })),
  fc
    .tuple(
      fc.constantFrom('pin' as const, 'rollback' as const),
      someText,
      fc.record({ critical: fc.boolean(), until: maybeText }, ANY_KEYS),
    )
    .map(([kind, version, parts]) => ({ kind, version, ...parts })),
  fc
    .tuple(fc.boolean(), fc.record({ until: maybeText }, ANY_KEYS))
    .map(([critical, parts]) => ({ kind: 'critical' as const, critical, ...parts })),
  fc.constantFrom('unpin' as const, 'halt' as const, 'resume' as const).map((kind) => ({ kind })),
)

t.test(
  'changes with any texts in them are accepted or refused in one line, and change nothing they were given',
  async (t) => {
    const tally = new Tally()
    const context = fc.record({ reason: maybeText, force: fc.boolean(), actor: someText })
    fc.assert(
      fc.property(strangeChange, fc.array(anyStep, { maxLength: 6 }), context, (change, steps, more) => {
        const history = new History(new Tally(), false)
        history.take({
          does: 'create',
          ticks: 0,
          version: '15.0.0',
          noVersion: false,
          critical: true,
          until: 3,
          limits: {},
          withSource: true,
          force: false,
        })
        for (const step of steps) history.take(step)
        const stored = change.kind === 'create' ? null : history.channel
        const outcome = applyChange(
          frozen(stored),
          frozen(change),
          frozen({ ...more, fallback: null, now: history.now, isBlocked: () => false }),
        )
        tally.add(outcome.outcome)
        if (outcome.outcome === 'refused') return isOneShortLine(outcome.message)
        frozen(outcome)
        // What is accepted is JSON: nothing is lost on its way through the store.
        deepStrictEqual(JSON.parse(JSON.stringify(outcome.channel)), outcome.channel)
        return true
      }),
      { numRuns: 1_500 },
    )
    tally.assertAtLeast(t, 100, ['accepted', 'refused'])
  },
)
