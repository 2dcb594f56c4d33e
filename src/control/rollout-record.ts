// A rollout as the API shows it: beside its document, how every stage stands and what holds it back, judged now.
import { advance, stageUnderWay, waitBlockers, type GateSamples } from '../rollouts/advance.ts'
import { blocker, endBlockers } from '../rollouts/conditions.ts'
import type { Blocker } from '../rollouts/outcome.ts'
import { isTold, planPromotion, whyNotTold, type LeftBehind } from '../rollouts/promotion.ts'
import { rolloutKey, rolloutOf, stageAt, type Rollout, type StageProgress } from '../rollouts/rollout.ts'
import { timesOf } from '../serve/trusted-clock.ts'
import { StoreUnavailable, type Document } from '../store/port.ts'
import { knownState, type Control } from './control.ts'
import { readerOf, type Reader } from './core/transaction.ts'
import { notedSamples } from './gate-samples.ts'
import { bare } from './release-result.ts'
import { channelsIn, stageFacts } from './rollout-facts.ts'

/** How a stage stands, in one word. */
export type StageState = StageProgress['state'] | 'ready' | 'paused' | 'rolled back'

export interface StageRecord {
  readonly state: StageState
  readonly blockers: readonly Blocker[]
  /** Channels of a promoted stage that do not tell the release, and why. */
  readonly leftBehind: readonly LeftBehind[]
  readonly gates: GateSamples
}

export interface RolloutRecord {
  readonly rollout: Rollout
  readonly revision: number
  /** One for each stage of the rollout. */
  readonly stages: readonly StageRecord[]
}

/** A rollout as it stands now; null where there is none. */
export async function readRollout(control: Control, pipeline: string, release: string): Promise<RolloutRecord | null> {
  const state = knownState(control)
  const document = state.document(rolloutKey(pipeline, bare(release)))
  return document === undefined ? null : rolloutRecord(control, readerOf(state), document)
}

/** What nobody in particular could do now. */
const NOBODY = { actor: '', reason: null, force: false, critical: false }

const AWAY = 'what its channels have served cannot be told while the store cannot be read; look again when it is back'

/**
 * A rollout as it is now, also while the store cannot be read: whoever has just changed it must not be told that this has failed
 * because it cannot be shown.
 */
export async function rolloutRecord(control: Control, reader: Reader, document: Document): Promise<RolloutRecord> {
  const rollout = rolloutOf(document)
  const stages = await Promise.all(rollout.stages.map((_, index) => stageRecord(control, reader, rollout, index)))
  return { rollout, revision: document.revision, stages }
}

async function stageRecord(control: Control, reader: Reader, rollout: Rollout, index: number): Promise<StageRecord> {
  const { progress } = stageAt(rollout, index)
  const isUnderWay = index === stageUnderWay(rollout) && rollout.state === 'running'
  const gates =
    isUnderWay && progress.state !== 'waiting'
      ? await unlessAway(notedSamples(control.coordination, rollout, progress.name), progress.gates)
      : progress.gates
  const blockers = blockersOf(control, reader, { rollout, index }, gates)
  const leftBehind = progress.state === 'waiting' ? [] : leftBehindIn(control, reader, rollout, index)
  return { state: stateOf(rollout, progress, blockers), blockers, leftBehind, gates }
}

function blockersOf(
  control: Control,
  reader: Reader,
  { rollout, index }: { readonly rollout: Rollout; readonly index: number },
  gates: GateSamples,
): readonly Blocker[] {
  const { progress } = stageAt(rollout, index)
  if (progress.state === 'done') return []
  if (rollout.state !== 'running') return endBlockers(rollout)
  if (control.replica.fault !== null) return [blocker('compatibility', AWAY)]
  const facts = stageFacts(control, reader, { rollout, index, purpose: 'go on' }, timesOf(control.clock))
  if (progress.state === 'waiting') {
    const plan = planPromotion(facts, index, NOBODY)
    return plan.outcome === 'refused' && plan.why === 'held-back' ? plan.blockers : []
  }
  const next = advance(facts, gates, NOBODY)
  if (next.outcome === 'suspends') return [blocker('channels', next.reason)]
  return next.outcome === 'waits' ? next.blockers : waitBlockers(facts, index, gates)
}

async function unlessAway<T, F>(reading: Promise<T>, otherwise: F): Promise<T | F> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof StoreUnavailable) return otherwise
    throw error
  }
}

function stateOf(rollout: Rollout, { state }: StageProgress, blockers: readonly Blocker[]): StageState {
  if (rollout.state === 'rolled back' && state !== 'waiting') return 'rolled back'
  if (state === 'waiting') return blockers.length === 0 ? 'ready' : 'waiting'
  return rollout.paused !== null && state !== 'done' ? 'paused' : state
}

function leftBehindIn(control: Control, reader: Reader, rollout: Rollout, index: number): readonly LeftBehind[] {
  const { rules, progress } = stageAt(rollout, index)
  const channels = channelsIn(reader, rules.channels)
  return rules.channels.flatMap((name) => {
    const channel = channels.get(name)
    if (channel === undefined) return { channel: name, why: 'does not exist' }
    if (isTold(rollout, progress, channel, { isBlocked: reader.isBlocked, expiryTime: control.clock.expiryTime() }))
      return []
    return { channel: name, why: whyNotTold(rollout, channel) }
  })
}
