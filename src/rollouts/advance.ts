// What a rollout does by itself: the next step of a ramp, the end of a soaking, the promotion of an automatic stage, and
// the pause that a failing gate demands. One thing at a time, each a commit of its own, each decided anew.
import { applyChange } from '../channels/change.ts'
import type { Channel } from '../channels/channel.ts'
import { COHORTS } from '../channels/cohort.ts'
import { momentOf } from '../channels/time.ts'
import { blocker, conditionBlockers, endBlockers, named, type StageFacts } from './conditions.ts'
import { STORED_SAMPLES_MAX, gateStanding, unwatchedSince } from './gate-standing.ts'
import type { Blocker } from './outcome.ts'
import type { StageRules } from './pipeline.ts'
import { finishStage, isTold, seedOf, startSoaking, whyItStays, whyNotTold } from './promotion.ts'
import { frontierOf, stageAt, withStage, type GateSample, type Rollout } from './rollout.ts'

/** What the gates of a stage have found, by the gate's name, oldest first. */
export type GateSamples = Readonly<Record<string, readonly GateSample[]>>

/** Who is to be named as the one who does what nobody has asked for. */
export interface AdvanceContext {
  readonly actor: string
}

export type Advance =
  /** A gate has failed: agents stay where they are until somebody resumes. */
  | { readonly outcome: 'pauses'; readonly rollout: Rollout; readonly reason: string }
  /** The ramp reaches more cohorts, or everybody. */
  | { readonly outcome: 'steps'; readonly rollout: Rollout; readonly channels: readonly Channel[] }
  /** The soaking is over. */
  | { readonly outcome: 'finishes'; readonly rollout: Rollout }
  /** No channel of the stage tells the release: until one does, no time counts. */
  | { readonly outcome: 'suspends'; readonly rollout: Rollout; readonly reason: string }
  /** Nobody has watched the gates for a while, or no channel has told the release: what went by does not count. */
  | { readonly outcome: 'restarts'; readonly rollout: Rollout; readonly reason: string }
  /** Stage `index` is promoted by itself, once nothing holds it back (promotion.ts). */
  | { readonly outcome: 'may-promote'; readonly index: number }
  | { readonly outcome: 'waits'; readonly blockers: readonly Blocker[] }

const MINUTE_MS = 60_000

/** The stage that a decision is about: the one under way, or the next to be promoted; null where all are done. */
export function stageUnderWay(rollout: Rollout): number | null {
  const frontier = frontierOf(rollout)
  if (frontier >= 0 && rollout.stages[frontier]?.state !== 'done') return frontier
  return frontier + 1 < rollout.stages.length ? frontier + 1 : null
}

/** The next thing that the rollout does by itself; `facts` are of the stage under way. */
export function advance(facts: StageFacts, samples: GateSamples, context: AdvanceContext): Advance {
  const { rollout, now } = facts
  const index = stageUnderWay(rollout)
  if (index === null || rollout.state !== 'running') return { outcome: 'waits', blockers: endBlockers(rollout) }
  const { rules, progress } = stageAt(rollout, index)
  if (progress.state === 'waiting') {
    return rules.auto ? { outcome: 'may-promote', index } : { outcome: 'waits', blockers: [] }
  }
  if (rollout.paused !== null) return { outcome: 'waits', blockers: endBlockers(rollout) }
  const since = Date.parse(progress.since ?? '')
  const failing = failingGate(facts, rules, since, samples)
  if (failing !== null) {
    const paused = { reason: failing.message, by: context.actor, at: momentOf(now), gate: failing.gate }
    const next = withStage({ ...rollout, paused }, index, { gates: stored(samples) })
    return { outcome: 'pauses', rollout: next, reason: failing.message }
  }
  if (!isServed(facts, index)) return suspend(facts, index)
  const anew = progress.since === null ? 'its channels tell agents again' : unwatchedGate(facts, rules, since, samples)
  if (anew !== null) {
    return { outcome: 'restarts', rollout: withStage(rollout, index, { since: momentOf(now) }), reason: anew }
  }
  const blockers = waitBlockers(facts, index, samples)
  if (progress.state === 'promoting') return step(facts, { index, waits: blockers }, samples, context)
  if (blockers.length > 0) return { outcome: 'waits', blockers }
  return {
    outcome: 'finishes',
    rollout: finishStage(withStage(rollout, index, { gates: stored(samples) }), index, now),
  }
}

/** What stays in the document of what the gates have found. */
function stored(samples: GateSamples): GateSamples {
  return Object.fromEntries(Object.entries(samples).map(([gate, all]) => [gate, all.slice(-STORED_SAMPLES_MAX)]))
}

/**
 * Whether the next thing is held back whatever the journal says, and before the stage is promoted whatever its channels say:
 * facts without them are enough to know. A gate that fails or was not watched must be seen to all the same, and so must a
 * stage that has begun, or ceased, to be told to nobody.
 */
export function isHeldBack(facts: StageFacts, index: number, samples: GateSamples): boolean {
  const { rules, progress } = stageAt(facts.rollout, index)
  if (progress.state === 'waiting') return conditionBlockers(facts, index).length > 0
  if (isServed(facts, index) !== (progress.since !== null)) return false
  if (progress.since === null) return true
  const since = Date.parse(progress.since)
  if (failingGate(facts, rules, since, samples) !== null || unwatchedGate(facts, rules, since, samples) !== null)
    return false
  return waitBlockers(facts, index, samples).length > 0
}

