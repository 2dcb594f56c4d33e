// What must hold of a release and its rollout before a stage may tell more agents of it, whatever the channels say.
import type { IsBlocked } from '../channels/blocked-version.ts'
import type { Channel } from '../channels/channel.ts'
import { isConfirmed, type Times } from '../channels/time.ts'
import { compareVersions, orderVersions } from '../channels/version.ts'
import { missingFix, whenHeld, type Embargo } from './embargo.ts'
import type { Blocker, BlockerCode } from './outcome.ts'
import { isWindowOpen, windowInWords } from './promote-window.ts'
import { barredFromApproving, signerOf, unknownAuthors, unsignedChanges, type People } from './people.ts'
import type { Release } from './release.ts'
import { stageAt, type Rollout, type StageProgress } from './rollout.ts'
import type { StageRules } from './pipeline.ts'

/** Everything that a decision about one stage is made from. */
export interface StageFacts extends Times {
  readonly rollout: Rollout
  readonly release: Release
  readonly people: People
  /** The stage's channels that exist, by name. */
  readonly channels: ReadonlyMap<string, Channel>
  readonly isBlocked: IsBlocked
  /** The versions that agents of the stage's channels may still run, by channel; only asked where the release has a lowest one. */
  readonly running: ReadonlyMap<string, readonly string[]>
  /** Where that is not known back to the beginning of the grace period: the moment before which it is not, by channel. */
  readonly unknown: ReadonlyMap<string, string>
  readonly embargoes: readonly Embargo[]
  /** Channels of the stage that another pipeline moves, or may move, and where each is, in words. */
  readonly taken: ReadonlyMap<string, string>
  /** Whether the rollout that a ramp belongs to, by its seed, goes on. */
  readonly isUnderWay: (seed: string) => boolean
}

/** So many names stand in one message; the rest is counted. */
const NAMED_MAX = 10

/** What holds the stage back, in the order in which one would see to it; nothing of it is about guards of channels. */
export function conditionBlockers(facts: StageFacts, index: number): readonly Blocker[] {
  const { rules, progress } = stageAt(facts.rollout, index)
  return [
    ...endBlockers(facts.rollout),
    ...releaseBlockers(facts),
    ...stageBeforeBlockers(facts.rollout, index),
    ...personBlockers(facts, rules),
    ...signOffBlockers(facts, rules),
    ...approvalBlockers(facts, rules, progress),
    ...windowBlockers(rules, facts),
    ...compatibilityBlockers(facts),
    ...takenBlockers(facts),
  ]
}

/** That nothing moves any more, or not now. */
export function endBlockers({ state, supersededBy, paused }: Rollout): readonly Blocker[] {
  if (state !== 'running' && state !== 'done') {
    const by = supersededBy === null ? '' : ` by ${supersededBy}`
    return [blocker('ended', `the rollout is ${state}${by}`)]
  }
  if (paused === null) return []
  return [blocker('paused', `paused by ${paused.by} at ${paused.at}: ${paused.reason}; resume it first`)]
}

/** What keeps a release from agents whatever the stage is. */
export function releaseBlockers({ release, rollout, isBlocked, embargoes }: StageFacts): readonly Blocker[] {
  const { version, withdrawn, bad, kind, packages } = release
  const blockers: Blocker[] = []
  if (withdrawn !== null) blockers.push(blocker('withdrawn', `the release was withdrawn: ${withdrawn.reason}`))
  if (bad !== null) blockers.push(blocker('bad', `the release was rolled back: ${bad.reason}`))
  if (kind === 'control-plane') {
    const message = 'the release has no agent packages yet; say where they are with POST …/artifacts'
    blockers.push(blocker('control-plane', message))
  } else if (withdrawn === null && isBlocked(version)) {
    blockers.push(blocker('blocked', `${version} is on the block list; take it off the list first`))
  }
  if (kind === 'full' && rollout.rules.requirePackages && packages.length === 0) {
    blockers.push(blocker('packages', 'no package of the release is known; say where they are with POST …/artifacts'))
  }
  // Nothing of the fix in words: this is shown to everybody.
  const embargo = missingFix(release, embargoes)
  if (embargo !== null) {
    const message = `it was ${whenHeld(release, embargo)}, and does not list that fix; cut a release that has it`
    blockers.push(blocker('embargo', message))
  }
  return blockers
}

function stageBeforeBlockers(rollout: Rollout, index: number): readonly Blocker[] {
  const before = rollout.stages.slice(0, index).find(({ state }) => state !== 'done')
  if (before === undefined) return []
  const underWay = rollout.paused === null ? before.state : 'paused'
  const stands = before.state === 'waiting' ? 'not promoted yet' : underWay
  return [blocker('stage-before', `stage ${before.name} is ${stands}`)]
}

/** That nobody knows who has written the release, where the stage asks for somebody else. */
function personBlockers(
  { release, people }: StageFacts,
  { approvals, requireSignOff }: StageRules,
): readonly Blocker[] {
  if (people.isUnreadable && (approvals > 0 || requireSignOff)) {
    return [blocker('unknown_person', 'nobody knows who is who: the list of people cannot be read; PUT it again')]
  }
  const unknown = approvals > 0 ? unknownAuthors(release, people) : []
  if (unknown.length === 0) return []
  const message = `some of the release is by ${named(unknown)} on GitHub, mapped to no person; an admin maps logins with PUT …/people`
  return [blocker('unknown_person', message)]
}

