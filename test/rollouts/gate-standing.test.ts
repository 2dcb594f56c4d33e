// How a gate stands by what its evaluations have found.
import fc from 'fast-check'
import t from 'tap'
import { gateStanding, SAMPLES_MAX, unwatchedSince } from '../../src/rollouts/gate-standing.ts'
import { GATE_VERDICTS, type GateSample } from '../../src/rollouts/rollout.ts'
import { NOW } from '../fixtures/channel-samples.ts'
import { MINUTE_MS, sampleAt, someGate } from '../fixtures/rollout-samples.ts'

const GATE = someGate({ op: '<', threshold: 5, everySeconds: 60, failures: 3 })

/** How the gate stands right after its last sample, or at `now`. */
function standing(samples: readonly GateSample[], { since = NOW, now }: { since?: number; now?: number } = {}) {
  const last = samples.at(-1)
  return gateStanding(GATE, samples, since, now ?? (last === undefined ? NOW : Date.parse(last.at)))
}

function messageOf(samples: readonly GateSample[]): string {
  const found = standing(samples)
  return found.outcome === 'passing' ? 'passing' : found.message
}

t.test('a gate that was never asked is open, and one whose last answer was good passes', async (t) => {
  t.strictSame(standing([]), { outcome: 'open', message: 'gate errors has not been evaluated yet' })
  t.strictSame(standing([sampleAt(0)]), { outcome: 'passing' })
  t.strictSame(standing([sampleAt(0, 'failed'), sampleAt(1, 'failed'), sampleAt(2)]), { outcome: 'passing' })
})

t.test('samples before the step began were of another step', async (t) => {
  const since = NOW + 2 * MINUTE_MS
  t.match(standing([sampleAt(0), sampleAt(1)], { since, now: since }), {
    outcome: 'open',
    message: /not been evaluated/,
  })
  const failing = [sampleAt(0, 'failed'), sampleAt(1, 'failed'), sampleAt(2, 'failed')]
  t.match(standing(failing, { since }), { outcome: 'open', message: /failed once/ })
  t.match(standing(failing), { outcome: 'failing' }, 'all of them since the beginning')
  t.match(
    standing([sampleAt(1, 'failed'), sampleAt(2)], { since }),
    { outcome: 'passing' },
    'one at the very moment counts',
  )
})

t.test('so many failures in a row fail it, not one less, and a good answer between them begins anew', async (t) => {
  const failed = (...minutes: number[]) => minutes.map((minute) => sampleAt(minute, 'failed'))
  t.match(standing(failed(0)), { outcome: 'open', message: /failed once: .*; 3 in a row pause$/ })
  t.match(standing(failed(0, 1)), { outcome: 'open', message: /failed 2 times in a row: .*; 3 in a row pause$/ })
  t.match(standing(failed(0, 1, 2)), { outcome: 'failing', message: /failed 3 times in a row/ })
  t.match(standing(failed(0, 1, 2, 3)), { outcome: 'failing', message: /failed 4 times in a row/ })
  t.match(standing([...failed(0, 1), sampleAt(2), ...failed(3, 4)]), { outcome: 'open', message: /2 times/ })
  t.match(gateStanding(someGate({ failures: 1 }), failed(0), NOW, NOW), { outcome: 'failing', message: /failed once/ })
})

t.test('every verdict but a good one counts as a failure, and says what was wrong', async (t) => {
  const with3 = (verdict: GateSample['verdict'], more: Partial<GateSample> = {}) =>
    messageOf([0, 1, 2].map((minute) => sampleAt(minute, verdict, more)))
  t.match(with3('failed', { value: 0, detail: null }), /: 0 is not < 5$/, 'nought is a value')
  t.match(with3('failed', { value: null, detail: null }), /: the value is not < 5$/)
  t.match(with3('no data', { detail: 'no series' }), /: there is no data \(no series\)$/)
  t.match(with3('error', { detail: 'status 500' }), /: it could not be evaluated \(status 500\)$/)
  t.match(with3('timed out', { detail: 'the query was not answered in 10 s' }), /: the query was not answered in 10 s$/)
  const mixed = [sampleAt(0, 'no data'), sampleAt(1, 'error'), sampleAt(2, 'timed out', { detail: 'too late' })]
  t.match(standing(mixed), { outcome: 'failing', message: /3 times in a row: too late$/ })
})

t.test('what a failed gate has found is said once, in the words of the evaluation', async (t) => {
  const details = [
    '+Inf is not < 5',
    '7.5 is not < 5',
    'the value is not < 5 in 2 of 3 series; the worst is 12.5, of errors{zone="c"}',
  ]
  for (const detail of details) {
    for (const value of [null, 12.5]) {
      const samples = [0, 1, 2].map((minute) => sampleAt(minute, 'failed', { value, detail }))
      t.equal(messageOf(samples), `gate errors failed 3 times in a row: ${detail}`)
    }
  }
})

