// What a replica knows: every document of the store as of one seq, and how each change of it moves the snapshot.
// It applies journal entries in order and renders what they changed; it does no I/O and reads no clock.
import { blockedVersionKey, isBlockedVersionKey, type IsBlocked } from '../channels/blocked-version.ts'
import { CHANNEL_KIND, channelKey, channelNameOf, channelOf } from '../channels/channel.ts'
import { ServedHistory } from '../channels/served-history.ts'
import {
  cohortsAt,
  expiriesOf,
  hasPassed,
  heldBy,
  nextExpiry,
  targetAt,
  UNREADABLE_TARGET,
} from '../channels/target.ts'
import { EPOCH_SUBJECT, type Document, type JournalEntry, type StorePosition, type StoreState } from '../store/port.ts'
import { renderChannel, type ServedChannel } from './answers.ts'
import { Snapshot } from './snapshot.ts'

/** How often a channel that has lapsed is rendered anew until its lapse is journaled. */
const LAPSED_CHECK_MS = 1_000
/** Channels rendered in one turn because their time has come: some 30 µs each, and all pins of a large fleet can end at one moment. */
export const ENDED_AT_ONCE_MAX = 200

interface Replacement {
  readonly at?: number
  readonly before?: ReplicaState | null
}

export class ReplicaState {
  readonly epoch: string
  /** What channels have served; what was before this state is restored by control/restore-history.ts. */
  readonly history: ServedHistory
  /** Documents by their keys, those of each kind together: there are many releases where there are few channels. */
  readonly #kinds = new Map<string, Map<string, Document>>()
  readonly #unreadable = new Map<string, Document>()
  readonly #generations = new Map<string, number>()
  readonly #maxAgeS: number
  /** Channels whose target changes by itself, and when. */
  readonly #expiries = new Map<string, number>()
  /** Channels whose target has changed by itself, which no journal entry says yet. */
  readonly #lapsed = new Set<string>()
  /** Channels whose pin is held past its time, and the guard that holds it. */
  readonly #held = new Map<string, string>()
  /** Channels to render anew for the next snapshot. */
  readonly #dirty = new Set<string>()
  #seq: number
  #mark: string
  #snapshot: Snapshot
  /** The time up to which expiries have taken effect in the snapshot. */
  #renderedAt: number

  /**
   * `now` is the time up to which expiries take effect, `at` the one that the snapshot is stamped with. `before` is the state that
   * this one replaces; standing at the same entry, it has the same history.
   */
  constructor(state: StoreState, maxAgeS: number, now: number, { at = now, before = null }: Replacement = {}) {
    this.epoch = state.epoch
    this.#seq = state.seq
    this.#mark = state.mark
    this.#maxAgeS = maxAgeS
    for (const document of state.documents) this.#put(document)
    const served: ServedChannel[] = []
    for (const { key } of state.documents) {
      const name = channelNameOf(key)
      const channel = name === null ? null : this.#render(name, now)
      if (channel !== null) served.push(channel)
    }
    this.history = hasPosition(before, state)
      ? before.history
      : new ServedHistory(state.seq, this.documentsOf(CHANNEL_KIND), now)
    this.#renderedAt = now
    this.#snapshot = Snapshot.of(served, this.#stamp(at), maxAgeS)
  }

  get seq(): number {
    return this.#seq
  }

