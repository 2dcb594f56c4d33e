// How releases, pipelines and rollouts are shown, and an answer for every outcome of a change of them.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ReleaseDone, ReleaseOutcome, ReleaseRecord } from '../../control/release-result.ts'
import { knownState, type Control } from '../../control/control.ts'
import { previewOf, readerOf } from '../../control/core/transaction.ts'
import { shownRelease } from '../../control/embargoes.ts'
import type { Identity } from '../../control/identity.ts'
import type { PipelineOutcome, PipelineRecord } from '../../control/pipelines.ts'
import { rolloutRecord } from '../../control/rollout-record.ts'
import type { RolloutOutcome } from '../../control/rollout-result.ts'
import type { ScopedRollout } from '../../control/scoped-rollouts.ts'
import { named } from '../../rollouts/conditions.ts'
import { samplesOf } from '../../rollouts/advance.ts'
import type { RolloutRefusal } from '../../rollouts/outcome.ts'
import { isPipelineKey, pipelineOf } from '../../rollouts/pipeline.ts'
import type { ServedBy } from '../../control/served-by.ts'
import { releaseOf } from '../../rollouts/release.ts'
import { rolloutOf, stageAt } from '../../rollouts/rollout.ts'
import type { Document } from '../../store/port.ts'
import { callerOf } from './authenticate.ts'
import { sendRefusal, sendStale, sendUnfinished } from './change.ts'
import { sendProblem } from './problem.ts'
import { sendDeleted, sendWritten } from './write-response.ts'

/** A release as this caller may see it. */
export function presentRelease(
  control: Control,
  identity: Identity,
  { release, revision }: ReleaseRecord,
  { rollouts, ...served }: Pick<ReleaseDone, 'rollouts'> & ServedBy,
): object {
  const { version, repository = null, ...rest } = shownRelease(knownState(control), identity, release)
  const stands = rollouts.map(({ pipeline, state, supersededBy }) => ({ pipeline, state, supersededBy }))
  return { version, revision, ...rest, repository, ...servedByIn(served), rollouts: stands }
}

/** The members of an answer that say where a version is served. */
export function servedByIn({ servedBy, servedByMore }: Partial<ServedBy>): Partial<ServedBy> {
  return {
    ...(servedBy === undefined ? {} : { servedBy }),
    ...(servedByMore === undefined ? {} : { servedByMore }),
  }
}

export function presentPipeline({ pipeline, revision, otherRules }: PipelineRecord): object {
  const { name, ...rest } = pipeline
  return { name, revision, ...rest, otherRules }
}

export function presentRollout({ rollout, revision, stages }: ScopedRollout): object {
  const { pipeline, release, rules, stages: _, ...rest } = rollout
  const { grace, requirePackages } = rules
  const shown = stages.map(({ state, blockers, leftBehind, gates }, index) => {
    const { rules: stageRules, progress } = stageAt(rollout, index)
    const { name, percent, critical, startedAt, since, doneAt, approvals, moved } = progress
    return {
      ...{ name, state, blockers, percent, critical, startedAt, since, doneAt, approvals },
      ...{ channels: stageRules.channels, moved, leftBehind },
      gates: stageRules.gates.map((gate) => ({
        ...{ name: gate.name, op: gate.op, threshold: gate.threshold },
        samples: samplesOf(gates, gate.name),
      })),
      rules: stageRules,
    }
  })
  return { pipeline, release, revision, ...rest, grace, requirePackages, stages: shown }
}

export function sendReleaseOutcome(
  control: Control,
  request: FastifyRequest,
  reply: FastifyReply,
  outcome: ReleaseOutcome,
): FastifyReply {
  switch (outcome.outcome) {
    case 'done': {
      const { revision } = outcome.record
      const release = presentRelease(control, callerOf(request), outcome.record, outcome)
      const { warnings } = outcome
      const body = warnings.length === 0 ? release : { ...release, warnings }
      return sendWritten(control, request, reply, { status: statusOf(request), revision, body })
    }
    case 'packages-missing': {
      const errors = outcome.packages.map(({ url, problem }) => ({ field: url, message: problem ?? '' }))
      const detail = `nothing was changed: ${named(errors.map(({ field, message }) => `${field} ${message}`))}`
      return sendProblem(request, reply, 'packages_missing', { detail, errors })
    }
    case 'stale':
      return sendStaleDocument(control, reply, 'the release', outcome.current)
    case 'refused':
      return sendRolloutRefusal(request, reply, outcome)
    case 'not-served-yet':
    case 'contended':
    case 'key-reused':
      return sendUnfinished(request, reply, outcome)
  }
}