/** Significant changes without a sign-off that counts, where the stage asks for that. */
export function signOffBlockers({ release, people }: StageFacts, { requireSignOff }: StageRules): readonly Blocker[] {
  if (!requireSignOff) return []
  const unsigned = unsignedChanges(release, people)
  if (unsigned === null) {
    return [blocker('sign-off', 'nobody has said which changes the release brings; name them with PATCH …/releases/…')]
  }
  if (unsigned.length === 0) return []
  const ids = named(unsigned.map(({ id }) => id))
  const ignored = unsigned.flatMap(({ id, signedOff }) => (signedOff === null ? [] : `${id} by ${signedOff.by}`))
  const why = 'the signer is the author, has listed it, or is mapped to no person'
  const uncounted = ignored.length === 0 ? '' : `; sign-offs that do not count: ${named(ignored)} (${why})`
  const message = `${count(unsigned.length, 'significant change')} not signed off: ${ids}${uncounted}`
  return [blocker('sign-off', message)]
}

/** People who have approved the release as it is, and who count: each once, and not those who have cut or written it. */
export function approvers(release: Release, { approvals }: StageProgress, people: People): readonly string[] {
  const barred = barredFromApproving(release, people)
  const valid = approvals.filter(({ edition }) => edition === release.edition)
  return [...new Set(valid.flatMap((approval) => signerOf(approval, people) ?? []))].filter(
    (person) => !barred.has(person),
  )
}

function approvalBlockers(
  { release, people }: StageFacts,
  rules: StageRules,
  progress: StageProgress,
): readonly Blocker[] {
  const given = approvers(release, progress, people).length
  if (given >= rules.approvals) return []
  const isEdited = progress.approvals.some(({ edition }) => edition !== release.edition)
  const edited = isEdited ? ', nor does who approved it before it was edited' : ''
  const message = `${given} of ${count(rules.approvals, 'approval')}; those who cut or wrote the release do not count${edited}`
  return [blocker('approvals', message)]
}

function windowBlockers({ promoteWindow }: StageRules, times: Times): readonly Blocker[] {
  if (promoteWindow === null) return []
  if (!isConfirmed(times)) {
    const message =
      'the clock is not confirmed, so nobody knows whether the window is open; see the warnings of /readyz'
    return [blocker('window', message)]
  }
  if (isWindowOpen(promoteWindow, times.now)) return []
  return [blocker('window', `the window is closed; agents are moved ${windowInWords(promoteWindow)}`)]
}

/** A version that an agent may still run and that the release does not work with any more. */
export interface TooOld {
  readonly channel: string
  readonly version: string
}

/**
 * What keeps a release from the agents of these channels (RFD 134: a Cloud release must be compatible with the oldest
 * enrolled agent). `running` are the versions each channel has served within the grace period.
 */
export function tooOldFor(
  minAgentVersion: string | null,
  running: ReadonlyMap<string, readonly string[]>,
): readonly TooOld[] {
  if (minAgentVersion === null) return []
  // The channels of a fleet serve the same few versions: each is compared once.
  const all = new Set([...running.values()].flat())
  const below = new Set([...all].filter((version) => compareVersions(version, minAgentVersion) < 0))
  return [...running].flatMap(([channel, versions]) =>
    versions
      .filter((version) => below.has(version))
      .toSorted(orderVersions)
      .map((version) => ({ channel, version })),
  )
}

/** Agents that may run what the release does not work with any more; `facts.running` must have been asked for. */
export function compatibilityBlockers({ release, running, unknown }: StageFacts): readonly Blocker[] {
  const { minAgentVersion } = release
  if (minAgentVersion === null) return []
  const works = `it works with agents from ${minAgentVersion} on`
  const tooOld = tooOldFor(minAgentVersion, running)
  if (tooOld.length > 0) {
    const who = named(tooOld.map(({ channel, version }) => `${channel} has served ${version}`))
    return [blocker('compatibility', `${works}, but within the grace period ${who}`)]
  }
  if (unknown.size === 0) return []
  const who = named([...unknown].map(([channel, before]) => `${channel} before ${before}`))
  const message = `${works}, but what was served within the grace period is not known: the journal does not tell of ${who}; wait, or give the pipeline a shorter grace and re-base a rollout that is under way`
  return [blocker('compatibility', message)]
}

/** Whoever gave a channel to another pipeline meant its rules. */
function takenBlockers({ taken }: StageFacts): readonly Blocker[] {
  if (taken.size === 0) return []
  const who = named([...taken].map(([channel, where]) => `${channel} ${where}`))
  return [blocker('channels', `a channel is moved by one pipeline only, and ${who}`)]
}

export function blocker(code: BlockerCode, message: string): Blocker {
  return { code, message }
}

/** A list for a sentence, cut where it would be too long to read. */
export function named(names: readonly string[]): string {
  const more = names.length - NAMED_MAX
  return names.slice(0, NAMED_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
