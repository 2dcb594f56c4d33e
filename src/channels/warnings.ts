// What an answer about a channel warns of: a pin that is held past its time, and a write that agents do not see yet because a pin or
// a halt decides.
import type { Channel } from './channel.ts'
import type { Target } from './target.ts'

export interface ChannelWarning {
  readonly code: 'pin_held' | 'pinned' | 'halted'
  readonly message: string
}

/** What is to be known of a channel whatever was done to it. */
export function standingWarnings({ pin }: Channel, { because, detail }: Target): readonly ChannelWarning[] {
  const why = because === 'held' ? detail : (pin?.held?.detail ?? null)
  if (pin === null || why === null) return []
  return [{ code: 'pin_held', message: `the time of the pin to ${pin.version} is over, but it stays: ${why}` }]
}

/** What of a change says whether it is about what agents are served. */
export interface ChangeKind {
  readonly kind: string
  readonly source?: unknown
}

/** Why agents are served nothing of a change of what the channel serves; `target` is what they are served after it. */
export function unseenWarnings(
  change: ChangeKind,
  { pin, halt }: Channel,
  { because, version }: Target,
): readonly ChannelWarning[] {
  if (halt !== null) {
    if (!changesTarget(change)) return []
    const message = 'agents stay where they are, since the channel is halted; they are served this once the halt ends'
    return [{ code: 'halted', message }]
  }
  // By a pin whose time is over the source decides already, although the document has the pin still.
  if (pin === null || (because !== 'pin' && because !== 'held') || !changesSource(change)) return []
  const message = `agents are served ${version} still, since the pin decides; take it away with DELETE …/pin, or send \`unpin\`: true with the version`
  return [{ code: 'pinned', message }]
}

function changesSource({ kind, source }: ChangeKind): boolean {
  return kind === 'version' || (kind === 'edit' && source !== undefined)
}

const TARGET_KINDS: readonly string[] = ['pin', 'rollback-to', 'unpin', 'critical']

function changesTarget(change: ChangeKind): boolean {
  return changesSource(change) || TARGET_KINDS.includes(change.kind)
}