export function sendPipelineOutcome(
  control: Control,
  request: FastifyRequest,
  reply: FastifyReply,
  outcome: PipelineOutcome,
): FastifyReply {
  switch (outcome.outcome) {
    case 'done': {
      const { revision } = outcome.record
      return sendWritten(control, request, reply, { revision, body: presentPipeline(outcome.record) })
    }
    case 'deleted':
      return sendDeleted(control, request, reply)
    case 'stale':
      return sendStaleDocument(control, reply, 'the pipeline', outcome.current)
    case 'refused':
      return sendRolloutRefusal(request, reply, outcome)
    case 'not-served-yet':
    case 'contended':
    case 'key-reused':
      return sendUnfinished(request, reply, outcome)
  }
}

export async function sendRolloutOutcome(
  control: Control,
  request: FastifyRequest,
  reply: FastifyReply,
  outcome: RolloutOutcome,
): Promise<FastifyReply> {
  switch (outcome.outcome) {
    case 'done': {
      const { document, moves, untouched, superseded } = outcome
      const state = knownState(control)
      // A dry run shows what would be, with the channels as they would be.
      const { preview } = request.write
      const reader = preview === null ? readerOf(state) : previewOf(state, preview)
      const record = await rolloutRecord(control, reader, document)
      const body = { ...presentRollout(record), moves, untouched, superseded, ...servedByIn(outcome) }
      return sendWritten(control, request, reply, { status: statusOf(request), revision: record.revision, body })
    }
    case 'stale':
      return sendStaleDocument(control, reply, 'the rollout', outcome.current)
    case 'refused':
      return sendRolloutRefusal(request, reply, outcome)
    case 'not-served-yet':
    case 'contended':
    case 'key-reused':
      return sendUnfinished(request, reply, outcome)
  }
}

/** Sends what the rules of rollouts refuse. */
export function sendRolloutRefusal(
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: RolloutRefusal,
): FastifyReply {
  switch (refusal.why) {
    case 'malformed':
      return sendRefusal(request, reply, refusal)
    case 'rollout':
      return sendProblem(request, reply, refusal.problem, refusal.message)
    case 'held-back': {
      const { stage, blockers } = refusal
      const detail = `stage ${stage} is held back: ${blockers.map(({ message }) => message).join('; ')}`
      return sendProblem(request, reply, 'held_back', { detail, stage, blockers })
    }
    case 'guards': {
      const { channels } = refusal
      const detail = `nothing was done to any channel: ${named(channels.map(({ channel, message }) => `${channel}: ${message}`))}`
      return sendProblem(request, reply, 'guard_refused', { detail, guard: channels[0]?.guard ?? '', channels })
    }
  }
}

function sendStaleDocument(
  control: Control,
  reply: FastifyReply,
  what: string,
  current: Document | null,
): FastifyReply {
  const { request } = reply
  if (current === null) return sendStale(request, reply, what, null)
  return sendStale(request, reply, what, {
    revision: current.revision,
    document: shownDocument(control, request, current),
  })
}

function shownDocument(control: Control, request: FastifyRequest, document: Document): object {
  const { key, revision } = document
  if (isPipelineKey(key)) return { ...pipelineOf(document), revision }
  if (key.startsWith('rollout/')) return { ...rolloutOf(document), revision }
  return { ...shownRelease(knownState(control), callerOf(request), releaseOf(document)), revision }
}

/** Routes that make something declare 201. */
function statusOf({ routeOptions }: FastifyRequest): 200 | 201 {
  const { response } = routeOptions.schema ?? {}
  return response !== null && typeof response === 'object' && '201' in response ? 201 : 200
}
