// The journal as it may be shown: without secrets, and without what is outside the caller's scope.
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  EPOCH_SUBJECT,
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
import { isReleaseKey, releaseBody, releaseOf } from '../rollouts/release.ts'
import { secretsFor } from './embargoes.ts'
import { knownState, type Control } from './control.ts'
import { callersId } from './core/commit.ts'
import { coversAll, seesAll, type Identity } from './identity.ts'
import { HIDDEN } from './scoped-rollouts.ts'
import { isTokenKey } from './tokens.ts'
import { isSearchable, kindOf, visibleChange } from './visible-documents.ts'

/**
 * One page of the journal for this caller; entries that are wholly outside the caller's scope are left out. What may be shown
 * is said by documents, so callers that may not see everything see no entry that this replica has not applied.
 */
export async function readJournal(control: Control, identity: Identity, query: JournalQuery): Promise<VisiblePage> {
  const { entries, next } = await control.store.journalInParts(searchFor(identity, query))
  const newest = entries[0]?.head.seq ?? 0
  if (!seesAll(identity) && !(await isKnownHere(control, newest))) {
    throw control.replica.fault ?? new StoreUnavailable(`journal entry ${newest} is not served here yet`)
  }
  const items: string[] = []
  const unreadable: UnreadableEntryView[] = []
  let charactersInTurn = 0
  for (const entry of entries) {
    const shown = await jsonOf(control, entry, identity, query)
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

/**
 * What of a query the store may look for. A page says how far it has looked, so a store that looks for what the caller may not see
 * would say where that is; such filters are held against what the caller is shown instead.
 */
function searchFor(identity: Identity, query: JournalQuery): JournalQuery {
  const { actor, kind, subject, ...rest } = query
  const searched = subject !== undefined && isSearchable(identity, subject) ? { ...rest, subject } : rest
  if (!coversAll(identity)) return searched
  return { ...searched, ...(actor === undefined ? {} : { actor }), ...(kind === undefined ? {} : { kind }) }
}

/** Whether an entry, as it is shown, is what a query asks for. */
function isAskedFor({ actor, kind, subjects }: JournalEntry, query: JournalQuery): boolean {
  const { actor: askedActor = actor, kind: askedKind = kind, subject } = query
  return actor === askedActor && kind === askedKind && (subject === undefined || subjects.includes(subject))
}

type ShownEntry =
  | { readonly outcome: 'shown'; readonly json: string }
  | { readonly outcome: 'unreadable'; readonly view: UnreadableEntryView }
  | { readonly outcome: 'outside' }

/** An entry as viewOf shows it, written as JSON a part at a time. */
async function jsonOf(
  control: Control,
  entry: EntryInParts,
  identity: Identity,
  query: JournalQuery,
): Promise<ShownEntry> {
  const { head } = entry
  const unreadable = unreadableOf(head, identity)
  if (unreadable !== null) return { outcome: 'unreadable', view: unreadable }
  const parts: string[] = []
  const seen = new Set<string>()
  try {
    for await (const changes of entry.changes()) {
      const shown = changesFor(control, changes, identity)
      for (const { key } of shown) seen.add(key)
      if (shown.length > 0) parts.push(JSON.stringify(shown).slice(1, -1))
    }
  } catch (error) {
    if (!(error instanceof UnreadableEntry)) throw error
    return { outcome: 'unreadable', view: unreadableView(identity, head.seq, error.message) }
  }
  if (parts.length === 0) return { outcome: 'outside' }
  const shown = headFor(control, head, identity, seen)
  if (!seesAll(identity) && !isAskedFor(shown, query)) return { outcome: 'outside' }
  const { changes: _, ...rest } = shown
  return { outcome: 'shown', json: `${JSON.stringify(rest).slice(0, -1)},"changes":[${parts.join(',')}]}` }
}

/** A journal entry that cannot be read, as it is named to callers. Nobody knows what it is about, so all may know of it. */
export interface UnreadableEntryView {
  readonly seq: number
  readonly detail: string
}

export function unreadableOf(
  { seq, unreadable: detail }: JournalEntry,
  identity: Identity,
): UnreadableEntryView | null {
  return detail === undefined ? null : unreadableView(identity, seq, detail)
}

/** What is wrong with an entry may have a part of it in it. */
function unreadableView(identity: Identity, seq: number, detail: string): UnreadableEntryView {
  return { seq, detail: coversAll(identity) ? detail : 'it cannot be read by this build' }
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
  const seen = new Set(changes.map(({ key }) => key))
  return changes.length === 0 ? null : { ...headFor(control, entry, identity, seen), changes }
}

/** An entry without what its head says that is not the caller's to see; `seen` are the keys of the changes that are. */
function headFor(control: Control, entry: JournalEntry, identity: Identity, seen: ReadonlySet<string>): JournalEntry {
  const secrets = secretsFor(control.replica.state, identity)
  const { requestHash: _, ...rest } = entry
  const subjects = entry.subjects.filter((key) => seen.has(key) || key === EPOCH_SUBJECT)
  if (!isHeadSeen(entry, identity, seen)) {
    return { ...rest, actor: HIDDEN, kind: HIDDEN, reason: null, requestId: null, subjects }
  }
  return { ...rest, reason: worded(entry.reason, secrets), requestId: worded(callersId(entry), secrets), subjects }
}

/**
 * Whether the caller may see what the head of an entry is about: its main subject, or a document of the kind that the entry's kind
 * begins with. A release that is registered with its rollouts is not shown by them.
 */
function isHeadSeen({ kind, subjects }: JournalEntry, identity: Identity, seen: ReadonlySet<string>): boolean {
  const [main] = subjects
  if (coversAll(identity) || main === EPOCH_SUBJECT || (main !== undefined && seen.has(main))) return true
  const [about] = kind.split('.', 1)
  return [...seen].some((key) => kindOf(key) === about)
}

/** Those of an entry's changes that the caller may see, as far as that goes. */
function changesFor(
  control: Control,
  changes: readonly DocumentChange[],
  identity: Identity,
): readonly DocumentChange[] {
  const { state } = control.replica
  const secrets = secretsFor(state, identity)
  const shown = (document: Document | null): Document | null => {
    const view = hidden(blanked(document), secrets)
    return view === null ? null : asStored(view)
  }
  return changes
    .flatMap((change) => visibleChange(state, identity, change) ?? [])
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

function blanked(document: Document | null): Document | null {
  if (document === null || !isTokenKey(document.key)) return document
  return { ...document, body: { ...document.body, hash: HIDDEN } }
}
