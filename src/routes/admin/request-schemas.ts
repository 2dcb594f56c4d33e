// What requests of the admin API may be: bodies, parameters and queries. They are validated against these.
import { Type } from 'typebox'
import { NAME_LENGTH_MAX } from '../../channels/name.ts'
import { UPSTREAM_URL_LENGTH_MAX } from '../../channels/upstream-url.ts'
import { roles } from '../../control/identity.ts'
import { MIRROR_CHANNELS_MAX } from '../../control/mirror.ts'
import { TOKEN_PATTERNS_MAX } from '../../control/tokens.ts'
import { JOURNAL_PAGE_MAX } from '../../store/port.ts'
import { Nullable, Closed, Text, Version, Moment, Reason, Force, Critical } from './schemas.ts'

const SourceDraft = Type.Object(
  {
    kind: Type.Union([Type.Literal('static'), Type.Literal('forward')]),
    url: Type.Optional(
      Type.String({
        maxLength: UPSTREAM_URL_LENGTH_MAX,
        description:
          'Of a forward source: `https://host/v1/<channel>`, or the webapi form. The rest is of a static one.',
      }),
    ),
    version: Type.Optional(Nullable(Version)),
    critical: Type.Optional(Critical),
    criticalUntil: Type.Optional(Nullable(Moment)),
  },
  Closed,
)

const limits = {
  description: Type.Optional(Text('What the channel is for.')),
  source: Type.Optional(SourceDraft),
  floor: Type.Optional(Nullable(Version)),
  ceiling: Type.Optional(Nullable(Version)),
  allowBuildMetadata: Type.Optional(
    Type.Boolean({ description: 'Whether versions with build metadata (`+…`) may be served; false unless given.' }),
  ),
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
    unpin: Type.Optional(
      Type.Boolean({ description: 'Takes the pin away as well, in one entry, judged against what is served now.' }),
    ),
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
    block: Type.Optional(
      Type.Boolean({
        description: 'Puts the version that it leaves on the block list as well; needs a token for all channels.',
      }),
    ),
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
export const MirrorBody = Type.Object(
  {
    url: Type.String({
      maxLength: UPSTREAM_URL_LENGTH_MAX,
      description: 'The other server: `https://host`, or a base of either form without the channel.',
    }),
    channels: Type.Array(Type.String({ maxLength: NAME_LENGTH_MAX }), { minItems: 1, maxItems: MIRROR_CHANNELS_MAX }),
    reason: Type.Optional(Reason),
  },
  Closed,
)
export const StoreDecisionBody = Type.Object(
  {
    reason: Reason,
    force: Type.Optional(Type.Boolean({ description: 'Restores although another replica knows more.' })),
  },
  Closed,
)
export const RepairBody = Type.Object(
  {
    key: Type.String({
      maxLength: 600,
      description: 'The document, as `warnings` of `/readyz` name it: `channel/stable/cloud`.',
    }),
    reason: Reason,
    force: Type.Optional(Type.Boolean({ description: 'Deletes the document where no version of it can be read.' })),
  },
  Closed,
)
export const OptionalReasonBody = Nullable(Type.Object({ reason: Type.Optional(Reason) }, Closed))
/** No slash: the journal writes actors as name/id. */
export const PERSON_PATTERN = '^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$'
export const TokenBody = Type.Object(
  {
    name: Type.String({
      pattern: PERSON_PATTERN,
      description: 'Whose it is, e.g. `alice` or `ci-deploy`.',
    }),
    person: Type.Optional(
      Type.String({
        pattern: PERSON_PATTERN,
        description:
          'Who uses it; its name unless given. Tokens of one person are one where different people must approve or sign off.',
      }),
    ),
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
  {
    dryRun: Type.Optional(Type.Boolean({ description: 'Say what would happen, and write nothing.' })),
    wait: Type.Optional(
      Type.Literal('replicas', {
        description:
          'Answer when all live replicas serve the change. `Bellwether-Applied-By` names them; those that did not within 10 s are in `Bellwether-Not-Applied-By`, with `unknown` for replicas that could not be asked or read.',
      }),
    ),
  },
  Closed,
)

/** Items in a page of a list whose query names no limit; what the document says and what every list but one does. */
export const PAGE_LIMIT_DEFAULT = 100

/**
 * The same for rollouts, and the most of them: each has all channels of its pipeline, so that a hundred rollouts among 880
 * channels are 13 MB, and took 0.45 s to make.
 */
export const ROLLOUTS_PAGE_LIMIT_DEFAULT = 20
const ROLLOUTS_PAGE_LIMIT_MAX = 100

const pagingOf = (limitDefault: number, limitMax: number) => ({
  cursor: Type.Optional(Type.String({ maxLength: 512, description: 'The `next` of the page before.' })),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: limitMax,
      default: limitDefault,
      description: `Items in a page at most; ${limitDefault} unless told. A page that would be above 1 MB ends early.`,
    }),
  ),
})
const paging = pagingOf(PAGE_LIMIT_DEFAULT, JOURNAL_PAGE_MAX)
export const PageQuery = Type.Object(paging, Closed)
export const RolloutsPageQuery = Type.Object(pagingOf(ROLLOUTS_PAGE_LIMIT_DEFAULT, ROLLOUTS_PAGE_LIMIT_MAX), Closed)
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
