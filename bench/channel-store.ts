// Data folders with many channels and releases in them, written straight into the store while no server uses it.
import { channelBody, channelKey } from '../src/channels/channel.ts'
import { releaseBody, releaseKey } from '../src/rollouts/release.ts'
import { openEmbeddedStore } from '../src/store/embedded/embedded-store.ts'
import { COMMIT_WRITES_MAX, type Store, type Write } from '../src/store/port.ts'

/** Fleets are spread over so many versions. */
const VERSIONS = 200
const RELEASE_CHANGES = 5

export function channelName(index: number): string {
  return `fleet-${index}/stable`
}

export function channelVersion(index: number): string {
  return `15.${index % VERSIONS}.4`
}

/** What a folder is filled with. */
export interface Filling {
  readonly channels: number
  readonly releases?: number
}

/** Creates so many channels and releases in a fresh data folder. */
export async function fillStore(dataDir: string, channels: number, releases = 0): Promise<void> {
  const store = await openEmbeddedStore(dataDir)
  await fill(store, { channels, releases })
  await store.close()
}

/** Creates them in a store that has none. */
export async function fill(store: Store, { channels, releases = 0 }: Filling): Promise<void> {
  const at = new Date().toISOString()
  await commitAll(store, 'channel.create', channels, (index) => channelWrite(index, at), at)
  await commitAll(store, 'release.register', releases, (index) => releaseWrite(index, at), at)
}

async function commitAll(
  store: Store,
  kind: string,
  total: number,
  writeOf: (index: number) => Write,
  at: string,
): Promise<void> {
  for (let from = 0; from < total; from += COMMIT_WRITES_MAX) {
    const count = Math.min(COMMIT_WRITES_MAX, total - from)
    const writes = Array.from({ length: count }, (_, index) => writeOf(from + index))
    const about = { at, actor: 'bench', kind, reason: null, requestId: null, decidedOn: null } as const
    const committed = await store.commit({ ...about, writes, reads: [] })
    if (committed.outcome !== 'committed') throw new Error('the store is not empty')
  }
}

/** A release as busy as real ones are: with changes that were signed off, and one package. */
function releaseWrite(index: number, at: string): Write {
  const version = `14.${Math.floor(index / 100)}.${index % 100}`
  const commit = index.toString(16).padStart(40, 'a')
  const signedOff = { by: 'bench', at }
  const changes = Array.from({ length: RELEASE_CHANGES }, (_, change) => ({
    id: `#${index * RELEASE_CHANGES + change}`,
    title: `change ${change} of release ${index}`,
    author: 'somebody',
    url: `https://example.com/pull/${index * RELEASE_CHANGES + change}`,
    significant: true,
    ...{ signedOff, withdrawn: null, labelAt: at },
  }))
  const body = releaseBody({
    ...{ version, commit, cutAt: at, cutBy: 'bench', registeredAt: at, registeredBy: 'bench', kind: 'full', changes },
    ...{ minAgentVersion: null, security: null, notesUrl: null, withdrawn: null, bad: null, edition: 1 },
    packages: [{ url: `https://example.com/agent-${version}.tar.gz`, foundAt: at }],
  })
  return { key: releaseKey(version), expected: 0, body }
}

function channelWrite(index: number, at: string): Write {
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
