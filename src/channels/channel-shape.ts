// What a channel's document must be for this build to serve it. Anything else is served as 503, never guessed at.
import * as shape from './shape.ts'

const { flag, listOf, moment, nullable, objectWith, oneOf, optional, text, version, whole } = shape

const target = { version: nullable(version), critical: flag }

const source = shape.taggedBy('kind', {
  static: objectWith({ ...target, criticalUntil: nullable(moment) }),
  forward: objectWith({
    ...target,
    url: text,
    answeredAt: nullable(moment),
    problem: nullable(objectWith({ kind: oneOf(['unreachable', 'invalid', 'refused']), message: text, at: moment })),
  }),
})

const signed = { reason: text, by: text, at: moment }

const pin = objectWith({
  ...signed,
  version,
  critical: flag,
  criticalUntil: nullable(moment),
  until: nullable(moment),
  held: nullable(objectWith({ guard: text, detail: text, at: moment })),
  rolledBackFrom: optional(listOf(version)),
})

const ramp = objectWith({
  seed: text,
  percent: whole(1, 99),
  plainPath: oneOf(['first', 'last']),
  before: objectWith({ ...target, criticalUntil: nullable(moment) }),
})

const channel = objectWith({
  name: text,
  description: text,
  source,
  ramp: optional(ramp),
  pin: nullable(pin),
  halt: nullable(objectWith(signed)),
  floor: nullable(version),
  ceiling: nullable(version),
  allowBuildMetadata: optional(flag),
  lastServed: nullable(version),
  lastServedFrom: optional(oneOf(['default'])),
  lastServedBeside: optional(version),
  servedBuilds: optional(listOf(version)),
  updatedAt: moment,
  updatedBy: text,
})

/** What is wrong with the body of the channel `name`, null where nothing is. */
export function checkChannel(name: string, body: Readonly<Record<string, unknown>>): string | null {
  const problem = channel(body, '')
  if (problem !== null) return problem
  return body['name'] === name ? null : `name must be ${name}`
}
