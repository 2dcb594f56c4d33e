// The journal as it may be shown: without secrets, and without what is outside the caller's scope.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { channelNameOf } from '../channels/channel.ts'
import {
  JournalTrimmed,
  StoreUnavailable,
  type Document,
  type DocumentChange,
  type EntryInParts,
  type JournalEntry,
  type JournalQuery,
  type JsonObject,
  type StorePosition,
} from '../store/port.ts'
import { UnreadableEntry } from '../store/entry-parts.ts'
import { TURN_BYTES_MAX } from '../store/turns.ts'
import { asStored, unreadBody } from '../store/stored-form.ts'
import type { Secrets } from '../rollouts/embargo.ts'
import { isKeptLabelKey } from '../rollouts/github-label.ts'
import { PEOPLE_KEY } from '../rollouts/people.ts'
import { isPipelineKey } from '../rollouts/pipeline.ts'
import { isReleaseKey, releaseBody, releaseOf } from '../rollouts/release.ts'
import { isRolloutKey } from '../rollouts/rollout.ts'
import { secretsFor } from './embargoes.ts'
import { knownState, type Control } from './control.ts'
import { callersId } from './core/commit.ts'
import { isIndexKey } from './core/views.ts'
import { covers, coversAll, type Identity } from './identity.ts'
import { isTokenKey } from './tokens.ts'

const BLANK = '(hidden)'

/**
 * One page of the journal for this caller; entries that are wholly outside the caller's scope are left out. What may be shown
 * is said by documents, so callers that may not see everything see no entry that this replica has not applied.
 */
export async function readJournal(control: Control, identity: Identity, query: JournalQuery): Promise<VisiblePage> {
  const { entries, next } = await control.store.journalInParts(query)
  const newest = entries[0]?.head.seq ?? 0
  if (identity.role !== 'admin' && !(await isKnownHere(control, newest))) {
    throw control.replica.fault ?? new StoreUnavailable(`journal entry ${newest} is not served here yet`)
  }
  const items: string[] = []
  const unreadable: UnreadableEntryView[] = []
  let charactersInTurn = 0
  for (const entry of entries) {
    const shown = await jsonOf(control, entry, identity)
    if (shown.outcome === 'unreadable') unreadable.push(shown.view)
    if (shown.outcome !== 'shown') continue
    items.push(shown.json)
    // A large entry has turns of its own; of small ones a page has hundreds.
    charactersInTurn += shown.json.length
    if (charactersInTurn < TURN_BYTES_MAX) continue
    charactersInTurn = 0
    await nextTurn()
  }
  return { items, unreadable, next }
}

type ShownEntry =
  | { readonly outcome: 'shown'; readonly json: string }
  | { readonly outcome: 'unreadable'; readonly view: UnreadableEntryView }
  | { readonly outcome: 'outside' }

/** An entry as viewOf shows it, written as JSON a part at a time. */
async function jsonOf(control: Control, entry: EntryInParts, identity: Identity): Promise<ShownEntry> {
  const { head } = entry
  const unreadable = unreadableOf(head)
  if (unreadable !== null) return { outcome: 'unreadable', view: unreadable }
  const parts: string[] = []
  try {
    for await (const changes of entry.changes()) {
      const shown = changesFor(control, changes, identity)
      if (shown.length > 0) parts.push(JSON.stringify(shown).slice(1, -1))
    }
  } catch (error) {
    if (!(error instanceof UnreadableEntry)) throw error
    return { outcome: 'unreadable', view: { seq: head.seq, detail: error.message } }
  }
  if (parts.length === 0) return { outcome: 'outside' }
  const { changes: _, ...rest } = headFor(control, head, identity)
  return { outcome: 'shown', json: `${JSON.stringify(rest).slice(0, -1)},"changes":[${parts.join(',')}]}` }
}

/** A journal entry that cannot be read, as it is named to callers. Nobody knows what it is about, so all may know of it. */
export interface UnreadableEntryView {
  readonly seq: number
  readonly detail: string
}

export function unreadableOf({ seq, unreadable: detail }: JournalEntry): UnreadableEntryView | null {
  return detail === undefined ? null : { seq, detail }
}

