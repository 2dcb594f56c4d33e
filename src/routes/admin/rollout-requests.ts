// What requests about releases, pipelines and rollouts may be. They are validated against these.
import { Type } from 'typebox'
import { NAME_LENGTH_MAX } from '../../channels/name.ts'
import { PACKAGE_URL_LENGTH_MAX, PACKAGE_URLS_MAX } from '../../control/package-client.ts'
import { GATES_MAX, PIPELINE_CHANNELS_MAX, STAGES_MAX } from '../../rollouts/pipeline-draft.ts'
import { GATE_OPS, WEEKDAYS } from '../../rollouts/pipeline.ts'
import { Closed, Critical, Force, Moment, Nullable, Reason, Text, Version } from './schemas.ts'

/** A pipeline may name 900 channels of 128 characters, and queries besides. */
export const PIPELINE_BODY_BYTES_MAX = 256 * 1024

/** What a release brings over the one before it; more would be no review. */
const CHANGES_MAX = 200
const FIXES_MAX = 50
const URL_LENGTH_MAX = 1_000
/** A month: whoever waits longer forgets. */
const MINUTES_MAX = 30 * 24 * 60
const APPROVALS_MAX = 10

const SmallName = Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,62}$' })
const Url = Type.String({ maxLength: URL_LENGTH_MAX })

/** Any short name, or a pull request as GitHub writes it: `acme/web#12`. */
const CHANGE_ID =
  '^(?:[A-Za-z0-9#][A-Za-z0-9._#-]{0,63}|[A-Za-z0-9][A-Za-z0-9_-]{0,38}/[A-Za-z0-9._-]{1,100}#[1-9][0-9]{0,8})$'

const ChangeDraft = Type.Object(
  {
    id: Type.String({
      pattern: CHANGE_ID,
      description:
        'E.g. the number of its pull request, alone (in the `repository` of the release) or with the repository: `acme/web#12`. Everybody sees it, whatever is embargoed.',
    }),
    title: Type.String({ minLength: 1, maxLength: 300 }),
    author: Type.String({ minLength: 1, maxLength: 100 }),
    url: Type.Optional(Nullable(Url)),
    significant: Type.Optional(Type.Boolean({ description: 'Whether it must be signed off; yes unless told.' })),
  },
  Closed,
)

const edit = {
  changes: Type.Optional(Type.Array(ChangeDraft, { maxItems: CHANGES_MAX })),
  minAgentVersion: Type.Optional(
    Nullable(
      Type.String({ maxLength: 256, description: 'The lowest version of an agent that the release works with.' }),
    ),
  ),
  security: Type.Optional(
    Type.Object(
      {
        embargoed: Type.Optional(Type.Boolean({ description: 'Its fixes must not be known yet.' })),
        fixes: Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { minItems: 1, maxItems: FIXES_MAX }),
      },
      Closed,
    ),
  ),
  notesUrl: Type.Optional(Nullable(Url)),
  repository: Type.Optional(
    Nullable(
      Type.String({
        maxLength: 200,
        description:
          '`owner/name` on GitHub, or its URL: where changes are whose id is a number alone. Left out at the registration, the one that `BELLWETHER_GITHUB_REPOSITORIES` lists, where it lists one.',
      }),
    ),
  ),
}

const Packages = Type.Array(Type.String({ maxLength: PACKAGE_URL_LENGTH_MAX }), {
  maxItems: PACKAGE_URLS_MAX,
  description: 'URLs of agent packages; each is asked for with HEAD and must be answered 200.',
})

export const ReleaseParams = Type.Object({
  version: Type.String({ description: 'The version of the release, percent-encoded where it has a `+`.' }),
})
export const ReleaseChangeParams = Type.Object({
  version: Type.String({ description: 'The version of the release, percent-encoded where it has a `+`.' }),
  id: Type.String({ description: 'The id of the change, percent-encoded where it has a `#`.' }),
})
export const RegisterBody = Type.Object(
  {
    version: Version,
    commit: Type.String({ maxLength: 64 }),
    cutAt: Type.Optional(Moment),
    cutBy: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        description:
          'Who cut it, by the name that their token or GitHub account has, e.g. `alice`; whoever registers it unless told. Neither of the two may approve it.',
      }),
    ),
    kind: Type.Union([Type.Literal('control-plane'), Type.Literal('full')]),
    packages: Type.Optional(Packages),
    ...edit,
    reason: Type.Optional(Reason),
  },
  Closed,
)
export const EditReleaseBody = Type.Object({ ...edit, reason: Type.Optional(Reason) }, Closed)
export const ArtifactsBody = Type.Object(
  {
    kind: Type.Literal('full'),
    packages: Type.Array(Packages.items, { ...Packages, minItems: 1 }),
    replace: Type.Optional(
      Type.Boolean({ description: 'Whether these are all; packages named before are taken out then. Default false.' }),
    ),
    reason: Type.Optional(Reason),
  },
  Closed,
)
export const NextVersionQuery = Type.Object(
  { major: Type.Integer({ minimum: 0, maximum: 1_000_000 }), commit: Type.String({ maxLength: 64 }) },
  Closed,
)
export const CompatibilityQuery = Type.Object(
  { pipeline: Type.Optional(SmallName), grace: Type.Optional(Type.String({ maxLength: 32 })) },
  Closed,
)

