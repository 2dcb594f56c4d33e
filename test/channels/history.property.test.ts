// Histories at random, against the plainest reading of them: ask what was told at each tick, and count.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  compatibility,
  rollbackVersion,
  servedSpans,
  type HistoryStep,
  type ServedSpan,
} from '../../src/channels/history.ts'
import { hasPassed, targetAt } from '../../src/channels/target.ts'
import { momentOf } from '../../src/channels/time.ts'
import { lowestVersion } from '../../src/channels/version.ts'
import { anyBlocked, anyChannel, T0, TICK_MS } from '../fixtures/channel-arbitraries.ts'
import { frozen } from '../fixtures/channel-samples.ts'
import { sized } from '../fixtures/test-form.ts'

function anySteps(ticksMin: number): fc.Arbitrary<readonly HistoryStep[]> {
  const part = fc.tuple(fc.integer({ min: ticksMin, max: 4 }), fc.option(anyChannel, { freq: 8 }))
  return fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => {
    let at = T0
    return parts.map(([ticks, channel], index) => {
      at += ticks * TICK_MS
      return { at, revision: index + 1, channel }
    })
  })
}

function historyOf(ticksMin: number) {
  return fc.tuple(anySteps(ticksMin), anyBlocked, fc.nat({ max: 12 })).map(([steps, isBlocked, ticks]) => {
    const now = (steps.at(-1)?.at ?? T0) + ticks * TICK_MS
    return { steps: frozen(steps), isBlocked, now, spans: frozen(servedSpans(steps, isBlocked, now)) }
  })
}

/** Histories in which some steps fall on one millisecond, and histories in which none do. */
const someHistory = historyOf(0)
const slowHistory = historyOf(1)

/** What agents were told at a time, by the last step that had been made; undefined before the first. */
function toldAt(steps: readonly HistoryStep[], isBlocked: (version: string) => boolean, at: number) {
  const index = steps.findLastIndex((made) => made.at <= at)
  const step = steps[index]
  if (step === undefined) return undefined
  const later = steps[index + 1]
  if (step.channel === null) return { version: null, critical: false, because: 'deleted', revision: step.revision }
  // What the step after it has written down is what had been decided; only what is still open is judged by today's list. A change
  // takes out what has ended, so a pin that is there after its time, or in the step after it, had not ended.
  const { pin } = step.channel
  const laterPin = later?.channel?.pin ?? null
  const stays = laterPin?.at === pin?.at && laterPin?.version === pin?.version
  const isOpen = later === undefined || (!stays && !hasPassed(pin?.until ?? null, step.at))
  const held = pin?.held ?? (stays ? (laterPin?.held ?? null) : null)
  const channel = pin === null || isOpen ? step.channel : { ...step.channel, pin: { ...pin, until: null, held } }
  const { version, critical, because } = targetAt(channel, later === undefined ? isBlocked : () => false, at)
  return { version, critical, because, revision: step.revision }
}

function* ticksUpTo(now: number): Generator<number> {
  for (let at = T0; at <= now; at += TICK_MS) yield at
}

/** Every tick up to now, and the millisecond before each. */
function samplesUpTo(now: number): readonly number[] {
  return [...ticksUpTo(now)].flatMap((at) => [at - 1, at])
}

function spanAt(spans: readonly ServedSpan[], at: number): ServedSpan | undefined {
  return spans.find(({ from, to }) => from <= at && (to === null || at < to))
}

t.test('spans say at every moment what agents were told at it', async (t) => {
  let splits = 0
  fc.assert(
    fc.property(someHistory, ({ steps, isBlocked, now, spans }) => {
      splits += spans.length - steps.length
      return samplesUpTo(now).every((at) => {
        const told = toldAt(steps, isBlocked, at)
        const span = spanAt(spans, at)
        if (told === undefined || span === undefined) return told === span
        const { version, critical, because, revision } = span
        return (
          told.version === version &&
          told.critical === critical &&
          told.because === because &&
          told.revision === revision
        )
      })
    }),
    { numRuns: sized(1_500, 15_000) },
  )
  t.ok(splits > 200, `${splits} steps were split`)
})

