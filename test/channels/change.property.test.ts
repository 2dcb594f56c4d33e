// Random histories of one channel: whatever is done, and whether lapses are written down or not, nothing is served that
// a guard forbids, to no cohort. What agents have is followed by looking at the targets at every tick, never by what the
// channel says.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { applyChange } from '../../src/channels/change.ts'
import type { Channel } from '../../src/channels/channel.ts'
import { cohortRanks } from '../../src/channels/cohort.ts'
import type { ChangeContext, ChannelChange } from '../../src/channels/draft.ts'
import { lapse } from '../../src/channels/lapse.ts'
import { cohortsAt, nextExpiry, sameTarget, targetAt, versionsTold, type Target } from '../../src/channels/target.ts'
import { compareVersions, majorOf } from '../../src/channels/version.ts'
import { ChannelAccount } from '../fixtures/channel-account.ts'
import { anyStep, anyVersion, changeOf, T0, TICK_MS, type Step } from '../fixtures/channel-arbitraries.ts'
import { frozen } from '../fixtures/channel-samples.ts'
import { isOneShortLine, strangeText } from '../fixtures/channel-texts.ts'
import { sized } from '../fixtures/test-form.ts'

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
  readonly cohorts: Cohorts
  readonly #tally: Tally

  constructor(tally: Tally) {
    this.#tally = tally
    this.cohorts = new Cohorts(tally)
  }

  see(channel: Channel, blocked: ReadonlySet<string>, now: number, { forced, why, isNamed }: Cause): void {
    const target = targetAt(channel, (version) => blocked.has(version), now)
    const { version } = target
    const lastTold = this.version
    if (version !== null) {
      const before = { told: this.last?.version ?? null, has: this.version }
      checkTold(channel, version, before, blocked, { forced, isNamed })
      if (isLower(version, this.version)) this.#tally.add(`down ${isNamed ? 'by force' : why}`)
      const majors = this.version === null ? 0 : majorOf(version) - majorOf(this.version)
      if (blocked.has(version)) this.#tally.add('a blocked version stays')
      if (majors !== 0) this.#tally.add(forced ? 'a major by force' : 'a major up')
      this.version = version
    }
    this.cohorts.see(channel, blocked, now, { forced, isNamed }, lastTold)
    // Where the plain path tells nothing, what the first cohorts are told is all that any agent is told.
    if (version === null)
      this.version = cohortsAt(channel, (told) => blocked.has(told), now)?.early.version ?? this.version
    this.#tally.add(`because ${target.because}`)
    this.last = target
  }
}

/** Why agents are told something else. */
interface Cause {
  readonly forced: boolean
  /** The kind of the change, or `time`. */
  readonly why: string
  /** Whether it has newly named a version, as operators and promotions do. */
  readonly isNamed: boolean
}

const BY_TIME: Cause = { forced: false, why: 'by time', isNamed: false }

function isLower(version: string, than: string | null): boolean {
  return than !== null && compareVersions(version, than) < 0
}

/** What is checked of what agents are told next: its limits, the block list, and its major and order against what they have. */
function checkTold(
  channel: Channel,
  version: string,
  before: { readonly told: string | null; readonly has: string | null },
  blocked: ReadonlySet<string>,
  { forced, isNamed }: Pick<Cause, 'forced' | 'isNamed'>,
): void {
  const { floor, ceiling } = channel
  const outside =
    (floor !== null && compareVersions(version, floor) < 0) ||
    (ceiling !== null && compareVersions(version, ceiling) > 0)
  if (outside) throw new Error(`${version} is outside ${floor} … ${ceiling}`)
  if (version !== before.told && blocked.has(version)) throw new Error(`${version} is blocked and served anew`)
  const majors = before.has === null ? 0 : majorOf(version) - majorOf(before.has)
  if (isNamed && !forced && isLower(version, before.has)) throw new Error(`${before.has} goes down to ${version}`)
  if (!forced && (majors < 0 || majors > 1)) throw new Error(`agents go from ${before.has} to ${version}`)
}

/** So many of the hundred, at places apart: every step of a ramp reaches some and leaves some. */
const WATCHED = [0, 7, 14, 23, 31, 42, 58, 66, 85, 99]

/** One of the watched cohorts: what it was told last, and what its agents have. */
interface Watched {
  told: string | null
  has: string | null
  /** The ramp that had reached it, by its seed. */
  reachedBy: string | null
}

const ranksBySeed = new Map<string, readonly number[]>()

/** Agents of some cohorts of one channel, who believe what their own paths tell. */
class Cohorts {
  readonly #watched = WATCHED.map((cohort): [number, Watched] => [cohort, { told: null, has: null, reachedBy: null }])
  readonly #tally: Tally

  constructor(tally: Tally) {
    this.#tally = tally
  }

