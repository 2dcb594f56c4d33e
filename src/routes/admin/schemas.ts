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
export const Force = Type.Boolean({
  description: 'Overrules the guards on majors and downgrades. Needs role admin and a reason.',
})
export const Critical = Type.Boolean({
  description: 'Whether agents update at once, outside their maintenance window.',
})

/** A shape that answers refer to by its name. */
type SharedName =
  | 'Channel'
  | 'ChannelChange'
  | 'DryRun'
  | 'WouldChange'
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

const channel = {
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
  lastServedFrom: Type.Optional(
    Type.Literal('default', {
      description:
        '`lastServed` is what `default` served when the channel was made: it has served nothing of its own yet.',
    }),
  ),
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
}

const Channel = Type.Object(channel, { $id: 'Channel', title: 'Channel' })

const Verdict = Type.Object({
  guard: Type.String(),
  verdict: Type.Union([Type.Literal('passed'), Type.Literal('refused'), Type.Literal('forced')]),
  detail: Type.String(),
})

const WouldChange = Type.Object(
  {
    key: Type.String({ description: 'The document, e.g. `channel/stable/cloud`.' }),
    change: Type.Union([Type.Literal('created'), Type.Literal('updated'), Type.Literal('deleted')]),
    revision: Nullable(
      Type.Integer({ description: 'The revision that it would have; null where it would be deleted.' }),
    ),
    from: Type.Optional(Nullable(Type.String({ description: 'Of a channel: the version that agents are told now.' }))),
    to: Type.Optional(Nullable(Type.String({ description: 'Of a channel: the version that agents would be told.' }))),
  },
  { $id: 'WouldChange', title: 'WouldChange' },
)

/** Members of every answer to a write, beside what it has written. */
export const writeMarks = {
  dryRun: Type.Optional(Type.Literal(true, { description: 'Nothing was written.' })),
  wouldChange: Type.Optional(
    Type.Array(ref('WouldChange'), { description: 'Of a dry run: every document that the same request would change.' }),
  ),
  warnings: Type.Optional(
    Type.Array(Type.Object({ code: Type.String(), message: Type.String() }), {
      description: 'What to know although it was done.',
    }),
  ),
  unchanged: Type.Optional(
    Type.Literal(true, { description: 'It was so already: no revision and no journal entry was made.' }),
  ),
}

/** The answer to a dry run of what is answered without a body. */
const DryRun = Type.Object(
  { dryRun: Type.Literal(true), wouldChange: Type.Array(ref('WouldChange')) },
  { $id: 'DryRun', title: 'DryRun' },
)

const ChannelChange = Type.Object(
  {
    ...channel,
    ...writeMarks,
    verdicts: Type.Optional(Type.Array(Verdict, { description: 'Of a dry run: what each guard says.' })),
  },
  { $id: 'ChannelChange', title: 'ChannelChange' },
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
    revision: Type.Integer({ minimum: 1 }),
    ...writeMarks,
  },
  { $id: 'Token', title: 'Token' },
)

const BlockedVersion = Type.Object(
  {
    version: Version,
    revision: Type.Integer({ minimum: 1 }),
    reason: Reason,
    by: Type.String(),
    at: Moment,
    because: Type.Optional(
      Type.Union([Type.Literal('no packages'), Type.Literal('rolled back')], {
        description: 'A control-plane release, which leaves the list with its packages; or one that was rolled back.',
      }),
    ),
    servedBy: Type.Optional(
      Type.Array(Type.String(), { description: 'Channels that tell agents this version now; they are not moved.' }),
    ),
    ...writeMarks,
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
export const sharedSchemas = [
  Channel,
  ChannelChange,
  WouldChange,
  DryRun,
  JournalEntry,
  Token,
  BlockedVersion,
  Problem,
] as const
