// What a command about a rollout writes, and its answer, read off what it has written.
import { channelBody, channelKey, channelNameOf, channelOf, type Channel } from '../channels/channel.ts'
import type { Times } from '../channels/time.ts'
import { cohortsAt, targetAt } from '../channels/target.ts'
import type { RolloutRefusal } from '../rollouts/outcome.ts'
import type { RuleContext } from '../rollouts/release-draft.ts'
import { isRolloutKey, rolloutBody, rolloutKey, rolloutOf, type Rollout } from '../rollouts/rollout.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Document } from '../store/port.ts'
import type { Request, Stale } from './control.ts'
import type { Unfinished } from './core/execute.ts'
import type { Applied, Transaction } from './core/transaction.ts'
import type { ServedBy } from './served-by.ts'

/** What one channel's agents are told before and after; during a ramp, what those are told that it has reached. */
export interface ChannelMove {
  readonly channel: string
  readonly from: string | null
  readonly to: string | null
}

/** A channel that was left as it is, and why. */
export interface Untouched {
  readonly channel: string
  readonly why: string
}

/** After a rollback alone with the channels, of all, that tell agents the release still. */
export interface RolloutDone extends Partial<ServedBy> {
  readonly outcome: 'done'
  readonly document: Document
  readonly moves: readonly ChannelMove[]
  /** Empty in the answer to a retry. */
  readonly untouched: readonly Untouched[]
  /** Releases whose rollouts were overtaken. */
  readonly superseded: readonly string[]
}

export type RolloutOutcome = RolloutDone | RolloutRefusal | Stale | Unfinished

/** Puts a rollout and whatever moves with it; the rollout first, since it is the entry's subject. */
export function putRollout(
  tx: Transaction,
  rollout: Rollout,
  channels: readonly Channel[] = [],
  others: readonly Rollout[] = [],
): void {
  for (const one of [rollout, ...others]) tx.put(keyOf(one), rolloutBody(one))
  for (const channel of channels) tx.put(channelKey(channel.name), channelBody(channel))
}

/** What was done, or would be, to a rollout and its channels. `untouched` is known only to whoever has just decided it. */
export function rolloutDone(
  { changes }: Applied,
  untouched: readonly Untouched[] | null,
  state: ReplicaState,
  now: number,
): RolloutDone {
  const [document, ...others] = changes.flatMap(({ key, after }) => (isRolloutKey(key) && after !== null ? after : []))
  if (document === undefined) throw new Error('the entry of a rollout has none')
  const told = (channel: Channel): string | null => newestTold(channel, state, now)
  const moves = changes.flatMap(({ key, before, after }): readonly ChannelMove[] => {
    const channel = channelNameOf(key)
    if (channel === null || after === null) return []
    return [{ channel, from: before === null ? null : told(channelOf(before)), to: told(channelOf(after)) }]
  })
  const superseded = others.map((other) => rolloutOf(other).release)
  return { outcome: 'done', document, moves, untouched: untouched ?? [], superseded }
}

/** The answer where nothing was to be changed. */
export function unchangedRollout(document: Document): RolloutDone {
  return { outcome: 'done', document, moves: [], untouched: [], superseded: [] }
}

function keyOf({ pipeline, release }: Rollout): string {
  return rolloutKey(pipeline, release)
}

/** Who asks, in the words of the rules. */
export function ruleContext({ actor, person, reason }: Request, times: Times): RuleContext {
  return { ...times, actor, reason, ...(person === undefined ? {} : { person }) }
}

function newestTold(channel: Channel, { isBlocked }: ReplicaState, now: number): string | null {
  return (cohortsAt(channel, isBlocked, now)?.early ?? targetAt(channel, isBlocked, now)).version
}
