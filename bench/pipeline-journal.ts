// Holds a journal against the promotions that were acknowledged: each is there once and in order, it moved what it says,
// and no stage was skipped.
import { rolloutOf, type Rollout } from '../src/rollouts/rollout.ts'
import type { Document, JournalEntry } from '../src/store/port.ts'

/** A promotion that the server has acknowledged. */
export interface Promoted {
  readonly stage: string
  readonly release: string
}

/** A channel's version that was set without a pipeline. */
export interface ByHand {
  readonly channel: string
  readonly version: string | null
}

export interface Expected {
  /** By pipeline, in the order of the acknowledgements. */
  readonly promoted: ReadonlyMap<string, readonly Promoted[]>
  readonly byHand: readonly ByHand[]
}

/** What is wrong with the promotions in these entries, in words; they are all that there are. */
export function promotionFaults(entries: readonly JournalEntry[], { promoted, byHand }: Expected): readonly string[] {
  const faults: string[] = []
  const found = new Map<string, Promoted[]>()
  const moved: ByHand[] = []
  for (const entry of entries) {
    if (entry.kind !== 'rollout.promote') {
      moved.push(...channelsIn(entry))
      continue
    }
    const judged = judgePromotion(entry, found)
    faults.push(...judged.faults)
    if (judged.promoted === null) continue
    const known = found.get(judged.pipeline)
    if (known === undefined) found.set(judged.pipeline, [judged.promoted])
    else known.push(judged.promoted)
  }
  for (const pipeline of new Set([...promoted.keys(), ...found.keys()])) {
    faults.push(...firstDifference(`pipeline ${pipeline}`, promoted.get(pipeline) ?? [], found.get(pipeline) ?? []))
  }
  const channels = new Set([...byHand, ...moved].map(({ channel }) => channel))
  for (const channel of channels) {
    const here = (one: ByHand): boolean => one.channel === channel
    faults.push(...firstDifference(`channel ${channel} without a promotion`, byHand.filter(here), moved.filter(here)))
  }
  return faults
}

/** How many rollouts have come to which state by the end of these entries. */
export function rolloutStates(entries: readonly JournalEntry[]): ReadonlyMap<string, number> {
  const last = new Map<string, string>()
  for (const { changes } of entries) {
    for (const { key, after } of changes) {
      if (key.startsWith('rollout/') && after !== null) last.set(key, stateOf(rolloutOf(after)))
    }
  }
  const states = new Map<string, number>()
  for (const state of last.values()) states.set(state, (states.get(state) ?? 0) + 1)
  return states
}

function stateOf({ state, stages }: Rollout): string {
  const isUntouched = stages.every((stage) => stage.state === 'waiting')
  if (state === 'running') return isUntouched ? 'never promoted' : 'on their way'
  return state === 'superseded' && isUntouched ? 'superseded before any stage' : state
}

function judgePromotion(
  { seq, changes }: JournalEntry,
  found: ReadonlyMap<string, readonly Promoted[]>,
): { readonly faults: readonly string[]; readonly pipeline: string; readonly promoted: Promoted | null } {
  const faults: string[] = []
  const say = (what: string): void => void faults.push(`entry ${seq}: ${what}`)
  const rollouts = changes.filter(({ key }) => key.startsWith('rollout/'))
  const [main, ...others] = rollouts
  if (main === undefined || main.after === null || main.before === null) {
    return { faults: [`entry ${seq}: promotes no rollout`], pipeline: '', promoted: null }
  }
  const [before, after] = [rolloutOf(main.before), rolloutOf(main.after)]
  const { pipeline, release } = after
  const started = after.stages.flatMap(({ state }, index) =>
    state !== 'waiting' && before.stages[index]?.state === 'waiting' ? index : [],
  )
  const [index] = started
  if (index === undefined || started.length > 1) {
    say(`${release} begins ${started.length} stages of ${pipeline}`)
    return { faults, pipeline, promoted: null }
  }
  const stage = after.stages[index]?.name ?? ''
  for (const [earlier, { name, state }] of before.stages.slice(0, index).entries()) {
    const isKnown = found.get(pipeline)?.some((one) => one.stage === name && one.release === release) === true
    if (state !== 'done' || !isKnown)
      say(`${release} on ${stage} of ${pipeline} has skipped stage ${earlier + 1}, ${name}`)
  }
  const names = after.rules.stages[index]?.channels ?? []
  const told = channelsOf(changes.map(({ key, after: document }) => [key, document]))
  for (const { channel, version } of told) {
    if (version !== release || !names.includes(channel))
      say(`${release} on ${stage} of ${pipeline} moves ${channel} to ${version}`)
  }
  if (told.length !== names.length)
    say(`${release} on ${stage} of ${pipeline} moves ${told.length} of ${names.length} channels`)
  for (const other of others) {
    const state = other.after === null ? 'deleted' : rolloutOf(other.after).state
    if (state !== 'superseded') say(`${release} on ${stage} of ${pipeline} has left ${other.key} ${state}`)
  }
  return { faults, pipeline, promoted: { stage, release } }
}

/** Channels whose version an entry has changed, or that it has created. */
function channelsIn({ changes }: JournalEntry): readonly ByHand[] {
  return channelsOf(changes.map(({ key, after }) => [key, after]))
}

function channelsOf(documents: readonly (readonly [key: string, document: Document | null])[]): readonly ByHand[] {
  return documents.flatMap(([key, document]) => {
    if (!key.startsWith('channel/') || document === null) return []
    // A channel's document always has a source with a version or null.
    const { version } = document.body['source'] as { version: string | null }
    return { channel: key.slice('channel/'.length), version }
  })
}

function firstDifference(where: string, expected: readonly object[], found: readonly object[]): readonly string[] {
  const [wanted, there] = [expected, found].map((all) => all.map((one) => Object.values(one).join(' '))) as [
    string[],
    string[],
  ] // As many as there were.
  const at = wanted.findIndex((one, index) => there[index] !== one)
  if (at !== -1)
    return [`${where}: ${wanted[at]} is not where it belongs in the journal (${there[at] ?? 'nothing'} is)`]
  return there.length > wanted.length
    ? [`${where}: ${there[wanted.length]} is in the journal, and nobody knows of it`]
    : []
}
