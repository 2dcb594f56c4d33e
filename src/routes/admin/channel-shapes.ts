// The shapes of channels, as answers of the admin API show them.
import { Type } from 'typebox'
import { Critical, Moment, Nullable, Reason, Version, writeMarks } from './schemas.ts'

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
  rolledBackFrom: Type.Optional(
    Type.Array(Version, {
      description: 'Versions that a rollback has left. The end of the pin must not serve them again (`rollback_end`).',
    }),
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
  allowBuildMetadata: Type.Boolean({ description: 'Whether versions with build metadata (`+…`) may be served.' }),
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
  servedBuilds: Type.Optional(
    Type.Array(Version, { description: 'Versions with build metadata that it has served, which it may serve again.' }),
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
  warnings: Type.Array(Type.Object({ code: Type.String(), message: Type.String() }), {
    description:
      '`pin_held`: the time of the pin is over, but a guard holds it. Of a write: `pinned` or `halted` where agents are served nothing of it yet, `default_replaced` where webapi agents of this name were served the version of `default` until now.',
  }),
}

const Channel = Type.Object(channel, { $id: 'Channel', title: 'Channel' })

const Verdict = Type.Object({
  guard: Type.String(),
  verdict: Type.Union([Type.Literal('passed'), Type.Literal('refused'), Type.Literal('forced')]),
  detail: Type.String(),
})

const ChannelChange = Type.Object(
  {
    ...channel,
    ...writeMarks,
    verdicts: Type.Optional(Type.Array(Verdict, { description: 'Of a dry run: what each guard says.' })),
    blocked: Type.Optional(
      Type.Object(
        {
          version: Version,
          servedBy: Type.Array(Type.String(), {
            description: 'Other channels that serve it still; they are not moved.',
          }),
        },
        { description: 'Of a rollback with `block`: the version that was put on the block list.' },
      ),
    ),
  },
  { $id: 'ChannelChange', title: 'ChannelChange' },
)

/** Every shape of channels that answers refer to by name. */
export const channelShapes = [Channel, ChannelChange] as const
