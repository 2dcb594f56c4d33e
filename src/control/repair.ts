// Documents that this build cannot act on, repaired: from the last version in the journal that it can read.
import { channelBody, channelNameOf, channelOf, type Channel } from '../channels/channel.ts'
import { momentOf } from '../channels/time.ts'
import { FORMAT, type Document } from '../store/port.ts'
import type { Control, Request } from './control.ts'
import { commitWith, executeCommand, replyWith, type Unfinished } from './core/execute.ts'
import { UnreadableDocument } from './core/unreadable-document.ts'

/** Entries of one document that are looked at for a version that can be read. */
const ENTRIES_MAX = 200
const PAGE = 20

/** The newest version of a document that can be read, at the revision that the unreadable one has; null where none is kept. */
export async function lastReadable({ store }: Control, { key, revision }: Document): Promise<Document | null> {
  let beforeSeq: number | null = null
  for (let looked = 0; looked < ENTRIES_MAX; looked += PAGE) {
    const page = await store.journal({ subject: key, limit: PAGE, ...(beforeSeq === null ? {} : { beforeSeq }) })
    for (const { changes } of page.entries) {
      const change = changes.find((candidate) => candidate.key === key)
      for (const found of [change?.after, change?.before]) {
        if (found !== undefined && found !== null && found.unreadable === undefined) return { ...found, revision }
      }
    }
    if (page.next === null) return null
    beforeSeq = page.next
  }
  return null
}

/** A channel that an admin begins again, because nobody knows what it was. It serves nothing until it is given a version. */
export function blankChannel(name: string, { key, revision }: Document, actor: string, now: number): Document {
  const channel: Channel = {
    name,
    description: '',
    source: { kind: 'static', version: null, critical: false, criticalUntil: null },
    pin: null,
    halt: null,
    floor: null,
    ceiling: null,
    lastServed: null,
    updatedAt: momentOf(now),
    updatedBy: actor,
  }
  return { key, revision, format: FORMAT, body: channelBody(channel) }
}

export type RepairOutcome =
  /** `from` says whether its last readable version was written back, or, there being none, it was deleted. */
  | { readonly outcome: 'repaired'; readonly key: string; readonly from: 'journal' | 'nothing' }
  | { readonly outcome: 'readable' }
  | Unfinished

/**
 * Writes the last readable version of a document back. Without one the document is deleted, which takes `force`. Throws
 * UnreadableDocument where it takes that, or where the last version of a channel is one that must not be served any more.
 */
export function repairDocument(
  control: Control,
  request: Request,
  key: string,
  { dryRun, force }: { readonly dryRun: boolean; readonly force: boolean },
): Promise<RepairOutcome> {
  return executeCommand<RepairOutcome, null, Document | null>(control, request, {
    kind: 'store.repair',
    dryRun,
    async prepare(tx) {
      const stored = tx.stored(key)
      return stored?.unreadable === undefined ? null : lastReadable(control, stored)
    },
    run(tx, base) {
      const { unreadable } = tx.stored(key) ?? {}
      if (unreadable === undefined) return replyWith({ outcome: 'readable' })
      if (base === null && !force) {
        const advice = 'the journal has no version of it that can be read; with force it is deleted'
        throw new UnreadableDocument(key, unreadable, advice)
      }
      const blocked = base === null ? [] : versionsIn(base).filter(tx.isBlocked)
      if (blocked.length > 0) {
        const advice = `its last version has ${blocked.join(', ')}, which is on the block list; give it another version`
        throw new UnreadableDocument(key, unreadable, advice)
      }
      tx.overwrite(key, base?.body ?? null)
      return commitWith(null)
    },
    reply: ({ changes }) => ({ outcome: 'repaired', key, from: changes[0]?.after === null ? 'nothing' : 'journal' }),
  })
}

/** Versions that a channel's document could make agents install; none for other documents. */
function versionsIn(document: Document): readonly string[] {
  if (channelNameOf(document.key) === null) return []
  const { source, pin, ramp } = channelOf(document)
  return [source.version, pin?.version, ramp?.before.version].flatMap((version) => version ?? [])
}
