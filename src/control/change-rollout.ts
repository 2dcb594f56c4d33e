// The use cases of rollouts that go forward: begin, promote, approve, pause and re-base. Going back is in roll-back.ts.
import { refuse, type RolloutRefusal } from '../rollouts/outcome.ts'
import { pipelineKey, pipelineOf } from '../rollouts/pipeline.ts'
import { overtaken, planPromotion } from '../rollouts/promotion.ts'
import { releaseKey, releaseOf } from '../rollouts/release.ts'
import { rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import { approveStage, pauseRollout, rebaseRollout, stageIndex, startAgain } from '../rollouts/rollout-draft.ts'
import { stageUnderWay } from '../rollouts/advance.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { COMMIT_WRITES_MAX, type Document } from '../store/port.ts'
import { bare, unknownRelease } from './change-release.ts'
import { currentState, isExpected, knownState, type Conditions, type Control, type Request } from './control.ts'
import { carryOut, fitting, nothing, readOf, type Decided } from './decide.ts'
import { unknownPipeline } from './pipelines.ts'
import { factReads, runningOf, releaseIn, stageFacts } from './rollout-facts.ts'
import {
  answer,
  chooseRollout,
  isAbout,
  outcomeOf,
  planWrites,
  ruleContext,
  wouldBe,
  type RolloutChoice,
  type RolloutOutcome,
} from './rollouts.ts'
import { beginning, keyOf, newerThan, rolloutDocuments } from './start-rollouts.ts'

type Untouched = Extract<RolloutOutcome, { outcome: 'done' }>['untouched']

/** Begins the rollout of a release that is registered, or that of one that was superseded from the beginning. */
export function startRollout(
  control: Control,
  request: Request,
  pipeline: string,
  text: string,
  { dryRun }: Conditions,
): Promise<RolloutOutcome> {
  const version = bare(text)
  return carryOut<null, RolloutOutcome>(control, request, {
    kind: 'rollout.start',
    key: null,
    dryRun,
    prepare: nothing,
    decide(state, times) {
      const document = state.document(pipelineKey(pipeline))
      if (document === undefined) return answer(unknownPipeline(pipeline))
      const released = state.document(releaseKey(version))
      if (released === undefined) return answer(unknownRelease(version))
      const release = releaseOf(released)
      if (release.kind === 'control-plane') {
        const message = `release ${version} has no agent packages yet; say where they are with POST …/artifacts`
        return answer(refuse('no_packages', message))
      }
      const ended = release.withdrawn ?? release.bad
      if (ended !== null) return answer(refuse('release_over', `release ${version} was taken back: ${ended.reason}`))
      const fresh = beginning(state, pipelineOf(document), document.revision, release, ruleContext(request, times))
      const known = state.document(keyOf(fresh))
      const before = known === undefined ? null : rolloutOf(known)
      if (before !== null && before.state !== 'superseded') {
        return answer(
          refuse('rollout_exists', `release ${version} has a rollout in ${pipeline}, which is ${before.state}`),
        )
      }
      const rollout = before === null ? fresh : startAgain(fresh, before)
      if (dryRun) return wouldBe(control, state, rollout, [])
      const others = newerThan(state, pipeline, release).map(({ key, revision }) => ({ key, expected: revision }))
      const reads = [readOf(state, pipelineKey(pipeline)), readOf(state, releaseKey(version)), ...others]
      return { outcome: 'commit', writes: planWrites(state, rollout, []), reads }
    },
    answerOf: (entry) => outcomeOf(control, entry),
    isSame: (entry) => isAbout(entry, { pipeline, release: version }, null),
  })
}

export interface PromotionRequest {
  readonly stage: string
  readonly critical: boolean
  readonly force: boolean
}

/** Promotes a stage: all of its channels in one commit, together with the rollout and those that it overtakes. */
export function promote(
  control: Control,
  request: Request,
  choice: RolloutChoice,
  { stage, critical, force }: PromotionRequest,
  conditions: Conditions,
): Promise<RolloutOutcome> {
  let untouched: Untouched = []
  // What the first look has found is what is meant: whoever loses a race must not promote the release after it.
  let meant = choice
  const find = (state: ReplicaState): Found | RolloutRefusal => {
    const found = findStage(state, meant, stage)
    if ('outcome' in found) return found
    const { pipeline, release } = rolloutOf(found.document)
    meant = { pipeline, release }
    return found
  }
  return carryOut(control, request, {
    kind: 'rollout.promote',
    key: null,
    dryRun: conditions.dryRun,
    async prepare() {
      const state = currentState(control)
      const found = find(state)
      if ('outcome' in found) return null
      const { document, index } = found
      return { document, running: runningOf(control, state, rolloutOf(document), index, 'promote') }
    },
    decide(state, times, prepared): Decided<RolloutOutcome> {
      const found = find(state)
      if ('outcome' in found) return answer(found)
      const { document, index } = found
      if (!isExpected(conditions.expectedRevisions, document)) return answer({ outcome: 'stale', current: document })
      const rollout = rolloutOf(document)
      // What was read was read for its rules, which a re-base can have changed.
      if (prepared?.document !== document) return { outcome: 'again' }
      const facts = stageFacts(state, rollout, index, prepared.running, 'promote', times)
      if (facts === null) return { outcome: 'again' }
      const { actor, reason } = request
      const plan = planPromotion(facts, index, { actor, reason, force, critical })
      if (plan.outcome === 'refused') return answer(plan)
      const others = rolloutDocuments(state, rollout.pipeline).filter(({ key }) => key !== document.key)
      // More than fit are ended by the driver (drive-rollouts.ts).
      const room = COMMIT_WRITES_MAX - plan.channels.length - 1
      const over = fitting(overtaken(others.map(rolloutOf), plan.rollout, index, times.now), room)
      untouched = plan.leftBehind
      if (conditions.dryRun) return wouldBe(control, state, plan.rollout, plan.channels, untouched, over)
      const writes = planWrites(state, plan.rollout, plan.channels, over)
      return { outcome: 'commit', writes, reads: factReads(state, facts, index, plan.channels) }
    },
    answerOf: (entry) => outcomeOf(control, entry, untouched),
    isSame: (entry) => isAbout(entry, choice, stage),
  })
}

interface Found {
  readonly document: Document
  readonly index: number
}

/** The rollout and the stage that a promotion is about: where several are under way, the one that waits for this stage. */
function findStage(state: ReplicaState, choice: RolloutChoice, stage: string): Found | RolloutRefusal {
  const isRunning = (rollout: Rollout): boolean => rollout.state === 'running'
  let document = chooseRollout(state, choice, (one) => isRunning(one) && nextStage(one) === stage)
  // None waits for it: what holds it back is to be said of the one that is under way.
  if ('outcome' in document) document = chooseRollout(state, choice, isRunning)
  if ('outcome' in document) return document
  const index = stageIndex(rolloutOf(document), stage)
  return typeof index === 'number' ? { document, index } : index
}

function nextStage(rollout: Rollout): string | null {
  const index = stageUnderWay(rollout)
  return index === null ? null : (rollout.stages[index]?.name ?? null)
}

/** What is done to a rollout's document alone. */
export type RolloutEdit =
  | { readonly kind: 'approve'; readonly stage: string; readonly edition: number | null }
  | { readonly kind: 'pause' | 'rebase' }

export function editRollout(
  control: Control,
  request: Request,
  choice: RolloutChoice,
  edit: RolloutEdit,
  { dryRun, expectedRevisions }: Conditions,
): Promise<RolloutOutcome> {
  return carryOut<null, RolloutOutcome>(control, request, {
    kind: `rollout.${edit.kind}`,
    key: null,
    dryRun,
    prepare: nothing,
    decide(state, times) {
      const document = chooseRollout(state, choice, ({ state: stands }) => stands === 'running')
      if ('outcome' in document) return answer(document)
      if (!isExpected(expectedRevisions, document)) return answer({ outcome: 'stale', current: document })
      const rollout = rolloutOf(document)
      const drafted = draftEdit(state, rollout, edit, ruleContext(request, times))
      if (drafted.outcome === 'refused') return answer(drafted)
      if (drafted.rollout === rollout)
        return answer({ outcome: 'done', document, moves: [], untouched: [], superseded: [] })
      if (dryRun) return wouldBe(control, state, drafted.rollout, [])
      const reads = [readOf(state, pipelineKey(rollout.pipeline)), readOf(state, releaseKey(rollout.release))]
      return { outcome: 'commit', writes: planWrites(state, drafted.rollout, []), reads }
    },
    answerOf: (entry) => outcomeOf(control, entry),
    isSame: (entry) => isAbout(entry, choice, edit.kind === 'approve' ? edit.stage : null),
  })
}

function draftEdit(
  state: ReplicaState,
  rollout: Rollout,
  edit: RolloutEdit,
  context: ReturnType<typeof ruleContext>,
): { readonly outcome: 'drafted'; readonly rollout: Rollout } | RolloutRefusal {
  switch (edit.kind) {
    case 'approve': {
      const index = stageIndex(rollout, edit.stage)
      if (typeof index !== 'number') return index
      return approveStage(rollout, releaseIn(state, rollout), index, edit.edition, context)
    }
    case 'pause':
      return pauseRollout(rollout, context)
    case 'rebase': {
      const document = state.document(pipelineKey(rollout.pipeline))
      if (document === undefined) return unknownPipeline(rollout.pipeline)
      return rebaseRollout(rollout, pipelineOf(document), document.revision, context.now)
    }
  }
}

/** Whether there is anything to show of a pipeline. */
export function isKnownPipeline(control: Control, name: string): boolean {
  const state = knownState(control)
  return state.document(pipelineKey(name)) !== undefined || rolloutDocuments(state, name).length > 0
}
