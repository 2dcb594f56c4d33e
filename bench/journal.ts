// Reads a server's journal through the admin API, and holds it against what was acknowledged.
import type { JournalEntry } from '../src/store/port.ts'
import type { Client } from './client.ts'

/** The largest page the API gives. */
const PAGE_ITEMS = 500

/** A change that the server has acknowledged: the revision it said, and what it was asked to serve. */
export interface Acknowledged {
  readonly revision: number
  readonly version: string | null
}

interface Page {
  readonly items: readonly JournalEntry[]
  readonly next: string | null
}

/** Every entry after `afterSeq`, oldest first. */
export async function readJournal(client: Client, afterSeq: number): Promise<readonly JournalEntry[]> {
  const entries: JournalEntry[] = []
  let cursor: string | null = null
  do {
    const page: Page = await readPage(client, cursor)
    entries.push(...page.items.filter(({ seq }) => seq > afterSeq))
    cursor = (page.items.at(-1)?.seq ?? 0) > afterSeq ? page.next : null
  } while (cursor !== null)
  return entries.reverse()
}

/** The seq of the newest entry, 0 before the first. */
export async function newestSeq(client: Client): Promise<number> {
  const { items } = await readPage(client, null, 1)
  return items[0]?.seq ?? 0
}

async function readPage(client: Client, cursor: string | null, limit = PAGE_ITEMS): Promise<Page> {
  const reply = await client.admin('GET', `/journal?limit=${limit}${cursor === null ? '' : `&cursor=${cursor}`}`)
  if (reply.status !== 200) throw new Error(`the journal cannot be read: ${reply.status} ${reply.body}`)
  return JSON.parse(reply.body) as Page // The API's own document (openapi: readJournal).
}

/** What is wrong with the journal, in words: gaps, and acknowledged changes that are missing, repeated or in disorder. */
export function journalFaults(
  entries: readonly JournalEntry[],
  afterSeq: number,
  acknowledged: ReadonlyMap<string, readonly Acknowledged[]>,
): readonly string[] {
  const faults: string[] = []
  for (const [index, { seq }] of entries.entries()) {
    if (seq !== afterSeq + 1 + index) faults.push(`entry ${seq} stands where ${afterSeq + 1 + index} belongs`)
  }
  const journaled = new Map<string, Acknowledged[]>()
  for (const { changes } of entries) {
    for (const { key, after } of changes) {
      if (!key.startsWith('channel/') || after === null) continue
      // A channel's document always has a source with a version or null.
      const { version } = after.body['source'] as { version: string | null }
      const name = key.slice('channel/'.length)
      const known = journaled.get(name)
      if (known === undefined) journaled.set(name, [{ revision: after.revision, version }])
      else known.push({ revision: after.revision, version })
    }
  }
  for (const [channel, expected] of acknowledged) {
    const found = journaled.get(channel) ?? []
    const differs = expected.findIndex(
      ({ revision, version }, index) => found[index]?.revision !== revision || found[index].version !== version,
    )
    if (differs !== -1) {
      const { revision, version } = expected[differs] ?? {}
      faults.push(`${channel}: revision ${revision} (${version}) is not where it belongs in the journal`)
    } else if (found.length !== expected.length) {
      faults.push(`${channel}: ${found.length} journal entries for ${expected.length} acknowledged changes`)
    }
  }
  return faults
}
