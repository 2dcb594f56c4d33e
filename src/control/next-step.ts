// What a rollout does by itself, as it is to be committed: nothing, its next step, or the pause that its packages demand.
import { advance, type Advance, type GateSamples } from '../rollouts/advance.ts'
import type { Times } from '../channels/time.ts'
import { overtaken, planPromotion } from '../rollouts/promotion.ts'
import { pauseRollout } from '../rollouts/rollout-draft.ts'
import { rolloutOf } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { COMMIT_WRITES_MAX, type Document } from '../store/port.ts'
import { fitting, type Decided } from './decide.ts'
import { SYSTEM_ACTOR } from './journal-lapses.ts'
import { factReads, stageFacts, type Running } from './rollout-facts.ts'
import { planWrites, type RolloutOutcome } from './rollouts.ts'
import { rolloutDocuments } from './start-rollouts.ts'

export type Driven = RolloutOutcome | { readonly outcome: 'nothing' }

/** What was read for the stage under way, `index`. */
export interface Prepared {
  readonly document: Document
  readonly index: number
  readonly running: Running
}

export const NOTHING = { outcome: 'answer', answer: { outcome: 'nothing' } } as const

/** Whatever the rollout waits for, nobody else is to be told its release before somebody has seen to it. */
export function decidePause(state: ReplicaState, times: Times, key: string, reason: string): Decided<Driven> {
  const document = state.document(key)
  const rollout = document === undefined ? null : rolloutOf(document)
  if (rollout === null || rollout.state !== 'running' || rollout.paused !== null) return NOTHING
  const paused = pauseRollout(rollout, { ...times, actor: SYSTEM_ACTOR, reason })
  if (paused.outcome !== 'drafted') return NOTHING
  return { outcome: 'commit', reason, writes: planWrites(state, paused.rollout, []), reads: [] }
}

/** The next thing; `prepared` is null where it is held back anyway. */
export function decideNext(
  state: ReplicaState,
  times: Times,
  prepared: Prepared | null,
  samples: GateSamples,
): Decided<Driven> {
  if (prepared === null) return NOTHING
  const { document, index, running } = prepared
  if (state.document(document.key) !== document) return { outcome: 'again' }
  const rollout = rolloutOf(document)
  const facts = stageFacts(state, rollout, index, running, 'go on', times)
  if (facts === null) return { outcome: 'again' }
  const next: Advance = advance(facts, samples, { actor: SYSTEM_ACTOR })
  switch (next.outcome) {
    case 'waits':
      return NOTHING
    case 'pauses':
      return {
        outcome: 'commit',
        kind: 'rollout.pause',
        reason: next.reason,
        writes: planWrites(state, next.rollout, []),
        reads: [],
      }
    case 'suspends':
    case 'restarts':
      return {
        outcome: 'commit',
        kind: next.outcome === 'suspends' ? 'rollout.suspend' : 'rollout.restart',
        reason: next.reason,
        writes: planWrites(state, next.rollout, []),
        reads: factReads(state, facts, index, []),
      }
    case 'finishes':
      return {
        outcome: 'commit',
        kind: 'rollout.soaked',
        writes: planWrites(state, next.rollout, []),
        reads: factReads(state, facts, index, []),
      }
    case 'steps': {
      const writes = planWrites(state, next.rollout, next.channels)
      return { outcome: 'commit', kind: 'rollout.step', writes, reads: factReads(state, facts, index, next.channels) }
    }
    case 'may-promote': {
      const reason = `stage ${rollout.stages[index]?.name} is promoted by itself`
      const plan = planPromotion(facts, index, { actor: SYSTEM_ACTOR, reason, force: false, critical: false })
      if (plan.outcome === 'refused') return NOTHING
      const others = rolloutDocuments(state, rollout.pipeline).filter(({ key }) => key !== document.key)
      const room = COMMIT_WRITES_MAX - plan.channels.length - 1
      const over = fitting(overtaken(others.map(rolloutOf), plan.rollout, index, times.now), room)
      const writes = planWrites(state, plan.rollout, plan.channels, over)
      return {
        outcome: 'commit',
        kind: 'rollout.promote',
        reason,
        writes,
        reads: factReads(state, facts, index, plan.channels),
      }
    }
  }
}
