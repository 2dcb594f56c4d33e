// The command that mirrors channels of another version server: a forward channel for each name, all of them or none.
import { applyChange } from '../channels/change.ts'
import { channelBody, channelKey, channelOf } from '../channels/channel.ts'
import { malformed, type Refusal, type Warning } from '../channels/outcome.ts'
import { upstreamUrlOf } from '../channels/upstream-url.ts'
import { creationWarnings, fallbackOf } from './channel-view.ts'
import type { Control, Request } from './control.ts'
import { commitWith, executeCommand, leaveUnchanged, replyWith, type Unfinished } from './core/execute.ts'
import type { Transaction } from './core/transaction.ts'

/** Names in one request: as many documents as one commit may write. */
export const MIRROR_CHANNELS_MAX = 1_000

export interface Mirrored {
  readonly name: string
  readonly url: string
  /** `exists`: it forwards there already. */
  readonly outcome: 'created' | 'exists'
}

export type MirrorOutcome =
  | { readonly outcome: 'mirrored'; readonly channels: readonly Mirrored[]; readonly warnings: readonly Warning[] }
  | Refusal
  | Unfinished

interface Source {
  readonly name: string
  readonly url: string
}

/** Makes every name that is not there a forward channel to the same name on the server at `base`. */
export async function mirrorChannels(
  control: Control,
  request: Request,
  { url: base, channels: names }: { readonly url: string; readonly channels: readonly string[] },
  dryRun: boolean,
): Promise<MirrorOutcome> {
  const parsed = sourcesAt(control, base, names)
  if ('outcome' in parsed) return parsed
  const mirrored = (created: ReadonlySet<string>, warnings: readonly Warning[] = []): MirrorOutcome => {
    const channels = parsed.map(({ name, url }): Mirrored => {
      return { name, url, outcome: created.has(channelKey(name)) ? 'created' : 'exists' }
    })
    return { outcome: 'mirrored', channels, warnings }
  }
  return executeCommand<MirrorOutcome, null, null>(control, request, {
    kind: 'channel.mirror',
    dryRun,
    run(tx) {
      for (const [index, source] of parsed.entries()) {
        const refusal = createForward(tx, request, source, index)
        if (refusal !== null) return replyWith(refusal)
      }
      if (!tx.isEmpty) return commitWith(null)
      // All are there. Any of them stands for the others where the request is remembered.
      const [there] = parsed.flatMap(({ name }) => tx.get(channelKey(name)) ?? [])
      return there === undefined ? replyWith(mirrored(new Set())) : leaveUnchanged(there)
    },
    reply({ subjects }, _, state) {
      const created = new Set(subjects)
      const made = parsed.flatMap(({ name }) => (created.has(channelKey(name)) ? name : []))
      return mirrored(created, creationWarnings(state, made, control.clock.expiryTime()))
    },
    replyUnchanged: () => mirrored(new Set()),
  })
}

/** Where each name is on the other server, or what is wrong with the request. */
function sourcesAt({ upstreams }: Control, base: string, names: readonly string[]): readonly Source[] | Refusal {
  const sources: Source[] = []
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) !== index) return malformed(`channels/${index}`, `names ${name} twice`)
    const upstream = upstreamUrlOf(base, name)
    if (upstream.outcome === 'unparsed') return malformed('url', upstream.message)
    const refused = upstreams.hosts.refusal(upstream.value)
    if (refused !== null) return malformed('url', refused)
    sources.push({ name, url: upstream.value.url })
  }
  return sources
}

/** Puts the channel, or leaves the one that forwards there already; answers why it cannot be made. */
function createForward(
  tx: Transaction,
  { actor, reason }: Request,
  { name, url }: Source,
  index: number,
): Refusal | null {
  const key = channelKey(name)
  const document = tx.readable(key)
  const stored = document === undefined ? null : channelOf(document)
  if (stored?.source.kind === 'forward' && stored.source.url === url) return null
  const { isBlocked, expiryTime } = tx
  const context = { ...tx.times, actor, reason, force: false, fallback: fallbackOf(tx, name, expiryTime), isBlocked }
  const applied = applyChange(stored, { kind: 'create', name, source: { kind: 'forward', url } }, context)
  if (applied.outcome === 'refused') {
    return applied.why === 'malformed' ? malformed(`channels/${index}`, applied.message) : applied
  }
  tx.put(key, channelBody(applied.channel))
  return null
}
