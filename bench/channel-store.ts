// Data folders with many channels in them, written straight into the embedded store while no server uses it.
import { channelBody, channelKey } from '../src/channels/channel.ts'
import { openEmbeddedStore } from '../src/store/embedded/embedded-store.ts'
import { COMMIT_WRITES_MAX } from '../src/store/port.ts'

/** Fleets are spread over so many versions. */
const VERSIONS = 200

export function channelName(index: number): string {
  return `fleet-${index}/stable`
}

export function channelVersion(index: number): string {
  return `15.${index % VERSIONS}.4`
}

/** Creates so many channels in a fresh data folder. */
export async function fillStore(dataDir: string, channels: number): Promise<void> {
  const store = await openEmbeddedStore(dataDir)
  const at = new Date().toISOString()
  for (let from = 0; from < channels; from += COMMIT_WRITES_MAX) {
    const count = Math.min(COMMIT_WRITES_MAX, channels - from)
    const writes = Array.from({ length: count }, (_, index) => writeOf(from + index, at))
    const about = {
      at,
      actor: 'bench',
      kind: 'channel.create',
      reason: null,
      requestId: null,
      decidedOn: null,
    } as const
    const committed = await store.commit({ ...about, writes, reads: [] })
    if (committed.outcome !== 'committed') throw new Error('the folder is not empty')
  }
  await store.close()
}

function writeOf(index: number, at: string) {
  const name = channelName(index)
  const version = channelVersion(index)
  const body = channelBody({
    name,
    description: '',
    source: { kind: 'static', version, critical: false, criticalUntil: null },
    pin: null,
    halt: null,
    floor: null,
    ceiling: null,
    lastServed: version,
    updatedAt: at,
    updatedBy: 'bench',
  })
  return { key: channelKey(name), expected: 0, body }
}
