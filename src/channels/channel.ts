// What a channel is: its document's body, and how it stands in the store.
import type { Document, JsonObject } from '../store/port.ts'
import { remembersBuilds } from './build-metadata.ts'

/** Where a static channel's target comes from: operators or a rollout set it. `version` null is "no version". */
export interface StaticSource {
  readonly kind: 'static'
  readonly version: string | null
  readonly critical: boolean
  /** The moment at which `critical` ends by itself, RFC 3339 UTC. */
  readonly criticalUntil: string | null
}

/** What is wrong with an upstream: it gives no answer, its answer is none, or a guard refuses what it answers. */
export interface UpstreamProblem {
  readonly kind: 'unreachable' | 'invalid' | 'refused'
  readonly message: string
  readonly at: string
}

/** Where a forward channel's target comes from: another version server, whose last good answer is kept beside its URL. */
export interface ForwardSource {
  readonly kind: 'forward'
  readonly url: string
  readonly version: string | null
  readonly critical: boolean
  /** An upstream says itself when its urgency ends. */
  readonly criticalUntil: null
  /** When this upstream last answered something new; null where it never has, and `version` is from before it. */
  readonly answeredAt: string | null
  readonly problem: UpstreamProblem | null
}

export type Source = StaticSource | ForwardSource

/** Whether there is nothing to serve, because the upstream has never answered and there was nothing before it. */
export function isUnanswered(source: Source): boolean {
  return source.kind === 'forward' && source.answeredAt === null && source.version === null
}

/** Why a pin whose time was over is still there: this guard forbids what the source would serve. */
export interface Held {
  readonly guard: string
  readonly detail: string
  readonly at: string
}

/** An operator's override of the source. */
export interface Pin {
  readonly version: string
  readonly critical: boolean
  readonly criticalUntil: string | null
  readonly reason: string
  readonly by: string
  readonly at: string
  readonly until: string | null
  readonly held: Held | null
  /** Versions that rollbacks have left, the newest last, as rollback-end.ts says; not there for a pin that is none's. */
  readonly rolledBackFrom?: readonly string[]
}

/** A channel that tells agents to stay where they are. */
export interface Halt {
  readonly reason: string
  readonly by: string
  readonly at: string
}

/** What a channel told agents before its ramp began, and tells those that the ramp has not reached. */
export interface BeforeRamp {
  readonly version: string | null
  readonly critical: boolean
  readonly criticalUntil: string | null
}

/** A release on its way to a channel's agents: some cohorts are told the source's version, the others the one before. */
export interface Ramp {
  /** What the order of the cohorts is made from (cohort.ts); the same for a whole rollout. */
  readonly seed: string
  /** How many of the hundred cohorts are told the source's version: 1 to 99. */
  readonly percent: number
  /** Whether agents that know no cohort are among the first or the last. */
  readonly plainPath: 'first' | 'last'
  readonly before: BeforeRamp
}

export interface Channel {
  readonly name: string
  readonly description: string
  readonly source: Source
  /** Not there while everybody is told the same. */
  readonly ramp?: Ramp
  readonly pin: Pin | null
  readonly halt: Halt | null
  readonly floor: string | null
  readonly ceiling: string | null
  /** Not there where it is not allowed. */
  readonly allowBuildMetadata?: boolean
  /** The version agents were last told: what guards compare with while nothing is served, so that no halt or "no version" is a way round them. */
  readonly lastServed: string | null
  /** Where `lastServed` is what `default` served when the channel was made; not there once it has served a version of its own. */
  readonly lastServedFrom?: 'default'
  /** What cohorts were told beside it then; not there where all agents were told the same. */
  readonly lastServedBeside?: string
  /** Versions with build metadata that agents were served, the newest last; not there for none. */
  readonly servedBuilds?: readonly string[]
  readonly updatedAt: string
  readonly updatedBy: string
}

/** The kind of document, as keys of the store begin. */
export const CHANNEL_KIND = 'channel'
const CHANNEL_PREFIX = `${CHANNEL_KIND}/`

/** The key of a channel's document. */
export function channelKey(name: string): string {
  return `${CHANNEL_PREFIX}${name}`
}

/** The name of the channel that a key belongs to, null for other documents. */
export function channelNameOf(key: string): string | null {
  return key.startsWith(CHANNEL_PREFIX) ? key.slice(CHANNEL_PREFIX.length) : null
}

/** Reads a channel out of its document. */
export function channelOf(document: Document): Channel {
  // The store has checked the body (control/check-document.ts) and marked it where it is no channel.
  return document.body as unknown as Channel
}

/** The channel in a document of the past; null where there was none, or none that can be read: agents were told nothing then. */
export function channelIn(document: Document | null): Channel | null {
  return document === null || document.unreadable !== undefined ? null : channelOf(document)
}

/** The channel with everybody told what its source says. */
export function withoutRamp(channel: Channel): Channel {
  const { ramp: _ramp, ...rest } = channel
  return rest
}

/** The channel with what its agents were last told: the plain path's version first; nothing leaves it as it was. */
export function remembering(channel: Channel, told: readonly string[]): Channel {
  const [lastServed, beside] = told
  if (lastServed === undefined) return channel
  const { lastServedBeside: _before, lastServedFrom: _from, ...rest } = channel
  const builds = remembersBuilds(channel, told)
  return { ...rest, lastServed, ...(beside === undefined ? {} : { lastServedBeside: beside }), ...builds }
}

/** A channel as the body of its document. */
export function channelBody(channel: Channel): JsonObject {
  // A Channel is made of strings, booleans, nulls and objects of them: it is JSON by its type.
  return channel as unknown as JsonObject
}
