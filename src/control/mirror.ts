// Mirrors channels of another version server: a forward channel for each name, all of them or none.
import { applyChange } from '../channels/change.ts'
import { channelBody, channelKey, channelOf } from '../channels/channel.ts'
import { malformed, type Refusal } from '../channels/outcome.ts'
import { momentOf, type Times } from '../channels/time.ts'
import { upstreamUrlOf } from '../channels/upstream-url.ts'
import { timesOf } from '../serve/trusted-clock.ts'
import type { Expectation, Write } from '../store/port.ts'
import { blockListReads, fallbackOf, fallbackReads } from './change-channel.ts'
import {
  commitAndServe,
  CONTENTION_TRIES_MAX,
  currentState,
  earlierTry,
  type Contended,
  type Control,
  type KeyReused,
  type NotServedYet,
  type Request,
} from './control.ts'
import { mustBeReadable } from './decide.ts'

/** Names in one request: as many documents as one commit may write. */
export const MIRROR_CHANNELS_MAX = 1_000

const KIND = 'channel.mirror'

export interface Mirrored {
  readonly name: string
  readonly url: string
  /** `exists`: it forwards there already. */
  readonly outcome: 'created' | 'exists'
}

export type MirrorOutcome =
  | { readonly outcome: 'mirrored'; readonly channels: readonly Mirrored[] }
  | Refusal
  | NotServedYet
  | Contended
  | KeyReused

type Planned =
  | {
      readonly outcome: 'planned'
      readonly channels: readonly Mirrored[]
      readonly writes: readonly Write[]
      readonly reads: readonly Expectation[]
    }
  | Refusal

/** Makes every name that is not there a forward channel to the same name on the server at `base`. */
export async function mirrorChannels(
  control: Control,
  request: Request,
  base: string,
  names: readonly string[],
  dryRun: boolean,
): Promise<MirrorOutcome> {
  const earlier = dryRun ? null : await earlierTry(control, request, KIND, null)
  if (earlier !== null && earlier.outcome !== 'applied') return earlier
  const made = earlier === null ? null : new Set(earlier.entry.subjects)
  for (let tries = 0; tries < CONTENTION_TRIES_MAX; tries += 1) {
    const times = timesOf(control.clock)
    const planned = plan(control, request, base, names, times)
    if (planned.outcome === 'refused') return planned
    const { channels, writes, reads } = planned
    if (made !== null) {
      return {
        outcome: 'mirrored',
        channels: channels.map((one) => (made.has(channelKey(one.name)) ? { ...one, outcome: 'created' } : one)),
      }
    }
    if (dryRun || writes.length === 0) return { outcome: 'mirrored', channels }
    const committed = await commitAndServe(control, request, { at: momentOf(times.now), kind: KIND, writes, reads })
    if (committed.outcome === 'conflict') continue
    return committed.outcome === 'served' ? { outcome: 'mirrored', channels } : committed
  }
  return { outcome: 'contended' }
}

function plan(control: Control, request: Request, base: string, names: readonly string[], times: Times): Planned {
  const state = currentState(control)
  const channels: Mirrored[] = []
  const writes: Write[] = []
  const reads = new Map<string, Expectation>()
  for (const [index, name] of names.entries()) {
    const field = `channels/${index}`
    if (names.indexOf(name) !== index) return malformed(field, `names ${name} twice`)
    const upstream = upstreamUrlOf(base, name)
    if (upstream.outcome === 'unparsed') return malformed('url', upstream.message)
    const refused = control.upstreams.hosts.refusal(upstream.value)
    if (refused !== null) return malformed('url', refused)
    const { url } = upstream.value
    mustBeReadable(state, channelKey(name))
    const document = state.document(channelKey(name))
    const stored = document === undefined ? null : channelOf(document)
    if (stored?.source.kind === 'forward' && stored.source.url === url) {
      channels.push({ name, url, outcome: 'exists' })
      continue
    }
    const { actor, reason } = request
    const context = {
      ...times,
      actor,
      reason,
      force: false,
      fallback: fallbackOf(control, state, name, times.expiryTime),
      isBlocked: state.isBlocked,
    }
    const applied = applyChange(stored, { kind: 'create', name, source: { kind: 'forward', url } }, context)
    if (applied.outcome === 'refused') return applied.why === 'malformed' ? malformed(field, applied.message) : applied
    for (const read of [...blockListReads(state, applied.channel), ...fallbackReads(state, name)])
      reads.set(read.key, read)
    writes.push({ key: channelKey(name), expected: 0, body: channelBody(applied.channel) })
    channels.push({ name, url, outcome: 'created' })
  }
  const written = new Set(writes.map(({ key }) => key))
  return { outcome: 'planned', channels, writes, reads: [...reads.values()].filter(({ key }) => !written.has(key)) }
}