t.test('spans follow on each other without gap, and only the last is open', async (t) => {
  fc.assert(
    fc.property(someHistory, ({ steps, spans }) =>
      spans.every(({ from, to }, index) => {
        const next = spans[index + 1]
        return from >= (steps[0]?.at ?? 0) && to === (next?.from ?? null) && (to === null || from <= to)
      }),
    ),
    { numRuns: sized(500, 5_000) },
  )
  t.pass()
})

t.test('a rollback goes to what was served before and is not served last, or is refused', async (t) => {
  const seen = { found: 0, refused: 0 }
  fc.assert(
    fc.property(someHistory, fc.nat({ max: 9 }), ({ spans }, revision) => {
      const served = spans.flatMap(({ version }) => version ?? [])
      const before = rollbackVersion(spans, undefined, () => false)
      seen[before.outcome] += 1
      const distinct = new Set(served).size
      if (before.outcome === 'found' && (!served.includes(before.version) || before.version === served.at(-1)))
        return false
      if (before.outcome === 'refused' && distinct > 1 && served[0] !== served.at(-1)) return false
      const named = rollbackVersion(spans, revision, () => false)
      const first = spans.find((span) => span.revision === revision)?.version ?? null
      return named.outcome === 'found' ? named.version === first : first === null
    }),
    { numRuns: sized(1_500, 15_000) },
  )
  t.ok(seen.found > 200 && seen.refused > 50, JSON.stringify(seen))
})

t.test('going back again and again visits each version once and comes to the first', async (t) => {
  fc.assert(
    fc.property(someHistory, ({ spans, now }) => {
      const visited: string[] = []
      let all = spans
      for (let times = 0; times <= spans.length; times += 1) {
        const back = rollbackVersion(all, undefined, () => false)
        if (back.outcome === 'refused') {
          const served = spans.flatMap(({ version }) => version ?? [])
          return new Set(visited).size === visited.length && (visited.at(-1) ?? served[0]) === served[0]
        }
        visited.push(back.version)
        const span = {
          version: back.version,
          beside: null,
          critical: false,
          because: 'pin' as const,
          revision: 100 + times,
        }
        all = [...all, { ...span, from: now + times, to: null }]
      }
      return false
    }),
    { numRuns: sized(500, 5_000) },
  )
  t.pass()
})

t.test('compatibility lists what agents can have run at some tick of the grace period', async (t) => {
  let several = 0
  fc.assert(
    fc.property(slowHistory, fc.nat({ max: 15 }), ({ steps, isBlocked, now, spans }, graceTicks) => {
      const graceMs = graceTicks * TICK_MS
      const runs = new Map<string, { first: number; last: number; inUse: boolean }>()
      let running: string | null = null
      for (const at of ticksUpTo(now)) {
        const told = toldAt(steps, isBlocked, at)?.version ?? null
        running = told ?? running
        if (running === null) continue
        const run = runs.get(running) ?? { first: at, last: at, inUse: false }
        if (told !== null) run.last = at
        // Everything happens on ticks: what is run at a tick is run until the next.
        run.inUse ||= at + TICK_MS > now - graceMs
        runs.set(running, run)
      }
      const versions = [...runs].flatMap(([version, { first, last, inUse }]) => {
        if (!inUse) return []
        const open = spans.at(-1)?.version === version
        return { version, firstServedAt: momentOf(first), lastServedAt: open ? null : momentOf(last + TICK_MS) }
      })
      if (versions.length > 1) several += 1
      deepStrictEqual(compatibility(spans, graceMs, now), {
        oldest: lowestVersion(versions.map(({ version }) => version)),
        versions,
      })
    }),
    { numRuns: sized(1_000, 10_000) },
  )
  t.ok(several > 200, `${several} answers had several versions`)
})