/** What the stage under way waits for before its next step or its end, beside what holds back any stage. */
export function waitBlockers(facts: StageFacts, index: number, samples: GateSamples): readonly Blocker[] {
  const { rules, progress } = stageAt(facts.rollout, index)
  if (progress.state !== 'promoting' && progress.state !== 'soaking') return []
  return [...timeBlockers(rules, progress.state, progress.since, facts.now), ...gateBlockers(facts, index, samples)]
}

/** Agents that are told nothing, or something else, say nothing of the release: its step or its soaking begins anew after that. */
function suspend(facts: StageFacts, index: number): Advance {
  const { progress } = stageAt(facts.rollout, index)
  const who = named(heldInWords(facts, index))
  const message = `no channel of the stage tells the release to as many agents as it had reached: ${who}; free one of them, promote the stage again, or roll the release back`
  if (progress.since === null) return { outcome: 'waits', blockers: [blocker('channels', message)] }
  return { outcome: 'suspends', rollout: withStage(facts.rollout, index, { since: null }), reason: message }
}

function step(
  facts: StageFacts,
  { index, waits }: { readonly index: number; readonly waits: readonly Blocker[] },
  samples: GateSamples,
  { actor }: AdvanceContext,
): Advance {
  const { rollout, now, expiryTime, isBlocked } = facts
  const { rules, progress } = stageAt(rollout, index)
  const blockers = [...waits, ...conditionBlockers(facts, index)]
  const percent = rules.rampPercent.find((share) => share > progress.percent) ?? COHORTS
  const channels: Channel[] = []
  for (const { channel: name } of progress.moved) {
    const channel = facts.channels.get(name)
    // Whoever has pinned, halted or moved it meanwhile has the last word; one that began anew can be further already.
    if (channel?.ramp?.seed !== seedOf(rollout) || whyItStays(channel) !== null || channel.ramp.percent >= percent)
      continue
    const context = { now, expiryTime, actor, reason: null, force: false, isBlocked, fallback: null }
    const applied = applyChange(channel, { kind: 'ramp', percent }, context)
    if (applied.outcome === 'refused') blockers.push(blocker('guard', `channel ${name}: ${applied.message}`))
    else channels.push(applied.channel)
  }
  if (blockers.length > 0) return { outcome: 'waits', blockers }
  const stepped = withStage(rollout, index, { percent, since: momentOf(now), gates: stored(samples) })
  return { outcome: 'steps', rollout: percent < COHORTS ? stepped : startSoaking(stepped, index, now), channels }
}

/** Whether some channel of the stage, whoever has set it, tells the release to as many of its agents as the stage has come to. */
function isServed(facts: StageFacts, index: number): boolean {
  const { rollout, channels } = facts
  const { rules, progress } = stageAt(rollout, index)
  return rules.channels.some((name) => {
    const channel = channels.get(name)
    return channel !== undefined && isTold(rollout, progress, channel, facts)
  })
}

function heldInWords({ rollout, channels }: StageFacts, index: number): readonly string[] {
  return stageAt(rollout, index).rules.channels.map((name) => {
    const channel = channels.get(name)
    return channel === undefined ? `${name} does not exist any more` : `${name} ${whyNotTold(rollout, channel)}`
  })
}

function timeBlockers(
  { rampMinutes, soakMinutes }: StageRules,
  state: string,
  since: string | null,
  now: number,
): Blocker[] {
  // While no channel tells it, its time has not begun.
  if (since === null) return []
  const isRamp = state === 'promoting'
  const endsAt = Date.parse(since) + (isRamp ? rampMinutes : soakMinutes) * MINUTE_MS
  if (now >= endsAt) return []
  return [
    blocker(
      'time',
      `${isRamp ? 'the next step of the ramp comes' : 'it soaks until'} ${isRamp ? 'at ' : ''}${momentOf(endsAt)}`,
    ),
  ]
}

function gateBlockers({ rollout, now }: StageFacts, index: number, samples: GateSamples): readonly Blocker[] {
  const { rules, progress } = stageAt(rollout, index)
  const since = Date.parse(progress.since ?? '')
  return rules.gates.flatMap((gate) => {
    const standing = gateStanding(gate, samplesOf(samples, gate.name), since, now)
    return standing.outcome === 'passing' ? [] : [blocker('gates', standing.message)]
  })
}

/** What a gate has found. */
export function samplesOf(samples: GateSamples, name: string): readonly GateSample[] {
  // A gate may be called `constructor`.
  return Object.hasOwn(samples, name) ? (samples[name] ?? []) : []
}

function unwatchedGate({ now }: StageFacts, { gates }: StageRules, since: number, samples: GateSamples): string | null {
  for (const gate of gates) {
    const unwatched = unwatchedSince(gate, samplesOf(samples, gate.name), since, now)
    if (unwatched !== null) return `gate ${gate.name} was not evaluated since ${unwatched}; what went by does not count`
  }
  return null
}

function failingGate(
  { now }: StageFacts,
  { gates }: StageRules,
  since: number,
  samples: GateSamples,
): { readonly gate: string; readonly message: string } | null {
  for (const gate of gates) {
    const standing = gateStanding(gate, samplesOf(samples, gate.name), since, now)
    if (standing.outcome === 'failing') return { gate: gate.name, message: standing.message }
  }
  return null
}
