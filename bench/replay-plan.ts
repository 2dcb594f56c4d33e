// A history read as pipelines: `candidate-4.N`, `fast-4.N` and `stable-4.N` are the stages of a pipeline `4.N`, and every
// recorded move is a promotion, where a pipeline could make it.
import { parseVersion } from '../src/channels/version.ts'
import type { HistoryStep } from './replay-history.ts'
import { bare } from './replay-polls.ts'

export const STAGES = ['candidate', 'fast', 'stable'] as const

export type Stage = (typeof STAGES)[number]

/** One recorded move, and how it is made. */
export interface PlannedStep {
  readonly at: string
  readonly pipeline: string
  readonly stage: Stage
  readonly channel: string
  /** As it is served; a text that is none as it was recorded. */
  readonly version: string | null
  /** Why no pipeline could make the move, so that an operator does by hand; null where the stage is promoted. */
  readonly byHand: string | null
}

/** Everything that was recorded for one moment. */
export interface Moment {
  readonly at: string
  /** The steps of each pipeline, those of an earlier stage first. */
  readonly pipelines: ReadonlyMap<string, readonly PlannedStep[]>
}

export interface Plan {
  readonly pipelines: readonly string[]
  readonly channels: readonly string[]
  readonly moments: readonly Moment[]
}

/** Reads the pipelines whose three channels are all in the history; other channels are left out. */
export function planPipelines(steps: readonly HistoryStep[]): Plan {
  const recorded = new Set(steps.map(({ channel }) => channel))
  const pipelines = [...recorded]
    .flatMap((channel) => placeOf(channel)?.pipeline ?? [])
    .filter((pipeline, index, all) => all.indexOf(pipeline) === index)
    .filter((pipeline) => STAGES.every((stage) => recorded.has(channelOf(pipeline, stage))))
  const taken = new Set(pipelines)
  const done = new Map<string, Set<string | null>>()
  const moments = byMoment(steps).flatMap(([at, group]) => {
    const inOrder = group
      .flatMap((step) => ({ ...step, ...placeOf(step.channel) }))
      .flatMap(({ pipeline, stage, ...step }) =>
        pipeline !== undefined && stage !== undefined && taken.has(pipeline) ? [{ ...step, pipeline, stage }] : [],
      )
      .toSorted((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage))
    const planned = new Map<string, PlannedStep[]>()
    for (const step of inOrder) {
      const all = planned.get(step.pipeline) ?? []
      planned.set(step.pipeline, [...all, planStep(step, done)])
    }
    return planned.size === 0 ? [] : [{ at, pipelines: planned }]
  })
  const channels = pipelines.flatMap((pipeline) => STAGES.map((stage) => channelOf(pipeline, stage)))
  return { pipelines, channels, moments }
}

export function channelOf(pipeline: string, stage: Stage): string {
  return `${stage}-${pipeline}`
}

function placeOf(channel: string): { readonly pipeline: string; readonly stage: Stage } | null {
  const stage = STAGES.find((name) => channel.startsWith(`${name}-`))
  return stage === undefined ? null : { pipeline: channel.slice(stage.length + 1), stage }
}

/** `done` has for each channel the versions that its stage was promoted to, and is told of this one. */
function planStep(
  { at, channel, version: text, pipeline, stage }: HistoryStep & { readonly pipeline: string; readonly stage: Stage },
  done: Map<string, Set<string | null>>,
): PlannedStep {
  const version = text === null ? null : bare(text)
  const here = done.get(channel) ?? new Set()
  done.set(channel, here)
  const byHand = whyByHand(pipeline, stage, version, here, done)
  if (byHand === null) here.add(version)
  return { at, pipeline, stage, channel, version, byHand }
}

function whyByHand(
  pipeline: string,
  stage: Stage,
  version: string | null,
  here: ReadonlySet<string | null>,
  done: ReadonlyMap<string, ReadonlySet<string | null>>,
): string | null {
  if (version === null) return 'takes the version away'
  if (parseVersion(version).outcome === 'unparsed') return 'is no version'
  if (here.has(version)) return `comes back to ${stage}`
  const before = STAGES[STAGES.indexOf(stage) - 1]
  if (before === undefined) return null
  return done.get(channelOf(pipeline, before))?.has(version) === true ? null : `was never promoted on ${before}`
}

function byMoment(steps: readonly HistoryStep[]): readonly [at: string, steps: readonly HistoryStep[]][] {
  const moments = new Map<string, HistoryStep[]>()
  for (const step of steps) {
    const known = moments.get(step.at)
    if (known === undefined) moments.set(step.at, [step])
    else known.push(step)
  }
  return [...moments]
}
