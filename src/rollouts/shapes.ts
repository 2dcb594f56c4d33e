// What the documents of releases, pipelines, rollouts, kept labels and people must be for this build to act on them.
import * as shape from '../channels/shape.ts'
import { GATE_OPS, WEEKDAYS } from './pipeline.ts'
import { GATE_VERDICTS } from './rollout.ts'

const { finite, flag, listOf, minutes, moment, nullable, objectWith, oneOf, optional, recordOf, text, version, whole } =
  shape

const withdrawal = objectWith({ reason: text, by: text, at: moment, person: optional(text) })
const words = objectWith({ fixes: listOf(text), texts: listOf(text) })

/** What a release's document must be. */
export const releaseShape = objectWith({
  version,
  commit: text,
  cutAt: moment,
  cutBy: text,
  registeredAt: moment,
  registeredBy: text,
  kind: oneOf(['control-plane', 'full']),
  repository: optional(nullable(text)),
  changes: nullable(
    listOf(
      objectWith({
        id: text,
        title: text,
        author: text,
        url: nullable(text),
        significant: flag,
        signedOff: nullable(objectWith({ by: text, at: moment, person: optional(text) })),
        withdrawn: nullable(withdrawal),
        labelAt: nullable(moment),
        addedBy: optional(listOf(text)),
      }),
    ),
  ),
  minAgentVersion: nullable(version),
  security: nullable(
    objectWith({
      embargoed: flag,
      fixes: listOf(text),
      liftedAt: nullable(moment),
      earlier: optional(words),
      lifted: optional(words),
    }),
  ),
  notesUrl: nullable(text),
  packages: listOf(objectWith({ url: text, foundAt: moment })),
  withdrawn: nullable(withdrawal),
  bad: nullable(withdrawal),
  edition: whole(1),
  authors: optional(listOf(text)),
})

/** What the document of a kept label must be. */
export const keptLabelShape = objectWith({
  host: text,
  repository: text,
  number: whole(1),
  url: text,
  isVerified: flag,
  by: text,
  at: moment,
  expiresAt: moment,
})

/** What the document of people must be. */
export const peopleShape = objectWith({
  people: listOf(objectWith({ person: text, logins: listOf(text) })),
  updatedAt: moment,
  updatedBy: text,
})

const gate = objectWith({
  name: text,
  url: text,
  query: text,
  op: oneOf(GATE_OPS),
  threshold: finite,
  everySeconds: whole(1),
  failures: whole(1),
  initialDelayMinutes: optional(whole(0)),
  secret: optional(text),
})

const promoteWindow = objectWith({ days: listOf(oneOf(WEEKDAYS)), from: text, to: text, timeZone: text })

const stageRules = objectWith({
  name: text,
  channels: listOf(text),
  auto: flag,
  soakMinutes: minutes,
  requireSignOff: flag,
  approvals: whole(0),
  gates: listOf(gate),
  rampPercent: listOf(whole(1, 99)),
  rampMinutes: minutes,
  promoteWindow: nullable(promoteWindow),
  plainPath: oneOf(['first', 'last']),
})

const rules = { grace: text, requirePackages: flag, stages: listOf(stageRules) }

/** What a pipeline's document must be. */
export const pipelineShape = objectWith({
  ...rules,
  name: text,
  description: text,
  versions: nullable(text),
  updatedAt: moment,
  updatedBy: text,
})

const sample = objectWith({
  at: moment,
  value: nullable(finite),
  verdict: oneOf(GATE_VERDICTS),
  detail: nullable(text),
})

const stageProgress = objectWith({
  name: text,
  state: oneOf(['waiting', 'promoting', 'soaking', 'done']),
  percent: whole(0, 100),
  critical: flag,
  startedAt: nullable(moment),
  since: nullable(moment),
  doneAt: nullable(moment),
  approvals: listOf(objectWith({ by: text, at: moment, edition: whole(1), person: optional(text) })),
  moved: listOf(objectWith({ channel: text, before: nullable(version) })),
  gates: recordOf(listOf(sample)),
})

const ROLLOUT_STATES = ['running', 'done', 'superseded', 'rolled back', 'withdrawn']

/** What a rollout's document must be. */
export const rolloutShape = objectWith({
  pipeline: text,
  release: version,
  state: oneOf(ROLLOUT_STATES),
  startedAt: moment,
  startedBy: text,
  endedAt: nullable(moment),
  rules: objectWith(rules),
  pipelineRevision: whole(1),
  paused: nullable(objectWith({ reason: text, by: text, at: moment, gate: nullable(text) })),
  supersededBy: nullable(version),
  rollback: nullable(
    objectWith({
      reason: text,
      by: text,
      at: moment,
      channels: listOf(objectWith({ channel: text, from: version, to: nullable(version) })),
      stateBefore: oneOf(ROLLOUT_STATES),
      unpinnedAt: nullable(moment),
    }),
  ),
  stages: listOf(stageProgress),
})
