// The shapes of the admin API. Requests are validated against them, answers are written by them, and OpenAPI shows them.
import { Type, type TSchema } from 'typebox'
import { VERSION_LENGTH_MAX } from '../../channels/version.ts'
import { roles } from '../../control/identity.ts'

/** Long enough for a sentence and a link; a reason is shown in lists and stays in the journal for good. */
const TEXT_LENGTH_MAX = 1_000

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

export const Closed = { additionalProperties: false } as const
export const Version = Type.String({
  maxLength: VERSION_LENGTH_MAX,
  description: 'A version like `15.1.4`; a leading `v` is dropped.',
})
export const Moment = Type.String({
  format: 'date-time',
  maxLength: 64,
  description: 'A moment in RFC 3339, e.g. `2026-03-01T00:00:00Z`.',
})
/** What people write: so many characters, and not above TEXT_BYTES_MAX (json-body.ts). */
export const Text = (description: string) =>
  Type.String({
    maxLength: TEXT_LENGTH_MAX,
    format: 'text',
    description: `${description} At most 3,000 bytes as JSON.`,
  })
export const Reason = Text('Why; it is kept in the journal.')
export const Force = Type.Boolean({ description: 'Overrules the guards on majors. Needs role admin and a reason.' })
export const Critical = Type.Boolean({
  description: 'Whether agents update at once, outside their maintenance window.',
})

/** A shape that answers refer to by its name. */
type SharedName =
  | 'Channel'
  | 'DryRun'
  | 'JournalEntry'
  | 'Token'
  | 'BlockedVersion'
  | 'Problem'
  | 'Release'
  | 'Pipeline'
  | 'Rollout'
  | 'RolloutChange'

export const ref = (name: SharedName) => Type.Unsafe<unknown>({ $ref: `${name}#` })

const StaticSource = Type.Object({
  kind: Type.Literal('static'),
  version: Nullable(Version),
  critical: Critical,
  criticalUntil: Nullable(Moment),
})

const ForwardSource = Type.Object(
  {
    kind: Type.Literal('forward'),
    url: Type.String(),
    version: Nullable(Version),
    critical: Critical,
    criticalUntil: Type.Null(),
    answeredAt: Nullable(Moment),
    problem: Nullable(
      Type.Object({
        kind: Type.Union(['unreachable', 'invalid', 'refused'].map((kind) => Type.Literal(kind))),
        message: Type.String(),
        at: Moment,
      }),
    ),
  },
  { description: 'Another version server, with its last good answer. `problem` is set while it gives none.' },
)

const Source = Type.Union([StaticSource, ForwardSource])

const Ramp = Type.Object(
  {
    seed: Type.String(),
    percent: Type.Integer({ minimum: 1, maximum: 99 }),
    plainPath: Type.Union([Type.Literal('first'), Type.Literal('last')]),
    before: Type.Object({ version: Nullable(Version), critical: Critical, criticalUntil: Nullable(Moment) }),
  },
  { description: 'So many of the hundred cohorts are told the version of the source, the others the one before.' },
)

const Pin = Type.Object({
  version: Version,
  critical: Critical,
  criticalUntil: Nullable(Moment),
  reason: Reason,
  by: Type.String(),
  at: Moment,
  until: Nullable(Moment),
  held: Nullable(
    Type.Object(
      { guard: Type.String(), detail: Type.String(), at: Moment },
      { description: 'Set where the time of the pin was over, but a guard forbids what the source would serve.' },
    ),
  ),
})

const Effective = Type.Object(
  {
    version: Nullable(Version),
    critical: Critical,
    because: Type.Union(
      ['source', 'pin', 'halt', 'expired', 'held', 'unanswered', 'ramp'].map((because) => Type.Literal(because)),
      {
        description:
          '`expired`: the source, since the pin has ended; `held`: the pin, whose end a guard forbids; `unanswered`: the upstream has never answered, polls get 503; `ramp`: what was told before a ramp that has not reached agents without a cohort.',
      },
    ),
    detail: Nullable(Type.String()),
  },
  { description: 'What agents are told now.' },
)

