// The shapes of the admin API. Requests are validated against them, answers are written by them, and OpenAPI shows them.
import { Type, type TSchema } from 'typebox'
import { VERSION_LENGTH_MAX } from '../../channels/version.ts'
import { roles } from '../../control/identity.ts'
import { SERVED_BY_MAX } from '../../control/served-by.ts'

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
  description:
    'Overrules the guards on majors, on downgrades and on the end of a rollback. Needs role admin and a reason.',
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
    person: Type.String(),
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

/** Beside every `servedBy`. */
export const servedByMore = {
  servedByMore: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: `How many more channels do; there where \`servedBy\` names ${SERVED_BY_MAX}.`,
    }),
  ),
}

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
    ...servedByMore,
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
export const sharedSchemas = [WouldChange, DryRun, JournalEntry, Token, BlockedVersion, Problem] as const