  /** Where the history stands that this state has come from. */
  get position(): StorePosition {
    return { epoch: this.epoch, seq: this.#seq, mark: this.#mark }
  }

  get snapshot(): Snapshot {
    return this.#snapshot
  }

  /** An entry of the block list that cannot be read blocks its version all the same. */
  readonly isBlocked: IsBlocked = (version) => this.stored(blockedVersionKey(version)) !== undefined

  /** A document that can be read; undefined for one that cannot, as for one that does not exist. */
  document(key: string): Document | undefined {
    return this.#kinds.get(kindOf(key))?.get(key)
  }

  /** A document as it is stored, whether it can be read or not. */
  stored(key: string): Document | undefined {
    return this.document(key) ?? this.#unreadable.get(key)
  }

  /** What a commit must expect of a document: its revision, 0 where there is none. */
  revisionOf(key: string): number {
    return this.stored(key)?.revision ?? 0
  }

  /** Documents that this build cannot act on, by key. */
  get unreadable(): ReadonlyMap<string, Document> {
    return this.#unreadable
  }

  /** Every document, unreadable ones too, in no promised order. */
  *documents(): Generator<Document> {
    for (const documents of this.#kinds.values()) yield* documents.values()
    yield* this.#unreadable.values()
  }

  /** Channels whose pin is held past its time, and the guard that holds it. */
  get held(): ReadonlyMap<string, string> {
    return this.#held
  }

  /** A number that is another one whenever a document of this kind has changed: for what is read from all of them. */
  generationOf(kind: string): number {
    return this.#generations.get(kind) ?? 0
  }

  /** Every document that can be read whose key begins with `kind` and a slash, in no promised order. */
  documentsOf(kind: string): Iterable<Document> {
    return this.#kinds.get(kind)?.values() ?? []
  }

  /** Channels of which something has expired by `now` that is not journaled yet. */
  lapsed(now: number): readonly string[] {
    const due = [...this.#expiries].flatMap(([name, at]) => (at <= now ? [name] : []))
    return [...new Set([...this.#lapsed, ...due])]
  }

  /** When to look at the time again, null for never. What is not journaled yet is looked at all the time: a clock can be set back. */
  nextExpiry(now: number): number | null {
    let next: number | null = this.#lapsed.size > 0 ? now + LAPSED_CHECK_MS : null
    for (const at of this.#expiries.values()) if (next === null || at < next) next = at
    return next
  }

  /** Takes in the next journal entry, at `now` where that is known. What it changes is served from the next `publish` on. */
  apply(entry: JournalEntry, now = Date.parse(entry.at)): void {
    if (entry.seq !== this.#seq + 1) {
      throw new RangeError(`journal entry ${entry.seq} does not follow seq ${this.#seq}`)
    }
    for (const { key, after } of entry.changes) {
      if (after === null) this.#drop(key)
      else this.#put(after)
      const name = channelNameOf(key)
      if (name !== null) this.#dirty.add(name)
      // A pin's end that is not journaled yet depends on the block list (channels/target.ts).
      if (isBlockedVersionKey(key)) for (const lapsed of this.#lapsed) this.#dirty.add(lapsed)
    }
    const at = Date.parse(entry.at)
    if (entry.subjects.includes(EPOCH_SUBJECT)) this.history.begin(Number.isNaN(at) ? now : at)
    else this.history.apply({ seq: entry.seq, at, changes: entry.changes }, now)
    this.#seq = entry.seq
    this.#mark = entry.mark
  }

  /**
   * The snapshot of everything applied, with the expiries up to `now`, stamped with `at`. Of very many expiries it has a part: the
   * others are in the snapshots after it, for which `nextExpiry` says that it is time.
   */
  publish(now: number, at = now): Snapshot {
    let ended = 0
    for (const [name, moment] of this.#expiries) {
      if (moment > now) continue
      this.#dirty.add(name)
      if ((ended += 1) === ENDED_AT_ONCE_MAX) break
    }
    // What has ended lasts on where the clock was set back. Else it is rendered already: there may be 100,000 that ended together.
    if (now < this.#renderedAt) for (const name of this.#lapsed) this.#dirty.add(name)
    this.#renderedAt = now
    if (this.#dirty.size > 0 || this.#snapshot.seq !== this.#seq) {
      const changed = new Map<string, ServedChannel | null>()
      for (const name of this.#dirty) changed.set(name, this.#render(name, now))
      this.#dirty.clear()
      this.#snapshot = this.#snapshot.with(changed, this.#stamp(at))
    }
    return this.#snapshot
  }

  #put(document: Document): void {
    const kind = kindOf(document.key)
    let documents = this.#kinds.get(kind)
    if (documents === undefined) this.#kinds.set(kind, (documents = new Map()))
    if (document.unreadable === undefined) {
      documents.set(document.key, document)
      this.#unreadable.delete(document.key)
    } else {
      documents.delete(document.key)
      this.#unreadable.set(document.key, document)
    }
    this.#generations.set(kind, this.generationOf(kind) + 1)
  }

  #drop(key: string): void {
    const kind = kindOf(key)
    this.#kinds.get(kind)?.delete(key)
    this.#unreadable.delete(key)
    this.#generations.set(kind, this.generationOf(kind) + 1)
  }

  #stamp(at: number): { seq: number; epoch: string; at: number } {
    return { seq: this.#seq, epoch: this.epoch, at }
  }

  #render(name: string, now: number): ServedChannel | null {
    this.#expiries.delete(name)
    this.#lapsed.delete(name)
    this.#held.delete(name)
    const document = this.stored(channelKey(name))
    if (document === undefined) return null
    if (document.unreadable !== undefined) {
      return renderChannel({ name, revision: document.revision }, UNREADABLE_TARGET, this.#maxAgeS)
    }
    try {
      return this.#renderReadable(name, document, now)
    } catch (error) {
      // What the check let through and no rule can read must not end the process, nor touch any other channel.
      const why = `no rule can read it: ${error instanceof Error ? error.message : String(error)}`
      this.#put({ ...document, unreadable: why })
      return renderChannel({ name, revision: document.revision }, UNREADABLE_TARGET, this.#maxAgeS)
    }
  }

  #renderReadable(name: string, document: Document, now: number): ServedChannel {
    const channel = channelOf(document)
    const expiry = nextExpiry(channel, now)
    if (expiry !== null) this.#expiries.set(name, expiry)
    if (expiriesOf(channel).some((moment) => hasPassed(moment, now))) this.#lapsed.add(name)
    const held = heldBy(channel, this.isBlocked, now)
    if (held !== null) this.#held.set(name, held)
    const cohorts = cohortsAt(channel, this.isBlocked, now)
    const target = targetAt(channel, this.isBlocked, now)
    return renderChannel({ name, revision: document.revision }, target, this.#maxAgeS, cohorts)
  }
}

function hasPosition(state: ReplicaState | null, { epoch, seq, mark }: StorePosition): state is ReplicaState {
  if (state === null) return false
  const { position } = state
  return position.epoch === epoch && position.seq === seq && position.mark === mark
}

function kindOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}