  get versions(): ReadonlySet<string | null> {
    return new Set(this.#watched.map(([, { has }]) => has))
  }

  /** `lastTold` is the plain path's last version: a channel remembers no more of the time before a halt or "no version". */
  see(
    channel: Channel,
    blocked: ReadonlySet<string>,
    now: number,
    cause: Pick<Cause, 'forced' | 'isNamed'>,
    lastTold: string | null,
  ): void {
    const isBlocked = (version: string): boolean => blocked.has(version)
    const targets = cohortsAt(channel, isBlocked, now)
    const plain = targetAt(channel, isBlocked, now)
    const known = versionsTold(channel, isBlocked, now)
    if (targets !== null) this.#tally.add(plain.version === null ? 'a ramp from no version' : 'a ramp is under way')
    for (const [cohort, watched] of this.#watched) {
      const isReached = targets !== null && (ranksOf(targets.seed)[cohort] ?? 0) < targets.percent
      const { version } = targets === null ? plain : isReached ? targets.early : targets.late
      const { seed = null } = channel.ramp ?? {}
      if (watched.reachedBy !== seed) watched.reachedBy = null
      if (watched.reachedBy !== null && targets !== null && !isReached)
        throw new Error(`cohort ${cohort} goes back to ${version}`)
      if (isReached && watched.reachedBy === null) {
        watched.reachedBy = seed
        this.#tally.add('a cohort is reached')
      }
      if (version !== null) {
        if (!known.includes(version)) throw new Error(`${version} is told, but is none of ${known.join(', ')}`)
        checkTold(channel, version, { told: watched.told, has: watched.told ?? lastTold }, blocked, cause)
        watched.has = version
      }
      watched.told = version
    }
  }
}

function ranksOf(seed: string): readonly number[] {
  const known = ranksBySeed.get(seed)
  if (known !== undefined) return known
  const ranks = cohortRanks(seed)
  ranksBySeed.set(seed, ranks)
  return ranks
}

class History {
  now = T0
  channel: Channel | null = null
  readonly blocked = new Set<string>()
  readonly agents: Agents
  readonly #account = new ChannelAccount()
  readonly #tally: Tally
  readonly #lapsesWritten: boolean
  #isRampForced = false

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
      if (channel !== null) this.agents.see(channel, this.blocked, this.now + TICK_MS - 1, BY_TIME)
      const before = this.agents.last
      this.now += TICK_MS
      if (channel === null) continue
      this.agents.see(channel, this.blocked, this.now, BY_TIME)
      this.#serve(channel)
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
    const change = changeOf(step, this.now, this.channel)
    const isUpstream = change?.kind === 'upstream' || change?.kind === 'upstream-problem'
    // Nobody is there to force what an upstream says.
    const isForced = change !== null && step.force && !isUpstream
    // What a ramp brings was judged, or forced, when it began.
    const goesOn = (change?.kind === 'promote' || change?.kind === 'ramp') && this.channel?.ramp !== undefined
    const forced = isForced || (goesOn && this.#isRampForced)
    const named = change === null ? null : namedBy(change, this.channel)
    if (change !== null && (!isUpstream || this.channel?.source.kind === 'forward')) {
      this.#change(change, isForced, named)
    }
    if (change?.kind === 'promote') this.#isRampForced = forced
    // Blocking and unblocking move nothing: nobody forced them.
    if (this.channel === null) return
    const cause = { forced, why: `by ${step.does}`, isNamed: named !== null }
    this.agents.see(this.channel, this.blocked, this.now, cause)
    this.#serve(this.channel)
  }