const Channel = Type.Object(
  {
    name: Type.String(),
    revision: Type.Integer({ minimum: 1 }),
    description: Type.String(),
    source: Source,
    ramp: Nullable(Ramp),
    pin: Nullable(Pin),
    halt: Nullable(Type.Object({ reason: Reason, by: Type.String(), at: Moment })),
    floor: Nullable(Version),
    ceiling: Nullable(Version),
    lastServed: Nullable(Version),
    lastServedBeside: Type.Optional(
      Type.String({ description: 'What cohorts were told beside it, while a ramp made a difference between them.' }),
    ),
    updatedAt: Moment,
    updatedBy: Type.String(),
    effective: Effective,
    upstream: Nullable(
      Type.Object(
        { lastAnswerAt: Nullable(Moment), ageS: Nullable(Type.Number()) },
        { description: 'When the upstream of a forward channel has last answered well.' },
      ),
    ),
  },
  { $id: 'Channel', title: 'Channel' },
)

const Verdict = Type.Object({
  guard: Type.String(),
  verdict: Type.Union([Type.Literal('passed'), Type.Literal('refused'), Type.Literal('forced')]),
  detail: Type.String(),
})

const DryRun = Type.Object(
  {
    dryRun: Type.Literal(true),
    allowed: Type.Boolean({ description: 'Whether the same request without `dryRun` would be carried out.' }),
    refusal: Nullable(Type.Object({ code: Type.String(), detail: Type.String() })),
    verdicts: Type.Array(Verdict),
    before: Nullable(ref('Channel')),
    after: Nullable(ref('Channel')),
  },
  { $id: 'DryRun', title: 'DryRun' },
)

const StoredDocument = Type.Object(
  {
    key: Type.String(),
    revision: Type.Integer(),
    format: Type.Integer(),
    body: Type.Object({}, { additionalProperties: true }),
  },
  { description: 'A document as it was stored.' },
)

const JournalEntry = Type.Object(
  {
    seq: Type.Integer({ minimum: 1 }),
    mark: Type.String({ description: 'Random; tells histories apart that have parted.' }),
    format: Type.Integer(),
    at: Moment,
    actor: Type.String(),
    kind: Type.String(),
    subjects: Type.Array(Type.String()),
    reason: Nullable(Type.String()),
    requestId: Nullable(Type.String()),
    changes: Type.Array(
      Type.Object({ key: Type.String(), before: Nullable(StoredDocument), after: Nullable(StoredDocument) }),
    ),
  },
  { $id: 'JournalEntry', title: 'JournalEntry' },
)

const Token = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    role: Type.Union(roles.map((role) => Type.Literal(role))),
    channels: Nullable(Type.Array(Type.String())),
    createdAt: Moment,
    createdBy: Type.String(),
    expiresAt: Nullable(Moment),
  },
  { $id: 'Token', title: 'Token' },
)

const BlockedVersion = Type.Object(
  {
    version: Version,
    reason: Reason,
    by: Type.String(),
    at: Moment,
    because: Type.Optional(
      Type.Union([Type.Literal('no packages'), Type.Literal('rolled back')], {
        description: 'A control-plane release, which leaves the list with its packages; or one that was rolled back.',
      }),
    ),
  },
  { $id: 'BlockedVersion', title: 'BlockedVersion' },
)

const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:bellwether:error:<code>`' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'What happened and what to do.' }),
    code: Type.String({ description: 'One of the codes in docs/errors.md.' }),
    requestId: Type.String(),
    errors: Type.Optional(Type.Array(Type.Object({ field: Type.String(), message: Type.String() }))),
  },
  { $id: 'Problem', title: 'Problem', additionalProperties: true },
)

/** Every shape that answers refer to by name. */
export const sharedSchemas = [Channel, DryRun, JournalEntry, Token, BlockedVersion, Problem] as const
