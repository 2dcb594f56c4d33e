// A pipeline as it is asked for, its gaps filled and its mistakes named. Shapes and ranges of numbers are checked by the
// route's schema; here is what one part says of another.
import semver from 'semver'
import { parseChannelName } from '../channels/name.ts'
import { malformed, quoted, type Malformed } from '../channels/outcome.ts'
import { momentOf, parseDuration } from '../channels/time.ts'
import { queryMistake } from './gate-query.ts'
import type { Gate, Pipeline, PromoteWindow, StageRules } from './pipeline.ts'
import { isTimeOfDay, isTimeZone } from './promote-window.ts'
import type { RuleContext } from './release-draft.ts'

/**
 * A rollback pins them all in one commit, with the rollout and the release, and a commit writes 1,000 documents at most. A
 * re-base keeps within it, too (rollout-draft.ts).
 */
export const PIPELINE_CHANNELS_MAX = 900
export const STAGES_MAX = 20
export const GATES_MAX = 10

/** For a month and more, nobody can say what an agent runs that was switched off. */
const GRACE_MS_MAX = 90 * 86_400_000
const GRACE = 'P14D'
const RAMP_MINUTES = 30
const GATE_SECONDS = 60
const GATE_FAILURES = 3

export type GateDraft = Pick<Gate, 'name' | 'url' | 'query' | 'op' | 'threshold'> & Partial<Gate>
export type StageDraft = Pick<StageRules, 'name' | 'channels'> &
  Partial<Omit<StageRules, 'name' | 'channels' | 'gates'>> & { readonly gates?: readonly GateDraft[] }

export interface PipelineDraft {
  readonly name: string
  readonly description?: string
  readonly versions?: string | null
  readonly grace?: string
  readonly requirePackages?: boolean
  readonly stages: readonly StageDraft[]
}

/** What is wrong with a gate's URL or its secret, as the rest of a sentence about that field. */
export interface GateMistake {
  readonly field: 'url' | 'secret'
  readonly message: string
}

/** Why this server may not ask a gate; null where it may. */
export type GateRefusal = (gate: Pick<Gate, 'url' | 'secret'>) => GateMistake | null

/** The whole pipeline that a draft asks for. */
export function draftPipeline(
  draft: PipelineDraft,
  gateRefusal: GateRefusal,
  { now, actor }: RuleContext,
): { readonly outcome: 'drafted'; readonly pipeline: Pipeline } | Malformed {
  const { name, description = '', versions = null, grace = GRACE, requirePackages = true } = draft
  if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(name)) {
    return malformed(
      'name',
      `${quoted(name)} must be 1 to 63 of a-z, 0-9, ".", "_" and "-", and start with a letter or digit`,
    )
  }
  if (versions !== null && semver.validRange(versions) === null) {
    return malformed('versions', `${quoted(versions)} is no range of versions, like >=15.0.0-0 <17.0.0-0`)
  }
  const isWrong = graceMistake(grace)
  if (isWrong !== null) return isWrong
  const stages = draft.stages.map(fillStage)
  const mistake = mistakeIn(stages, gateRefusal)
  if (mistake !== null) return mistake
  const pipeline = { name, description, versions, grace, requirePackages, stages }
  return { outcome: 'drafted', pipeline: { ...pipeline, updatedAt: momentOf(now), updatedBy: actor } }
}

function fillStage(stage: StageDraft): StageRules {
  return {
    auto: false,
    soakMinutes: 0,
    requireSignOff: false,
    approvals: 0,
    rampPercent: [],
    rampMinutes: RAMP_MINUTES,
    promoteWindow: null,
    plainPath: 'last',
    ...stage,
    gates: (stage.gates ?? []).map((gate) => ({ everySeconds: GATE_SECONDS, failures: GATE_FAILURES, ...gate })),
  }
}

function mistakeIn(stages: readonly StageRules[], gateRefusal: GateRefusal): Malformed | null {
  const names = new Set<string>()
  const channels = new Set<string>()
  for (const [index, stage] of stages.entries()) {
    const at = `stages/${index}`
    if (names.has(stage.name)) return malformed(`${at}/name`, `${quoted(stage.name)} is there twice`)
    names.add(stage.name)
    for (const [place, channel] of stage.channels.entries()) {
      const name = parseChannelName(channel)
      if (name.outcome === 'unparsed') return malformed(`${at}/channels/${place}`, name.message)
      if (channels.has(channel)) return malformed(`${at}/channels/${place}`, `${quoted(channel)} is there twice`)
      channels.add(channel)
    }
    const mistake = mistakeInStage(stage, at, gateRefusal)
    if (mistake !== null) return mistake
  }
  if (channels.size <= PIPELINE_CHANNELS_MAX) return null
  return malformed('stages', `have ${channels.size} channels; a pipeline has at most ${PIPELINE_CHANNELS_MAX}`)
}

function mistakeInStage(
  { rampPercent, promoteWindow, gates }: StageRules,
  at: string,
  gateRefusal: GateRefusal,
): Malformed | null {
  const fallen = rampPercent.findIndex((percent, index) => index > 0 && percent <= (rampPercent[index - 1] ?? 0))
  if (fallen !== -1) return malformed(`${at}/rampPercent/${fallen}`, 'is not above the step before it')
  const window = promoteWindow === null ? null : mistakeInWindow(promoteWindow, `${at}/promoteWindow`)
  if (window !== null) return window
  for (const [index, gate] of gates.entries()) {
    const twice = gates.findIndex(({ name }) => name === gate.name) !== index
    if (twice) return malformed(`${at}/gates/${index}/name`, `${quoted(gate.name)} is there twice`)
    const mistake = queryMistake(gate.query)
    if (mistake !== null) return malformed(`${at}/gates/${index}/query`, mistake)
    const refused = gateRefusal(gate)
    if (refused !== null) return malformed(`${at}/gates/${index}/${refused.field}`, refused.message)
  }
  return null
}

function mistakeInWindow({ from, to, timeZone }: PromoteWindow, at: string): Malformed | null {
  for (const [field, time] of Object.entries({ from, to })) {
    if (!isTimeOfDay(time)) return malformed(`${at}/${field}`, `${quoted(time)} is no time of the day, like 09:00`)
  }
  if (from === to) return malformed(`${at}/to`, 'is when the window opens; give another time')
  return isTimeZone(timeZone)
    ? null
    : malformed(`${at}/timeZone`, `${quoted(timeZone)} is no time zone, like Europe/Berlin or UTC`)
}

/** What is wrong with a grace period. */
export function graceMistake(grace: string): Malformed | null {
  const graceMs = parseDuration(grace)
  if (graceMs.outcome === 'unparsed') return malformed('grace', graceMs.message)
  return graceMs.value > GRACE_MS_MAX ? malformed('grace', 'is longer than 90 days') : null
}

/** Whether a pipeline takes a release of this version. */
export function takes({ versions }: Pipeline, version: string): boolean {
  return versions === null || semver.satisfies(version, versions, { includePrerelease: true })
}