t.test('no data within the initial delay is no failure, and does not pass either', async (t) => {
  const gate = someGate({ failures: 2, initialDelayMinutes: 5 })
  const at = (samples: readonly GateSample[], more: { since?: number; now?: number } = {}) =>
    gateStanding(gate, samples, more.since ?? NOW, more.now ?? Date.parse(samples.at(-1)?.at ?? ''))
  const none = (...minutes: number[]) => minutes.map((minute) => sampleAt(minute, 'no data', { detail: 'no series' }))
  const until = '2026-03-01T00:05:00.000Z'
  t.strictSame(at(none(0, 1, 2, 3, 4)), {
    outcome: 'open',
    message: `gate errors has no data yet (no series); until ${until} that is no failure`,
  })
  t.match(
    at(none(0, 1, 2, 3, 4), { now: NOW + 60 * MINUTE_MS }),
    { outcome: 'open' },
    'nor later, when nobody has asked since',
  )
  t.match(at(none(4, 5)), {
    outcome: 'open',
    message: /failed once: there is no data \(no series\); 2 in a row pause$/,
  })
  t.match(at(none(4, 5, 6)), { outcome: 'failing', message: /failed 2 times in a row: there is no data/ })
  t.match(at([...none(0, 1), sampleAt(2)]), { outcome: 'passing' })
  t.match(at([sampleAt(0), ...none(1)]), { outcome: 'open' }, 'a good answer before a gap is not the last one')
  for (const verdict of ['failed', 'error', 'timed out'] as const) {
    t.match(
      at([sampleAt(0, verdict), sampleAt(1, verdict)]),
      { outcome: 'failing' },
      `${verdict} counts from the first`,
    )
    t.match(
      at([sampleAt(0, verdict), ...none(1), sampleAt(2, verdict)]),
      { outcome: 'failing' },
      'a gap is no good answer',
    )
    t.match(at([sampleAt(0, verdict), ...none(1)]), { outcome: 'open', message: /failed once/ })
  }
  const since = NOW + 30 * MINUTE_MS
  t.match(at(none(30, 31, 34), { since }), { outcome: 'open', message: /no data yet/ }, 'every step begins with it')
  t.match(
    at(none(1, 2), { since, now: NOW + 2 * MINUTE_MS }),
    { outcome: 'failing' },
    'not before a step, where a clock was set back',
  )
  t.match(gateStanding(someGate({ failures: 1 }), none(0), NOW, NOW), { outcome: 'failing' }, 'without one, at once')
})

t.test('a good answer is good for two intervals and the time of asking, not for longer', async (t) => {
  const freshMs = 2 * 60_000 + 30_000
  t.match(standing([sampleAt(0)], { now: NOW + freshMs }), { outcome: 'passing' })
  t.match(standing([sampleAt(0)], { now: NOW + freshMs + 1 }), {
    outcome: 'open',
    message: 'gate errors was last evaluated at 2026-03-01T00:00:00.000Z',
  })
  t.match(standing([sampleAt(0)], { now: NOW - freshMs }), { outcome: 'passing' })
  t.match(standing([sampleAt(0)], { now: NOW - freshMs - 1 }), { outcome: 'open' }, 'nor one that is dated ahead')
})

t.test('failures that were found long ago still fail it: nothing has said otherwise since', async (t) => {
  const samples = [0, 1, 2].map((minute) => sampleAt(minute, 'failed'))
  t.match(standing(samples, { now: NOW + 60 * MINUTE_MS }), { outcome: 'failing' })
})

t.test('a gate that nobody has evaluated for as long as an answer is good was not watched', async (t) => {
  const freshMs = 2 * 60_000 + 30_000
  const unwatched = (samples: readonly GateSample[], now: number, since = NOW) =>
    unwatchedSince(GATE, samples, since, now)
  t.equal(unwatched([], NOW + freshMs), null)
  t.equal(unwatched([], NOW + freshMs + 1), '2026-03-01T00:00:00.000Z', 'since the step began')
  t.equal(unwatched([sampleAt(1, 'error')], NOW + MINUTE_MS + freshMs), null, 'a bad answer is one, too')
  t.equal(unwatched([sampleAt(1)], NOW + MINUTE_MS + freshMs + 1), '2026-03-01T00:01:00.000Z')
  const since = NOW + 5 * MINUTE_MS
  t.equal(unwatched([sampleAt(1)], since + freshMs, since), null, 'answers of another step do not count')
  t.equal(unwatched([sampleAt(1)], since + freshMs + 1, since), '2026-03-01T00:05:00.000Z')
})

t.test('what fails still fails where the clock was set back to before the step began', async (t) => {
  const samples = [0, 1, 2].map((minute) => sampleAt(minute, 'failed'))
  t.match(standing(samples, { since: NOW + 60 * MINUTE_MS }), { outcome: 'failing' })
})

t.test('a gate fails exactly where its last samples since the step are all bad, and enough of them', async (t) => {
  const seen = { passing: 0, open: 0, failing: 0 }
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...GATE_VERDICTS, 'passed' as const), { maxLength: 8 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat({ max: 8 }),
      (verdicts, failures, first) => {
        const samples = verdicts.map((verdict, minute) => sampleAt(minute, verdict))
        const now = NOW + Math.max(verdicts.length - 1, first) * MINUTE_MS
        const { outcome } = gateStanding(someGate({ failures }), samples, NOW + first * MINUTE_MS, now)
        seen[outcome] += 1
        const ours = verdicts.slice(first)
        const isFailing = ours.length >= failures && ours.slice(-failures).every((verdict) => verdict !== 'passed')
        const isPassing = ours.at(-1) === 'passed'
        return outcome === (isFailing ? 'failing' : isPassing ? 'passing' : 'open')
      },
    ),
    { numRuns: 2_000 },
  )
  for (const [outcome, times] of Object.entries(seen)) t.ok(times > 100, `${outcome}: ${times} times`)
})

t.test('more samples are kept than failures in a row can be asked for', async (t) => {
  const samples = Array.from({ length: SAMPLES_MAX }, (_, minute) => sampleAt(minute, 'failed'))
  t.match(gateStanding(someGate({ failures: SAMPLES_MAX }), samples, NOW, NOW), { outcome: 'failing' })
})
