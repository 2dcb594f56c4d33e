// The shapes of the admin API. Requests are validated against them, answers are written by them, and OpenAPI shows them.
import { Type, type TSchema } from 'typebox'
import { NAME_LENGTH_MAX } from '../../channels/name.ts'
import { VERSION_LENGTH_MAX } from '../../channels/version.ts'
import { roles } from '../../control/identity.ts'
import { TOKEN_PATTERNS_MAX } from '../../control/tokens.ts'
import { JOURNAL_PAGE_MAX } from '../../store/port.ts'

/** Long enough for a sentence and a link; a reason is shown in lists and stays in the journal for good. */
const REASON_LENGTH_MAX = 1_000

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

const Closed = { additionalProperties: false } as const
const Version = Type.String({
  maxLength: VERSION_LENGTH_MAX,
  description: 'A version like `15.1.4`; a leading `v` is dropped.',
})
const Moment = Type.String({
  format: 'date-time',
  maxLength: 64,
  description: 'A moment in RFC 3339, e.g. `2026-03-01T00:00:00Z`.',
})
const Reason = Type.String({ maxLength: REASON_LENGTH_MAX, description: 'Why; it is kept in the journal.' })
const Force = Type.Boolean({ description: 'Overrules the guards on majors. Needs role admin and a reason.' })
const Critical = Type.Boolean({ description: 'Whether agents update at once, outside their maintenance window.' })

/** A shape that answers refer to by its name. */
type SharedName = 'Channel' | 'DryRun' | 'JournalEntry' | 'Token' | 'BlockedVersion' | 'Problem'

export const ref = (name: SharedName) => Type.Unsafe<unknown>({ $ref: `${name}#` })

// — documents —

const Source = Type.Object({
  kind: Type.Literal('static'),
  version: Nullable(Version),
  critical: Critical,
  criticalUntil: Nullable(Moment),
})

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
      ['source', 'pin', 'halt', 'expired', 'held'].map((because) => Type.Literal(because)),
      {
        description: '`expired`: the source, since the pin has ended; `held`: the pin, whose end a guard forbids.',
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
    pin: Nullable(Pin),
    halt: Nullable(Type.Object({ reason: Reason, by: Type.String(), at: Moment })),
    floor: Nullable(Version),
    ceiling: Nullable(Version),
    lastServed: Nullable(Version),
    updatedAt: Moment,
    updatedBy: Type.String(),
    effective: Effective,
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
  { version: Version, reason: Reason, by: Type.String(), at: Moment },
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

// — requests —

const SourceDraft = Type.Object(
  {
    kind: Type.Literal('static'),
    version: Type.Optional(Nullable(Version)),
    critical: Type.Optional(Critical),
    criticalUntil: Type.Optional(Nullable(Moment)),
  },
  Closed,
)

const limits = {
  description: Type.Optional(Type.String({ maxLength: 1_000 })),
  source: Type.Optional(SourceDraft),
  floor: Type.Optional(Nullable(Version)),
  ceiling: Type.Optional(Nullable(Version)),
  reason: Type.Optional(Reason),
}

export const ChannelParams = Type.Object({
  name: Type.String({ description: 'The name of the channel, percent-encoded: `stable%2Fcloud`.' }),
})
export const CreateBody = Type.Object(
  { name: Type.String({ maxLength: NAME_LENGTH_MAX }), ...limits, force: Type.Optional(Force) },
  Closed,
)
export const EditBody = Type.Object({ ...limits, force: Type.Optional(Force) }, Closed)
export const VersionBody = Type.Object(
  {
    version: Nullable(Version),
    critical: Type.Optional(Critical),
    criticalUntil: Type.Optional(Nullable(Moment)),
    reason: Type.Optional(Reason),
    force: Type.Optional(Force),
  },
  Closed,
)
export const PinBody = Type.Object(
  {
    version: Version,
    critical: Type.Optional(Critical),
    until: Type.Optional(Nullable(Moment)),
    reason: Reason,
    force: Type.Optional(Force),
  },
  Closed,
)
export const RollbackBody = Type.Object(
  {
    to: Type.Optional(
      Type.Union([Version, Type.Integer({ minimum: 1 })], {
        description: 'A version the channel has served, or a revision of it. Left out: the version before this one.',
      }),
    ),
    critical: Type.Optional(Critical),
    reason: Reason,
    force: Type.Optional(Force),
  },
  Closed,
)
export const CriticalBody = Type.Object(
  { critical: Critical, until: Type.Optional(Nullable(Moment)), reason: Reason },
  Closed,
)
export const ReasonBody = Type.Object({ reason: Reason }, Closed)
export const ForceableReasonBody = Type.Object({ reason: Reason, force: Type.Optional(Force) }, Closed)
export const DeleteBody = Nullable(Type.Object({ reason: Type.Optional(Reason), force: Type.Optional(Force) }, Closed))
export const OptionalReasonBody = Nullable(Type.Object({ reason: Type.Optional(Reason) }, Closed))
export const TokenBody = Type.Object(
  {
    // No slash: the journal writes actors as name/id.
    name: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$',
      description: 'Whose it is, e.g. `alice` or `ci-deploy`.',
    }),
    role: Type.Union(roles.map((role) => Type.Literal(role))),
    channels: Type.Optional(
      Nullable(
        Type.Array(Type.String({ maxLength: NAME_LENGTH_MAX }), {
          minItems: 1,
          maxItems: TOKEN_PATTERNS_MAX,
          description: 'The only channels it is for, as names or patterns like `stable/*`. Left out: all.',
        }),
      ),
    ),
    expiresAt: Type.Optional(Nullable(Moment)),
  },
  Closed,
)

export const WriteQuery = Type.Object(
  { dryRun: Type.Optional(Type.Boolean({ description: 'Say what would happen, and write nothing.' })) },
  Closed,
)

const paging = {
  cursor: Type.Optional(Type.String({ maxLength: 512, description: 'The `next` of the page before.' })),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: JOURNAL_PAGE_MAX, description: 'Items in a page; 100 unless told.' }),
  ),
}
export const PageQuery = Type.Object(paging, Closed)
export const JournalQuery = Type.Object(
  {
    ...paging,
    actor: Type.Optional(Type.String({ maxLength: 128 })),
    kind: Type.Optional(Type.String({ maxLength: 64, description: 'E.g. `channel.pin`.' })),
    subject: Type.Optional(Type.String({ maxLength: 300, description: 'A document, e.g. `channel/stable/cloud`.' })),
    since: Type.Optional(Moment),
    until: Type.Optional(Moment),
  },
  Closed,
)
