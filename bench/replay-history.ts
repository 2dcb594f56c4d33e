// The history of channels that a replay plays: lines of {"at", "channel", "version"}, oldest first.
import { readFileSync } from 'node:fs'

/** One change that somebody once made; `version` null took the channel's version away. */
export interface HistoryStep {
  readonly at: string
  readonly channel: string
  readonly version: string | null
}

/** Reads a file of JSON lines; throws with the line's number where one is no step, or is older than the one before. */
export function readHistory(path: string): readonly HistoryStep[] {
  const steps: HistoryStep[] = []
  for (const [index, line] of readFileSync(path, 'utf8').split('\n').entries()) {
    if (line.trim() === '') continue
    const step: unknown = JSON.parse(line)
    if (!isStep(step)) throw new Error(`${path}:${index + 1} is no {"at", "channel", "version"}`)
    const before = steps.at(-1)
    if (before !== undefined && Date.parse(step.at) < Date.parse(before.at)) {
      throw new Error(`${path}:${index + 1} is older than the line before it`)
    }
    steps.push(step)
  }
  return steps
}

/** The steps of each channel, in order. */
export function stepsByChannel(steps: readonly HistoryStep[]): ReadonlyMap<string, readonly HistoryStep[]> {
  const channels = new Map<string, HistoryStep[]>()
  for (const step of steps) {
    const known = channels.get(step.channel)
    if (known === undefined) channels.set(step.channel, [step])
    else known.push(step)
  }
  return channels
}

function isStep(value: unknown): value is HistoryStep {
  if (typeof value !== 'object' || value === null) return false
  const { at, channel, version } = value as Partial<Record<string, unknown>> // Any object has members of some kind.
  return (
    typeof at === 'string' &&
    !Number.isNaN(Date.parse(at)) &&
    typeof channel === 'string' &&
    (version === null || typeof version === 'string')
  )
}
