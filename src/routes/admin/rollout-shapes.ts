// The shapes of releases, pipelines and rollouts as the admin API answers them. What requests may be is in
// rollout-requests.ts.
import { Type } from 'typebox'
import { GATE_OPS, WEEKDAYS } from '../../rollouts/pipeline.ts'
import { GATE_VERDICTS } from '../../rollouts/rollout.ts'
import { Critical, Moment, Nullable, Reason, servedByMore, Version, writeMarks } from './schemas.ts'

const oneOf = (texts: readonly string[]) => Type.Union(texts.map((text) => Type.Literal(text)))

const TokenPerson = Type.Optional(Type.String({ description: 'The person of the token, where that is not its name.' }))
const Stamp = Type.Object({ by: Type.String(), at: Moment, person: TokenPerson })
const Approval = Type.Object({
  by: Type.String(),
  at: Moment,
  edition: Type.Integer({ minimum: 1, description: 'The edition of the release that was approved.' }),
  person: TokenPerson,
})
const Withdrawal = Type.Object({ reason: Reason, by: Type.String(), at: Moment, person: TokenPerson })

const ReleaseChange = Type.Object({
  id: Type.String(),
  title: Type.String({ description: '`embargoed change` for everybody but admins, while it is under an embargo.' }),
  author: Type.String(),
  url: Nullable(Type.String()),
  significant: Type.Boolean(),
  signedOff: Nullable(Stamp),
  withdrawn: Nullable(Withdrawal),
  labelAt: Nullable(Moment),
  addedBy: Type.Optional(
    Type.Array(Type.String(), {
      description: 'Who has put it on the list or changed it there: like its author, they may not sign it off.',
    }),
  ),
})

const Release = Type.Object(
  {
    version: Version,
    revision: Type.Integer({ minimum: 1 }),
    commit: Type.String(),
    cutAt: Moment,
    cutBy: Type.String(),
    registeredAt: Moment,
    registeredBy: Type.String(),
    kind: oneOf(['control-plane', 'full']),
    repository: Nullable(
      Type.String({ description: '`owner/name` on GitHub: where changes are whose id is a number alone.' }),
    ),
    changes: Nullable(Type.Array(ReleaseChange, { description: 'null where nobody has said yet what it brings.' })),
    minAgentVersion: Nullable(Version),
    security: Nullable(
      Type.Object({ embargoed: Type.Boolean(), fixes: Type.Array(Type.String()), liftedAt: Nullable(Moment) }),
    ),
    notesUrl: Nullable(Type.String()),
    packages: Type.Array(Type.Object({ url: Type.String(), foundAt: Moment })),
    withdrawn: Nullable(Withdrawal),
    bad: Nullable(Withdrawal),
    edition: Type.Integer({
      minimum: 1,
      description:
        'Counts up whenever its changes, fixes, packages, kind or lowest agent version become others: approvals of an earlier edition do not count.',
    }),
    authors: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'Who has written some of what is in it, and may not approve it: persons, and `login/github`. Absent on releases of earlier builds.',
      }),
    ),
    servedBy: Type.Array(Type.String(), { description: 'Channels that tell agents this version now.' }),
    ...servedByMore,
    rollouts: Type.Array(
      Type.Object({ pipeline: Type.String(), state: Type.String(), supersededBy: Nullable(Version) }),
      { description: 'Its rollouts; in the answer to a change, those that the change has begun or ended.' },
    ),
    ...writeMarks,
  },
  { $id: 'Release', title: 'Release' },
)

const Gate = Type.Object({
  name: Type.String(),
  url: Type.String(),
  query: Type.String(),
  op: oneOf(GATE_OPS),
  threshold: Type.Number(),
  everySeconds: Type.Integer(),
  failures: Type.Integer(),
  initialDelayMinutes: Type.Optional(Type.Integer()),
  secret: Type.Optional(Type.String({ description: 'The name of the secret that is sent; absent: none.' })),
})

const Window = Type.Object({
  days: Type.Array(oneOf(WEEKDAYS)),
  from: Type.String(),
  to: Type.String(),
  timeZone: Type.String(),
})

const stageRules = {
  name: Type.String(),
  channels: Type.Array(Type.String()),
  auto: Type.Boolean(),
  soakMinutes: Type.Integer(),
  requireSignOff: Type.Boolean(),
  approvals: Type.Integer(),
  gates: Type.Array(Gate),
  rampPercent: Type.Array(Type.Integer()),
  rampMinutes: Type.Integer(),
  promoteWindow: Nullable(Window),
  plainPath: oneOf(['first', 'last']),
}