interface VisiblePage {
  /** Each entry as JSON. */
  readonly items: readonly string[]
  readonly next: number | null
  readonly unreadable: readonly UnreadableEntryView[]
}

/**
 * Where the journal stands after entry `seq`, for whoever goes on from there; null where this replica does not serve it
 * within its limit. Throws JournalTrimmed where that entry is kept no more.
 */
export async function positionAfter(control: Control, seq: number): Promise<StorePosition | null> {
  if (!(await control.replica.until((state) => state.seq >= seq))) return null
  const { epoch } = knownState(control)
  if (seq === 0) return { epoch, seq, mark: '' }
  const { entries } = await control.store.journalInParts({ beforeSeq: seq + 1, limit: 1 })
  const head = entries[0]?.head
  if (head?.seq !== seq) throw new JournalTrimmed(`the journal has no entry ${seq} any more`)
  return { epoch, seq, mark: head.mark }
}

/** Whether this replica follows its store and has applied entry `seq`, or does so in a moment. */
export async function isKnownHere({ replica }: Control, seq: number): Promise<boolean> {
  return replica.fault === null && (await replica.until((state) => state.seq >= seq)) && replica.fault === null
}

/** Whether this replica follows its store and has applied entry `seq` already. */
export function isAppliedHere({ replica }: Control, seq: number): boolean {
  return replica.fault === null && replica.state !== null && replica.state.seq >= seq
}

/** A journal entry as this caller may see it, null where nothing of it is theirs to see. */
export function viewOf(control: Control, entry: JournalEntry, identity: Identity): JournalEntry | null {
  const changes = changesFor(control, entry.changes, identity)
  return changes.length === 0 ? null : { ...headFor(control, entry, identity), changes }
}

/** An entry without what its head says that is not the caller's to see; its changes are not looked at. */
function headFor(control: Control, entry: JournalEntry, identity: Identity): JournalEntry {
  const secrets = secretsFor(control.replica.state, identity)
  const { requestHash: _, ...rest } = entry
  return {
    ...rest,
    reason: worded(entry.reason, secrets),
    requestId: worded(callersId(entry), secrets),
    subjects: entry.subjects.filter((key) => maySee(identity, key)),
  }
}

/** Those of an entry's changes that the caller may see, as far as that goes. */
function changesFor(
  control: Control,
  changes: readonly DocumentChange[],
  identity: Identity,
): readonly DocumentChange[] {
  const secrets = secretsFor(control.replica.state, identity)
  const shown = (document: Document | null): Document | null => {
    const view = hidden(blanked(document), secrets)
    return view === null ? null : asStored(view)
  }
  return changes
    .filter(({ key }) => maySee(identity, key))
    .map(({ key, before, after }) => ({ key, before: shown(before), after: shown(after) }))
}

/** What a caller has written, as far as it may be read. */
function worded(text: string | null, secrets: Secrets | null): string | null {
  return text === null || secrets === null ? text : secrets.words(text)
}

/** A document without what is under an embargo now. */
function hidden(document: Document | null, secrets: Secrets | null): Document | null {
  if (document === null || secrets === null) return document
  // Nobody knows what of it is under an embargo.
  if (isReleaseKey(document.key) && document.unreadable !== undefined) {
    return { ...document, body: unreadBody('it cannot be read, so it may be under an embargo') }
  }
  const body = isReleaseKey(document.key) ? releaseBody(secrets.shown(releaseOf(document))) : document.body
  return { ...document, body: secrets.hide(body) as JsonObject } // What hides a text in an object gives an object.
}

function maySee(identity: Identity, key: string): boolean {
  if (isTokenKey(key)) return identity.role === 'admin' && coversAll(identity)
  // They name channels of all kinds.
  if (isIndexKey(key)) return coversAll(identity)
  if (isReleaseKey(key) || isPipelineKey(key) || isRolloutKey(key) || isKeptLabelKey(key)) return coversAll(identity)
  if (key === PEOPLE_KEY) return coversAll(identity)
  const name = channelNameOf(key)
  return name === null || covers(identity, name)
}

function blanked(document: Document | null): Document | null {
  if (document === null || !isTokenKey(document.key)) return document
  return { ...document, body: { ...document.body, hash: BLANK } }
}
