// How a gate stands by what its evaluations have found: good enough to go on, bad enough to pause, or neither yet.
import { momentOf } from '../channels/time.ts'
import type { Gate } from './pipeline.ts'
import type { GateSample } from './rollout.ts'

/** A sample older than so many intervals, and this much for the asking itself, says nothing of now. */
const FRESH_INTERVALS = 2
const ASKING_MS_MAX = 30_000
const MINUTE_MS = 60_000

/** Samples that are kept of each gate: enough to draw, and far more than failures in a row can be. */
export const SAMPLES_MAX = 60

/** Samples of each gate that stay in the rollout's document: a pipeline can have 200 gates, and each step of it is in the journal. */
export const STORED_SAMPLES_MAX = 10

export type GateStanding =
  | { readonly outcome: 'passing' }
  /** Not asked since, or not lately, or failing, but not often enough yet. */
  | { readonly outcome: 'open'; readonly message: string }
  | { readonly outcome: 'failing'; readonly message: string }

/** `samples` are oldest first; those before `since` (milliseconds since the epoch) were of another step and do not count. */
export function gateStanding(gate: Gate, samples: readonly GateSample[], since: number, now: number): GateStanding {
  const { name, everySeconds, failures } = gate
  // A clock that was set back puts the beginning ahead; until then nothing ends, but what fails must still pause.
  const ours = since > now ? samples : samples.filter(({ at }) => Date.parse(at) >= since)
  const last = ours.at(-1)
  if (last === undefined) return { outcome: 'open', message: `gate ${name} has not been evaluated yet` }
  const delayEnds = since + (gate.initialDelayMinutes ?? 0) * MINUTE_MS
  // By when it was found, not by now: what was no failure does not become one once the delay is over.
  const isEarly = ({ at, verdict }: GateSample): boolean =>
    verdict === 'no data' && Date.parse(at) >= since && Date.parse(at) < delayEnds
  const counted = ours.filter((sample) => !isEarly(sample))
  const lastCounted = counted.at(-1)
  const failed = counted.length - 1 - counted.findLastIndex(({ verdict }) => verdict === 'passed')
  if (lastCounted !== undefined && failed > 0) {
    const message = failureInWords(gate, lastCounted, failed)
    if (failed >= failures) return { outcome: 'failing', message }
    return { outcome: 'open', message: `${message}; ${failures} in a row pause` }
  }
  if (isEarly(last)) {
    const message = `gate ${name} has no data yet (${last.detail}); until ${momentOf(delayEnds)} that is no failure`
    return { outcome: 'open', message }
  }
  // One that is dated ahead is of a clock that was set back: how long ago that was nobody knows.
  if (Math.abs(now - Date.parse(last.at)) > freshMs(everySeconds)) {
    return { outcome: 'open', message: `gate ${name} was last evaluated at ${last.at}` }
  }
  return { outcome: 'passing' }
}

/** Since when nobody has evaluated the gate, where that is too long ago for what happened meanwhile to count as watched; else null. */
export function unwatchedSince(gate: Gate, samples: readonly GateSample[], since: number, now: number): string | null {
  const last = Date.parse(samples.at(-1)?.at ?? '')
  const watched = Number.isNaN(last) || last < since ? since : last
  return now - watched > freshMs(gate.everySeconds) ? new Date(watched).toISOString() : null
}

function freshMs(everySeconds: number): number {
  return everySeconds * FRESH_INTERVALS * 1_000 + ASKING_MS_MAX
}

function failureInWords({ name, op, threshold }: Gate, { verdict, value, detail }: GateSample, failed: number): string {
  const times = failed === 1 ? 'once' : `${failed} times in a row`
  switch (verdict) {
    case 'failed':
      // The detail is the whole sentence, with the operator and the threshold that were in force.
      return `gate ${name} failed ${times}: ${detail ?? `${value ?? 'the value'} is not ${op} ${threshold}`}`
    case 'timed out':
      return `gate ${name} failed ${times}: ${detail ?? 'it was not answered in time'}`
    case 'no data':
      return `gate ${name} failed ${times}: there is no data (${detail})`
    case 'error':
      return `gate ${name} failed ${times}: it could not be evaluated (${detail})`
    case 'passed':
      return `gate ${name} passed`
  }
}