const Pipeline = Type.Object(
  {
    name: Type.String(),
    revision: Type.Integer({ minimum: 1 }),
    description: Type.String(),
    versions: Nullable(Type.String()),
    grace: Type.String(),
    requirePackages: Type.Boolean(),
    stages: Type.Array(Type.Object(stageRules)),
    updatedAt: Moment,
    updatedBy: Type.String(),
    otherRules: Type.Array(Type.String(), {
      description: 'Releases under way by other rules than these: re-base them, or let them end as they began.',
    }),
    ...writeMarks,
  },
  { $id: 'Pipeline', title: 'Pipeline' },
)

const Blocker = Type.Object({
  code: Type.String(),
  message: Type.String({ description: 'What to do or to wait for.' }),
})

const GateSample = Type.Object({
  at: Moment,
  value: Nullable(Type.Number()),
  verdict: oneOf(GATE_VERDICTS),
  detail: Nullable(Type.String()),
})

const Stage = Type.Object({
  name: Type.String(),
  state: oneOf(['waiting', 'ready', 'promoting', 'soaking', 'done', 'paused', 'rolled back']),
  blockers: Type.Array(Blocker, { description: 'Everything that still holds it back, or that it waits for.' }),
  percent: Type.Integer({ description: 'The share of cohorts that are told the release.' }),
  critical: Critical,
  startedAt: Nullable(Moment),
  since: Type.Union([Moment, Type.Null()], {
    description:
      'When the step or the soaking under way began; null while no channel of the stage tells the release to as many agents as it had reached: that time does not count.',
  }),
  doneAt: Nullable(Moment),
  approvals: Type.Array(Approval),
  channels: Type.Array(Type.String()),
  moved: Type.Array(Type.Object({ channel: Type.String(), before: Nullable(Version) })),
  leftBehind: Type.Array(Type.Object({ channel: Type.String(), why: Type.String() })),
  gates: Type.Array(
    Type.Object({
      name: Type.String(),
      op: oneOf(GATE_OPS),
      threshold: Type.Number(),
      samples: Type.Array(GateSample, { description: 'The last values, oldest first.' }),
    }),
  ),
  rules: Type.Object(stageRules),
})

const rollout = {
  pipeline: Type.String(),
  release: Version,
  revision: Type.Integer({ minimum: 1 }),
  state: oneOf(['running', 'done', 'superseded', 'rolled back', 'withdrawn']),
  startedAt: Moment,
  startedBy: Type.String(),
  endedAt: Nullable(Moment),
  pipelineRevision: Type.Integer(),
  grace: Type.String(),
  requirePackages: Type.Boolean(),
  paused: Nullable(
    Type.Object({ reason: Type.String(), by: Type.String(), at: Moment, gate: Nullable(Type.String()) }),
  ),
  supersededBy: Nullable(Version),
  rollback: Nullable(
    Type.Object({
      reason: Reason,
      by: Type.String(),
      at: Moment,
      channels: Type.Array(Type.Object({ channel: Type.String(), from: Version, to: Nullable(Version) }), {
        description: 'Where `to` is null, no good release was known: its agents are told to stay where they are.',
      }),
      stateBefore: Type.String(),
      unpinnedAt: Nullable(Moment),
    }),
  ),
  stages: Type.Array(Stage),
}

const Rollout = Type.Object(rollout, { $id: 'Rollout', title: 'Rollout' })

const RolloutChange = Type.Object(
  {
    ...rollout,
    moves: Type.Array(Type.Object({ channel: Type.String(), from: Nullable(Version), to: Nullable(Version) }), {
      description: 'Every channel that was moved (in a dry run: would be), from what to what.',
    }),
    untouched: Type.Array(Type.Object({ channel: Type.String(), why: Type.String() }), {
      description:
        'Channels that were left as they are, and why; after a resume also those that rollbacks of the release in other pipelines pin still.',
    }),
    superseded: Type.Array(Version, { description: 'Releases whose rollouts are overtaken by it.' }),
    servedBy: Type.Optional(
      Type.Array(Type.String(), {
        description:
          'After a rollback: channels, of all there are, that tell agents the release still. Other pipelines, or hands, have moved them to it.',
      }),
    ),
    ...servedByMore,
    ...writeMarks,
  },
  { $id: 'RolloutChange', title: 'RolloutChange' },
)

/** The shapes that answers refer to by name, beside those of schemas.ts. */
export const rolloutShapes = [Release, Pipeline, Rollout, RolloutChange] as const
