// The commands by which a rollout goes on by itself: its next step, the pause that missing packages demand, and the end of
// rollouts that newer releases have overtaken.
import { advance, isHeldBack, stageUnderWay, type GateSamples } from '../rollouts/advance.ts'
import { overtakenNow, planPromotion } from '../rollouts/promotion.ts'
import { pauseRollout } from '../rollouts/rollout-draft.ts'
import { rolloutOf, stageAt } from '../rollouts/rollout.ts'
import { timesOf } from '../serve/trusted-clock.ts'
import { currentState, type Control, type Request } from './control.ts'
import { commitWith, executeCommand, replyWith, type Decision } from './core/execute.ts'
import { SYSTEM_ACTOR } from './core/expiries.ts'
import { SYSTEM_REQUEST } from './core/record-expiries.ts'
import { readerOf, type Transaction } from './core/transaction.ts'
import { fitting } from './fitting.ts'
import { isRunning, rolloutDocuments } from './find-rollout.ts'
import { putPromotion } from './promote-stage.ts'
import { channelsIn, earlyFacts, stageFacts } from './rollout-facts.ts'
import { putRollout } from './rollout-result.ts'

/** Overtaken rollouts ended in one commit. */
const ENDED_AT_ONCE_MAX = 200

/** Called with the entry of each change that is made. */
export type OnMoved = Request['onCommitted']

/** Whether anything was changed. */
type Moved = boolean

/** Does the next thing; false where there is nothing to do now. */
export async function takeNextStep(
  control: Control,
  key: string,
  samples: GateSamples,
  onMoved: OnMoved,
): Promise<Moved> {
  if (!isAnythingDue(control, key, samples)) return false
  const request = { ...SYSTEM_REQUEST, onCommitted: onMoved }
  const moved = await executeCommand<Moved, null, null>(control, request, {
    kind: 'rollout.step',
    dryRun: false,
    // A pin that has ended holds its channel no longer: it is taken away before anything is decided without that channel.
    recordExpiries: 'tried',
    run: (tx) => decideNext(control, tx, key, samples),
    reply: () => true,
  })
  return moved === true
}

/** Pauses a rollout by itself: whatever it waits for, nobody else is to be told its release before somebody has looked. */
export async function pauseByItself(control: Control, key: string, reason: string, onMoved: OnMoved): Promise<void> {
  const request = { ...SYSTEM_REQUEST, reason, onCommitted: onMoved }
  await executeCommand<Moved, null, null>(control, request, {
    kind: 'rollout.pause',
    dryRun: false,
    run(tx) {
      const document = tx.get(key)
      const rollout = document === undefined ? null : rolloutOf(document)
      if (rollout === null || !isRunning(rollout) || rollout.paused !== null) return replyWith(false)
      const paused = pauseRollout(rollout, { ...tx.times, actor: SYSTEM_ACTOR, reason })
      if (paused.outcome !== 'drafted') return replyWith(false)
      putRollout(tx, paused.rollout)
      return commitWith(null)
    },
    reply: () => true,
  })
}

/** Ends what newer releases have overtaken: where it was much, the promotion's own commit had no room for all of it. */
export async function endOvertaken(control: Control, pipeline: string): Promise<void> {
  const request = { ...SYSTEM_REQUEST, reason: 'a newer release has overtaken it' }
  await executeCommand<Moved, null, null>(control, request, {
    kind: 'rollout.supersede',
    dryRun: false,
    run(tx) {
      const ahead = rolloutDocuments(tx, pipeline, ({ state }) => state === 'running' || state === 'done')
      const [first, ...others] = overtakenNow(ahead.map(rolloutOf), tx.now)
      if (first === undefined) return replyWith(false)
      putRollout(tx, first, [], fitting(others, ENDED_AT_ONCE_MAX))
      return commitWith(null)
    },
    reply: () => true,
  })
}

/** The cheap look, once a second for each rollout: most of the time it waits for people or for time. */
function isAnythingDue(control: Control, key: string, samples: GateSamples): boolean {
  const state = currentState(control)
  const document = state.document(key)
  const rollout = document === undefined ? null : rolloutOf(document)
  const index = rollout === null ? null : stageUnderWay(rollout)
  if (rollout === null || index === null) return false
  const reader = readerOf(state)
  const { rules, progress } = stageAt(rollout, index)
  // Channels are looked at only once the stage has moved them.
  const channels = channelsIn(reader, progress.state === 'waiting' ? [] : rules.channels)
  const facts = { ...earlyFacts(reader, rollout, timesOf(control.clock)), channels }
  return !isHeldBack(facts, index, samples)
}

function decideNext(control: Control, tx: Transaction, key: string, samples: GateSamples): Decision<Moved, null> {
  const document = tx.get(key)
  const rollout = document === undefined ? null : rolloutOf(document)
  const index = rollout === null ? null : stageUnderWay(rollout)
  if (rollout === null || index === null) return replyWith(false)
  const facts = stageFacts(control, tx, { rollout, index, purpose: 'go on' }, tx.times)
  const next = advance(facts, samples, { actor: SYSTEM_ACTOR })
  switch (next.outcome) {
    case 'waits':
      return replyWith(false)
    case 'pauses':
    case 'suspends':
    case 'restarts':
      putRollout(tx, next.rollout)
      return commitWith(null, { kind: kinds[next.outcome], reason: next.reason })
    case 'finishes':
      putRollout(tx, next.rollout)
      return commitWith(null, { kind: 'rollout.soaked' })
    case 'steps':
      putRollout(tx, next.rollout, next.channels)
      return commitWith(null, { kind: 'rollout.step' })
    case 'may-promote': {
      const reason = `stage ${rollout.stages[index]?.name} is promoted by itself`
      const plan = planPromotion(facts, index, { actor: SYSTEM_ACTOR, reason, force: false, critical: false })
      if (plan.outcome === 'refused') return replyWith(false)
      putPromotion(tx, plan, index)
      return commitWith(null, { kind: 'rollout.promote', reason })
    }
  }
}

const kinds = { pauses: 'rollout.pause', suspends: 'rollout.suspend', restarts: 'rollout.restart' } as const
