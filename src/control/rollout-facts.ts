// What a decision about a stage is made from, read off what this replica knows: the release, the channels, and which
// versions their agents may still run.
import { channelKey, channelOf, type Channel } from '../channels/channel.ts'
import { versionsInUse } from '../channels/history.ts'
import { momentOf, parseDuration, type Times } from '../channels/time.ts'
import type { StageFacts } from '../rollouts/conditions.ts'
import { releaseKey, releaseOf, type Release } from '../rollouts/release.ts'
import { ROLLOUT_KIND, rolloutOf, stageAt, type Rollout, type StageProgress } from '../rollouts/rollout.ts'
import type { Control } from './control.ts'
import type { Reader } from './core/transaction.ts'
import { embargoView } from './core/views.ts'
import { isRunning } from './find-rollout.ts'
import { peopleIn } from './people.ts'
import { takenChannels } from './pipelines.ts'
import { restoreInBackground } from './restore-history.ts'
import { servedSince } from './served-since.ts'

/** What agents of some channels may run. */
export interface Running {
  /** Every version served within the grace period, by channel. */
  readonly versions: ReadonlyMap<string, readonly string[]>
  /** The moment before which it is not known any more what a channel has served within the grace period, by channel. */
  readonly unknown: ReadonlyMap<string, string>
}

const NOT_ASKED: Running = { versions: new Map(), unknown: new Map() }

/** What agents of these channels may still run: every version served within `grace` (ISO 8601) before now. */
export function runningIn(
  control: Control,
  reader: Reader,
  { names, grace }: { readonly names: readonly string[]; readonly grace: string },
  times: Times,
): Running {
  const duration = parseDuration(grace)
  const graceMs = duration.outcome === 'parsed' ? duration.value : 0
  // The history belongs to the revisions of the channels' documents, which are recorded.
  const state = reader.untracked
  const { now } = times
  state.history.ask(graceMs)
  const versions = new Map<string, readonly string[]>()
  const unknown = new Map<string, string>()
  for (const name of names) {
    const document = reader.get(channelKey(name))
    if (document === undefined) continue
    const { spans, unknownBefore } = servedSince(state, document, now - graceMs, times)
    if (unknownBefore !== null) unknown.set(name, momentOf(unknownBefore))
    versions.set(name, versionsInUse(spans, graceMs, now))
  }
  if (unknown.size > 0) restoreInBackground(control)
  return { versions, unknown }
}

/** What is to be decided: whether somebody promotes the stage, be it once more, or what it comes to by itself. */
type Purpose = 'promote' | 'go on'

/** The stage that is asked about. */
export interface StageQuestion {
  readonly rollout: Rollout
  readonly index: number
  readonly purpose: Purpose
}

/** Everything that a decision about a stage is made from. */
export function stageFacts(
  control: Control,
  reader: Reader,
  { rollout, index, purpose }: StageQuestion,
  times: Times,
): StageFacts {
  const { rules, progress } = stageAt(rollout, index)
  const early = earlyFacts(reader, rollout, times)
  const isAsked = early.release.minAgentVersion !== null && tellsMore(progress, purpose)
  const running = isAsked
    ? runningIn(control, reader, { names: rules.channels, grace: rollout.rules.grace }, times)
    : NOT_ASKED
  return {
    ...early,
    channels: channelsIn(reader, rules.channels),
    running: running.versions,
    unknown: running.unknown,
    taken: takenChannels(reader, rollout.pipeline, rules.channels),
  }
}

/** Whether that tells more agents: the end of a soaking asks nothing of what they run. */
function tellsMore({ state }: StageProgress, purpose: Purpose): boolean {
  return purpose === 'promote' || state !== 'soaking'
}

/** The facts but for channels and what they served: enough to know that a stage waits for something else. */
export function earlyFacts(reader: Reader, rollout: Rollout, times: Times): StageFacts {
  return {
    rollout,
    release: releaseIn(reader, rollout),
    people: peopleIn(reader),
    channels: new Map(),
    isBlocked: reader.isBlocked,
    running: NOT_ASKED.versions,
    unknown: NOT_ASKED.unknown,
    embargoes: reader.view(embargoView).embargoes,
    taken: new Map(),
    isUnderWay: isUnderWayIn(reader),
    ...times,
  }
}

function isUnderWayIn(reader: Reader): StageFacts['isUnderWay'] {
  return (seed) => {
    const document = reader.get(`${ROLLOUT_KIND}/${seed}`)
    return document !== undefined && isRunning(rolloutOf(document))
  }
}

/** The release of a rollout. Releases are never deleted. */
export function releaseIn(reader: Reader, { release }: Rollout): Release {
  const document = reader.readable(releaseKey(release))
  if (document === undefined) throw new Error(`the release ${release} of a rollout is not registered`)
  return releaseOf(document)
}

/** The channels of these names that exist. */
export function channelsIn(reader: Reader, names: readonly string[]): ReadonlyMap<string, Channel> {
  return new Map(
    names.flatMap((name) => {
      const document = reader.get(channelKey(name))
      return document === undefined ? [] : [[name, channelOf(document)] as const]
    }),
  )
}