  #serve(channel: Channel): void {
    const told = versionsTold(channel, this.#isBlocked, this.now)
    this.#account.serve(channel, told)
    // Nobody forces an end by time.
    if (targetAt(channel, this.#isBlocked, this.now).because === 'expired') this.#endPin(told, false)
  }

  /** What is served without a halt. */
  #unhalted(channel: Channel): readonly string[] {
    return versionsTold({ ...channel, halt: null }, this.#isBlocked, this.now)
  }

  /** Tells the account of a pin that has begun or ended, be it by time before the change. */
  #countPin(change: ChannelChange, stored: Channel | null, next: Channel, force: boolean): void {
    const current = stored === null ? null : (lapse(stored, this.#isBlocked, this.now) ?? stored)
    const held = current?.pin?.held ?? null
    if (stored !== null && current !== null && stored.pin !== null) {
      if (current.pin === null) this.#endPin(this.#unhalted(current), false)
      else if (held?.guard === 'rollback_end') this.#tally.add('held by rollback_end')
    }
    if (change.kind === 'pin' || change.kind === 'rollback')
      this.#account.pin(change.version, change.kind === 'rollback')
    if (current === null || current.pin === null || next.pin !== null) return
    if (change.kind === 'version') this.#tally.add('a version takes the pin away')
    this.#endPin(this.#unhalted(next), force)
  }

  #endPin(versions: readonly string[], isAllowed: boolean): void {
    const again = this.#account.endPin(versions)
    if (again !== null && !isAllowed) throw new Error(`${again} was rolled back and is served again by a pin's end`)
  }

  /** As control/ does with every change of the block list: what time has changed is written before the list is. */
  #writeLapse(): void {
    const next = this.channel === null ? null : lapse(this.channel, this.#isBlocked, this.now)
    if (next === null) return
    this.#tally.add('lapsed')
    this.channel = frozen(next)
  }

  /** Whether some agents have more than a version, and are told it: nobody is by a source that moves under a pin or a halt. */
  #isDowngrade(version: string | null, takesPin: boolean): boolean {
    const { agents } = this
    const channel = this.channel && (lapse(this.channel, this.#isBlocked, this.now) ?? this.channel)
    if (version === null || channel === null || (channel.pin !== null && !takesPin) || channel.halt !== null)
      return false
    const has = [agents.version, ...agents.cohorts.versions, channel.lastServed, channel.lastServedBeside ?? null]
    return [...has, channel.ramp === undefined ? null : channel.source.version].some((held) => isLower(version, held))
  }

  #change(change: ChannelChange, force: boolean, named: string | null): void {
    if (change.kind !== 'create' && this.channel === null) return
    const before = this.agents.last
    const context: ChangeContext = {
      now: this.now,
      expiryTime: this.now,
      actor: 'ada',
      reason: 'because',
      force,
      fallback: null,
      isBlocked: this.#isBlocked,
    }
    const outcome = applyChange(this.channel, frozen(change), context)
    if (outcome.outcome === 'refused') {
      this.#tally.add(`refused: ${outcome.why === 'guard' ? outcome.guard : outcome.why}`)
      const isDowngrade = outcome.why === 'guard' && outcome.guard === 'downgrade'
      if (isDowngrade && (force || !this.#isDowngrade(named, change.kind === 'version' && change.unpin === true))) {
        throw new Error(`${change.kind} ${named} is no downgrade, and was refused as one`)
      }
      return
    }
    this.#tally.add(`accepted: ${change.kind}`)
    this.#countPin(change, this.channel, outcome.channel, force)
    this.channel = frozen(outcome.channel)
    if (before !== null && (outcome.before === null || !sameTarget(before, outcome.before))) {
      throw new Error('the target before a change is not what agents were told')
    }
    if (!sameTarget(outcome.after, targetAt(this.channel, this.#isBlocked, this.now)))
      throw new Error('not the target after')
  }
}

/** The version that a change newly names; a promotion names none that the channel's ramp brings already. */
function namedBy(change: ChannelChange, channel: Channel | null): string | null {
  if (change.kind === 'version') return change.version
  if (change.kind === 'edit') {
    // An upstream ends a ramp: all agents are told what the plain path was.
    const { ramp = null, source = null } = change.source?.kind === 'forward' ? (channel ?? {}) : {}
    if (ramp !== null) return (ramp.plainPath === 'last' ? ramp.before : source)?.version ?? null
    return change.source?.version ?? null
  }
  return change.kind === 'promote' && channel?.ramp === undefined ? change.version : null
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
  'promote',
  'ramp',
  'settle',
]
const GUARDS = ['blocked-version', 'floor', 'ceiling', 'build_metadata', 'major-downgrade', 'major-jump', 'downgrade']
/** Ways down that no force is needed for, and the one that it is. */
const DOWN = ['by pin', 'by rollback', 'by unpin', 'by resume', 'by upstream', 'by time', 'by force']
const BECAUSE = ['source', 'pin', 'halt', 'expired', 'held', 'unanswered', 'ramp']

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
        if (settled === null) return true
        const { lastServed } = settled
        return lastServed === agents.version || agents.cohorts.versions.has(lastServed)
      },
    ),
    { numRuns: sized(2_500, 25_000) },
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
    'a ramp is under way',
    'a ramp from no version',
    'a cohort is reached',
  ])
  tally.assertAtLeast(t, 20, ['refused: rollback_end', 'held by rollback_end', 'a version takes the pin away'])
  const down = DOWN.map((way) => `down ${way}`)
  tally.assertAtLeast(t, 20, down)
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
          percent: null,
          plainPath: 'last',
        })
        for (const step of steps) history.take(step)
        const stored = change.kind === 'create' ? null : history.channel
        const outcome = applyChange(
          frozen(stored),
          frozen(change),
          frozen({ ...more, fallback: null, now: history.now, expiryTime: history.now, isBlocked: () => false }),
        )
        tally.add(outcome.outcome)
        if (outcome.outcome === 'refused') return isOneShortLine(outcome.message)
        frozen(outcome)
        // What is accepted is JSON: nothing is lost on its way through the store.
        deepStrictEqual(JSON.parse(JSON.stringify(outcome.channel)), outcome.channel)
        return true
      }),
      { numRuns: sized(1_500, 15_000) },
    )
    tally.assertAtLeast(t, 100, ['accepted', 'refused'])
  },
)
