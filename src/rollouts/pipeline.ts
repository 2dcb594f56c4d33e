// What a pipeline is: the ordered stages that a release goes through, the channels each of them moves, and its rules.
import type { Document, JsonObject } from '../store/port.ts'

/** How a gate's value is held against its threshold: the gate passes while `value op threshold` is true. */
export const GATE_OPS = ['<', '<=', '>', '>=', '==', '!='] as const

export type GateOp = (typeof GATE_OPS)[number]

/** A Prometheus instant query that is asked while a stage ramps or soaks. Members that may be absent came after the others. */
export interface Gate {
  readonly name: string
  /** The Prometheus server; `/api/v1/query` is asked under it. */
  readonly url: string
  /** PromQL, with the placeholders of gate-query.ts. */
  readonly query: string
  readonly op: GateOp
  readonly threshold: number
  readonly everySeconds: number
  /** So many evaluations in a row that do not pass pause the rollout. */
  readonly failures: number
  /** No data within this time of the step's or the soaking's beginning is no failure; absent: 0. */
  readonly initialDelayMinutes?: number
  /** The name of the secret that is sent to `url`, never the secret; absent: none is sent. */
  readonly secret?: string
}

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

export type Weekday = (typeof WEEKDAYS)[number]

/** When agents may be moved: on these days, from one time of the day (inclusive) to another (exclusive), as clocks there show. */
export interface PromoteWindow {
  readonly days: readonly Weekday[]
  /** HH:MM; a window whose end is not after its start ends on the next day. */
  readonly from: string
  readonly to: string
  /** An IANA time zone, e.g. `Europe/Berlin`. */
  readonly timeZone: string
}

/** One stage: which channels it moves, and what must hold before and while it does. */
export interface StageRules {
  readonly name: string
  readonly channels: readonly string[]
  /** Whether it is promoted by itself once nothing holds it back. */
  readonly auto: boolean
  /** How long all its agents must have had the release, under its gates, before the next stage may be promoted. */
  readonly soakMinutes: number
  readonly requireSignOff: boolean
  /** So many different people must approve, none of them the one who cut the release. */
  readonly approvals: number
  readonly gates: readonly Gate[]
  /** Shares of the cohorts, rising, below 100; the last step, to everybody, is not named. Empty: everybody at once. */
  readonly rampPercent: readonly number[]
  /** How long each step of the ramp lasts. */
  readonly rampMinutes: number
  readonly promoteWindow: PromoteWindow | null
  /** Whether agents that know no cohort are among the first or the last of a ramp. */
  readonly plainPath: 'first' | 'last'
}

/** What a rollout goes by. */
export interface PipelineRules {
  /** For how long a version that a channel has served may still run on its agents, ISO 8601. */
  readonly grace: string
  /** Whether a release needs a package that was found to exist before any stage is promoted. */
  readonly requirePackages: boolean
  readonly stages: readonly StageRules[]
}

export interface Pipeline extends PipelineRules {
  readonly name: string
  readonly description: string
  /** The releases that it takes, as a semver range (prereleases included); null for all. */
  readonly versions: string | null
  readonly updatedAt: string
  readonly updatedBy: string
}

/** The kind of document, as keys of the store begin. */
export const PIPELINE_KIND = 'pipeline'
const PIPELINE_PREFIX = `${PIPELINE_KIND}/`

export function pipelineKey(name: string): string {
  return `${PIPELINE_PREFIX}${name}`
}

export function isPipelineKey(key: string): boolean {
  return key.startsWith(PIPELINE_PREFIX)
}

export function pipelineOf(document: Document): Pipeline {
  // The store has checked the body (control/check-document.ts) and marked it where it is no pipeline.
  return document.body as unknown as Pipeline
}

export function pipelineBody(pipeline: Pipeline): JsonObject {
  // A Pipeline is made of strings, numbers, booleans, nulls, and lists and objects of them.
  return pipeline as unknown as JsonObject
}