const GateDraft = Type.Object(
  {
    name: SmallName,
    url: Type.String({
      maxLength: URL_LENGTH_MAX,
      description: 'A Prometheus server, on a host of BELLWETHER_GATES_ALLOW.',
    }),
    query: Type.String({
      minLength: 1,
      maxLength: 2_000,
      description:
        'An instant query (PromQL). `{release}` stands for the version of the release, `{previous}` for the highest version that the channels of the stage served before it, `{stage}` for the name of the stage; no other word of lower-case letters may stand in braces alone.',
    }),
    op: Type.Union(
      GATE_OPS.map((op) => Type.Literal(op)),
      { description: 'The gate passes while every value `op` threshold is true.' },
    ),
    threshold: Type.Number(),
    everySeconds: Type.Optional(Type.Integer({ minimum: 5, maximum: 3_600 })),
    failures: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 20, description: 'So many failures in a row pause the rollout.' }),
    ),
    initialDelayMinutes: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MINUTES_MAX,
        description:
          'No data (no series, or NaN) is no failure so long after the step or the soaking under way has begun; 0 unless given. The gate does not pass meanwhile either.',
      }),
    ),
    secret: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9][a-z0-9._-]{0,62}$',
        description:
          'The name of a secret of BELLWETHER_GATE_SECRETS_DIR, which is sent to the URL as Authorization; never the secret itself.',
      }),
    ),
  },
  Closed,
)

const StageDraft = Type.Object(
  {
    name: SmallName,
    channels: Type.Array(Type.String({ maxLength: NAME_LENGTH_MAX }), { minItems: 1, maxItems: PIPELINE_CHANNELS_MAX }),
    auto: Type.Optional(Type.Boolean({ description: 'Promoted by itself once nothing holds it back.' })),
    soakMinutes: Type.Optional(Type.Integer({ minimum: 0, maximum: MINUTES_MAX })),
    requireSignOff: Type.Optional(Type.Boolean()),
    approvals: Type.Optional(Type.Integer({ minimum: 0, maximum: APPROVALS_MAX })),
    gates: Type.Optional(Type.Array(GateDraft, { maxItems: GATES_MAX })),
    rampPercent: Type.Optional(Type.Array(Type.Integer({ minimum: 1, maximum: 99 }), { maxItems: 20 })),
    rampMinutes: Type.Optional(
      Type.Integer({ minimum: 0, maximum: MINUTES_MAX, description: 'How long each step lasts.' }),
    ),
    promoteWindow: Type.Optional(
      Nullable(
        Type.Object(
          {
            days: Type.Array(Type.Union(WEEKDAYS.map((day) => Type.Literal(day))), { minItems: 1, maxItems: 7 }),
            from: Type.String({ maxLength: 5, description: 'E.g. `09:00`.' }),
            to: Type.String({ maxLength: 5 }),
            timeZone: Type.String({ maxLength: 64, description: 'E.g. `Europe/Berlin`.' }),
          },
          Closed,
        ),
      ),
    ),
    plainPath: Type.Optional(
      Type.Union([Type.Literal('first'), Type.Literal('last')], {
        description: 'Whether agents that know no cohort are among the first or the last of a ramp; last unless told.',
      }),
    ),
  },
  Closed,
)

export const PipelineParams = Type.Object({ pipeline: Type.String() })
export const PipelineBody = Type.Object(
  {
    description: Type.Optional(Text('What the pipeline is for.')),
    versions: Type.Optional(
      Nullable(
        Type.String({ maxLength: 200, description: 'The releases that it takes, as a semver range; null for all.' }),
      ),
    ),
    grace: Type.Optional(Type.String({ maxLength: 32, description: 'ISO 8601; P14D unless told.' })),
    requirePackages: Type.Optional(Type.Boolean()),
    stages: Type.Array(StageDraft, { minItems: 1, maxItems: STAGES_MAX }),
    reason: Type.Optional(Reason),
  },
  Closed,
)

const release = Type.Optional(
  Type.String({ maxLength: 256, description: 'The release whose rollout is meant, where it could be several.' }),
)
/** Always named: a request that is sent twice must not go on to the stage after it. */
const stage = Type.String({ minLength: 1, maxLength: 63, description: 'The name of the stage.' })

export const RolloutParams = Type.Object({ pipeline: Type.String(), version: Type.String() })
export const StartBody = Type.Object({ release: Version, reason: Type.Optional(Reason) }, Closed)
export const PromoteBody = Type.Object(
  {
    release,
    stage,
    critical: Type.Optional(
      Type.Boolean({ description: 'Agents update at once; only for a release with security fixes.' }),
    ),
    reason: Type.Optional(Reason),
    force: Type.Optional(
      Type.Boolean({
        description:
          'Overrules the guards on majors and downgrades, and promotes over a release of the other scheme. Needs role admin and a reason.',
      }),
    ),
  },
  Closed,
)
export const ApproveBody = Type.Object(
  {
    release,
    stage,
    edition: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          'The edition of the release that was looked at: the approval is refused where it is another by now.',
      }),
    ),
    reason: Type.Optional(Reason),
  },
  Closed,
)
export const PauseBody = Type.Object({ release, reason: Reason }, Closed)
export const AfterBody = Type.Object({ release, reason: Reason, force: Type.Optional(Force) }, Closed)
export const RebaseBody = Type.Object({ release, reason: Type.Optional(Reason) }, Closed)
export const RollbackAllBody = Type.Object(
  {
    release,
    to: Type.Optional(
      Type.String({
        maxLength: 256,
        description: 'For every channel: an older version that is known here. Left out, the last good one of each.',
      }),
    ),
    critical: Type.Optional(Critical),
    reason: Reason,
    force: Type.Optional(Force),
  },
  Closed,
)
