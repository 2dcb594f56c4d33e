// The updaters of a replay: they ask for every channel again and again, and have every answer judged.
import { parseVersion } from '../src/channels/version.ts'
import type { Client, Reply } from './client.ts'
import { absent, type ReplayCheck, type Told } from './replay-check.ts'

/** Updaters at work at the same time, each on a connection of its own. */
export const UPDATERS = 8
/** Every so many polls an updater asks as the Teleport proxy's agents do. */
const WEBAPI_EVERY = 8

export interface Asking {
  readonly poll: Client
  readonly check: ReplayCheck
}

/** Asks for these channels until `isOver` says so, and then for each once more; `change` is what goes on meanwhile. */
export async function whileUpdatersPoll(
  asking: Asking,
  names: readonly string[],
  change: Promise<void>,
): Promise<void> {
  let isOver = false
  const changing = change.finally(() => (isOver = true))
  const updaters = Array.from({ length: UPDATERS }, (_, index) => update(asking, names, index, () => isOver))
  // Together, so that an updater that fails ends the run and is not lost.
  await Promise.all([changing, ...updaters])
}

/** One updater: asks for every channel in turn until the changes are over, and then for each once more. */
async function update(asking: Asking, names: readonly string[], index: number, isOver: () => boolean): Promise<void> {
  const start = Math.floor((names.length * index) / UPDATERS)
  const inTurn = [...names.slice(start), ...names.slice(0, start)]
  let polls = 0
  let isLast: boolean
  do {
    isLast = isOver()
    for (const name of inTurn) {
      polls += 1
      await ask(asking, name, polls % WEBAPI_EVERY === 0, null)
    }
  } while (!isLast)
}

/**
 * Asks once, has the answer judged, and gives it; `revision` is the one that it must carry, where that is known.
 * `asProxy` asks on the path of the Teleport proxy.
 */
export async function ask(
  { poll, check }: Asking,
  channel: string,
  asProxy: boolean,
  revision: number | null,
): Promise<Told | { readonly strange: string }> {
  const underWay = check.pollSent(channel)
  const path = asProxy ? `/v1/webapi/automaticupgrades/channel/${channel}/version` : `/v1/${channel}/version`
  const reply = await poll.get(path)
  const stamped = reply.headers['bellwether-revision']
  const isStampWrong = revision !== null && stamped !== String(revision)
  const answer = isStampWrong
    ? { strange: `revision ${String(stamped)}, not ${revision}` }
    : told(reply, channel, asProxy)
  check.pollAnswered(underWay, answer)
  return answer
}

/** What an answer tells, by the contract of its path. */
function told({ status, body }: Reply, channel: string, asProxy: boolean): Told | { readonly strange: string } {
  if (status === 404 && body === 'unknown channel') return absent
  if (asProxy && status === 200 && body === 'none') return null
  if (!asProxy && status === 404 && body === `channel ${channel} has no target version`) return null
  const version = asProxy ? /^v(.+)$/.exec(body)?.[1] : body
  return status === 200 && version !== undefined && bare(version) === version
    ? version
    : { strange: `${status} ${body}` }
}

/** What a channel serves before the first change; a server may have it already. */
export async function servedBefore(control: Client, name: string): Promise<Told> {
  const reply = await control.admin('GET', `/channels/${encodeURIComponent(name)}`)
  if (reply.status === 404) return absent
  if (reply.status !== 200) throw new Error(`channel ${name} cannot be read: ${reply.status} ${reply.body}`)
  const { version } = memberOf(reply, 'effective') as { version: string | null } // The API's own document.
  return version
}

/** A version as it is served; text that is none stays as it is, for the server to refuse. */
export function bare(version: string): string {
  const parsed = parseVersion(version)
  return parsed.outcome === 'parsed' ? parsed.value : version
}

export function memberOf(reply: Reply, member: string): unknown {
  return (JSON.parse(reply.body) as Record<string, unknown>)[member] // Every answer of a write is a JSON object.
}
