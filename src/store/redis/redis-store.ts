// The Redis store: documents and their journal, shared by any number of replicas. Each step that must hold together is one
// script on the server (*.lua); what is read in several steps is proven to be one state before it is given out.
import { randomUUID } from 'node:crypto'
import { checkChange, entryBytesMax, nothingToDelete } from '../change.ts'
import { newMark, planEpoch } from '../epoch-start.ts'
import {
  FORMAT,
  StoreOutcomeUnknown,
  StoreRegressed,
  StoreUnavailable,
  type Change,
  type Committed,
  type Conflict,
  type Coordination,
  type EpochStart,
  type JournalEntry,
  type JournalPage,
  type EntryInParts,
  type JournalQuery,
  type ReadLane,
  type Store,
  type StorePosition,
  type StoreState,
} from '../port.ts'
import type { StoreWarning } from '../warning.ts'
import { Turns } from '../turns.ts'
import { confirmations } from './confirm.ts'
import { reconnect, serverOf, type RedisClient } from './connection.ts'
import { redisCoordination } from './coordination.ts'
import { documentText, readEntry } from './documents.ts'
import { isTimeout } from './faults.ts'
import { followJournal } from './feed.ts'
import { foundAt, standingOf } from './history.ts'
import { keysOf, writtenKeys } from './keys.ts'
import { REDIS_LIMITS, type RedisLimits } from './limits.ts'
import { beginningOf, entryOfRequest, knownEntry, readPage, readPageInParts } from './read-journal.ts'
import { readState } from './read-state.ts'
import type { RedisTarget } from './redis-url.ts'
import { listOf } from './replies.ts'
import { refusal } from './refusal.ts'
import { runScript } from './scripts.ts'
import { serverWarnings } from './server-warnings.ts'
import { Session } from './session.ts'
import type { WriteLog } from './write-state.ts'

export interface RedisStoreOptions {
  readonly target: RedisTarget
  /** What all keys begin with; stores with different prefixes share a Redis without meeting. */
  readonly prefix: string
  /** A write is acknowledged once this many Redis replicas have it. */
  readonly waitReplicas: number
  readonly limits?: Partial<RedisLimits>
  /** Is told when Redis begins to refuse writes, and when it takes them again. */
  readonly log?: WriteLog
}

const NO_LOG: WriteLog = { info() {}, warn() {} }

/** Opens the store; Redis need not be up, and is connected to in the background. */
export function openRedisStore(options: RedisStoreOptions): RedisStore {
  const { target, prefix, waitReplicas, limits, log = NO_LOG } = options
  return new RedisStore(new Session(target, keysOf(prefix), { ...REDIS_LIMITS, ...limits }, log), waitReplicas)
}

/** Made by `openRedisStore` only. */
export class RedisStore implements Store {
  /** What replicas of this store tell each other. */
  readonly coordination: Coordination
  readonly #session: Session
  readonly #waitReplicas: number
  readonly #turns = new Turns()
  readonly #closing = new AbortController()
  readonly #following = new Set<Promise<void>>()

  constructor(session: Session, waitReplicas: number) {
    this.#session = session
    this.#waitReplicas = waitReplicas
    this.coordination = redisCoordination(session)
  }

  load(known: StorePosition | null = null): Promise<StoreState> {
    const { keys, limits } = this.#session
    return this.#session.readMuch('Reading the store', (client) =>
      readState({ client, keys, limits, turns: this.#turns }, known),
    )
  }

  async commit(change: Change): Promise<Committed | Conflict> {
    checkChange(change)
    return this.#session.write('Writing to the store', async (client) => {
      const result = await this.#commit(client, change)
      if (result.outcome === 'committed') await this.#confirm(client, result.entry)
      return result
    })
  }

  committed(requestId: string): Promise<JournalEntry | null> {
    return this.#session.read('Reading the journal', (client) => entryOfRequest(client, this.#session.keys, requestId))
  }

  async follow(
    after: StorePosition,
    on: (entry: JournalEntry) => void,
    signal: AbortSignal,
    lane: ReadLane = 'operator',
  ): Promise<void> {
    if (!Number.isSafeInteger(after.seq) || after.seq < 0) throw new RangeError(`No journal entry is ${after.seq}`)
    this.#session.checkOpen()
    if (signal.aborted) return
    const either = AbortSignal.any([signal, this.#closing.signal])
    const how = { after, on, signal: either, lane, turns: this.#turns, waitReplicas: this.#waitReplicas }
    const following = followJournal(this.#session, how)
    const settled = following.catch(() => {})
    this.#following.add(settled)
    try {
      await following
    } finally {
      this.#following.delete(settled)
    }
  }

  journal(query: JournalQuery, lane: ReadLane = 'operator'): Promise<JournalPage> {
    const { keys, limits } = this.#session
    const turns = this.#turns
    return this.#session.readMuch('Reading the journal', (client) =>
      readPage({ client, keys, limits, turns }, query, lane),
    )
  }

  journalInParts(query: JournalQuery): Promise<JournalPage<EntryInParts>> {
    const { keys, limits } = this.#session
    const turns = this.#turns
    return this.#session.readMuch('Reading the journal', (client) =>
      readPageInParts({ client, keys, limits, turns }, query),
    )
  }

  journalBegins(): Promise<string | null> {
    return this.#session.read('Reading the journal', (client) => beginningOf(client, this.#session.keys))
  }

  async position(): Promise<StorePosition> {
    const ask = (client: RedisClient) => standingOf(client, this.#session.keys, null)
    return (await this.#session.read('Reading the store', ask)).position
  }

  /** The clock of the server that has the documents, so that all replicas go by one. */
  async time(): Promise<number> {
    return this.#session.read('Reading the time', async (client) => {
      const server = await serverOf(client, this.#session.keys.meta)
      if (server === null)
        throw new StoreUnavailable('Reading the time: the Cluster does not say which server has the store')
      const [seconds, microseconds] = await server.time()
      return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000)
    })
  }

  async startEpoch(start: EpochStart): Promise<StorePosition> {
    const { keys, limits } = this.#session
    const { found, known, restore } = start
    const { isDamaged } = await this.#session.read('Reading the store', (client) => foundAt(client, keys))
    const holds = await this.#session.readMuch('Reading the store', async (client) => {
      // What a damaged store holds is not compared with: all of it is replaced.
      if (restore === null || isDamaged || found.epoch === '') return []
      const state = await readState({ client, keys, limits, turns: this.#turns }, found)
      if (state.mark !== found.mark || state.epoch !== found.epoch) throw new StoreRegressed(known, state)
      return state.documents
    })
    const { epoch, supersedes, entries } = planEpoch(start, holds)
    const changes = entries.flatMap((entry) => entry.changes)
    const args = [
      ...[String(FORMAT), found.epoch, String(found.seq), found.mark, epoch, supersedes.join(' ')],
      ...[
        known.epoch,
        String(known.seq),
        known.mark,
        isDamaged && restore !== null ? 'damaged' : '',
        String(entries.length),
      ],
      ...entries.flatMap((entry) => {
        const { seq, mark, requestId, subjects } = entry
        return [String(seq), mark, requestId ?? '', JSON.stringify(entry), String(subjects.length), ...subjects]
      }),
      ...changes.flatMap(({ key, before, after }) => [
        key,
        after === null ? '' : documentText(after),
        String(before?.revision ?? 0),
      ]),
    ]
    const last = entries.at(-1) ?? found
    await this.#session.restore('Writing to the store', async (client) => {
      const reply = listOf(await runScript(client, 'start-epoch', writtenKeys(keys), args))
      if (reply[0] !== 'started') throw refusal(reply, known)
      this.#session.writes.accepted()
      await this.#confirm(client, last)
    })
    return { epoch, seq: last.seq, mark: last.mark }
  }

  /** What is wrong with the settings of Redis, by which it could lose what it was given. */
  serverWarnings(): Promise<readonly StoreWarning[]> {
    return serverWarnings(this.#session)
  }

  /** Whether Redis takes writes, as of this process' last write and the last look. */
  writeWarnings(): readonly StoreWarning[] {
    return this.#session.writes.warnings
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#session.close()
    await Promise.all(this.#following)
  }

  async #commit(client: RedisClient, change: Change): Promise<Committed | Conflict> {
    const { at, actor, kind, reason, requestId, requestHash, decidedOn, writes, reads } = change
    const { journalMax, trimMax } = this.#session.limits
    const bytesMax = entryBytesMax(change)
    const subjects = writes.map(({ key }) => key)
    const head = JSON.stringify({ at, actor, kind, subjects, reason, requestId, requestHash }).slice(1, -1)
    const args = [
      ...[String(FORMAT), randomUUID(), newMark(), requestId ?? ''],
      ...[decidedOn?.epoch ?? '', String(decidedOn?.seq ?? 0), decidedOn?.mark ?? ''],
      ...[head, String(journalMax), String(trimMax), Number.isFinite(bytesMax) ? String(bytesMax) : ''],
      String(writes.length),
      ...writes.flatMap(({ key, expected, body }) => {
        return [key, JSON.stringify(key), String(expected), body === null ? '' : JSON.stringify(body)]
      }),
      ...reads.flatMap(({ key, expected }) => [key, String(expected)]),
    ]
    const reply = listOf(await runScript(client, 'commit', writtenKeys(this.#session.keys), args))
    const [verdict, first = '', second = '', third = '', ...others] = reply
    switch (verdict) {
      case 'committed':
      case 'repeated': {
        if (verdict === 'committed') this.#session.writes.accepted()
        const place = { seq: Number(second), mark: third, bytes: first.length, storeFormat: FORMAT }
        const entry = knownEntry(readEntry(first, place))
        return { outcome: 'committed', entry, repeated: verdict === 'repeated', foreign: others }
      }
      case 'conflict': {
        const seq = Number(others[0])
        return { outcome: 'conflict', key: first, expected: Number(second), actual: Number(third), seq }
      }
      case 'absent':
        throw nothingToDelete(first)
      default:
        throw refusal(reply, decidedOn)
    }
  }

  /** Waits until enough Redis replicas have an entry. It is written here, so nothing that fails now may say otherwise. */
  async #confirm(client: RedisClient, entry: { readonly seq: number; readonly mark: string }): Promise<void> {
    if (this.#waitReplicas === 0) return
    const { keys, limits } = this.#session
    let confirmed = 0
    try {
      const wait = { wanted: this.#waitReplicas, waitMs: limits.waitMs }
      confirmed = await confirmations(client, keys, entry, wait)
    } catch (error) {
      if (isTimeout(error)) reconnect(client)
    }
    if (confirmed >= this.#waitReplicas) return
    throw new StoreOutcomeUnknown(
      `Writing to the store: ${confirmed} of ${this.#waitReplicas} Redis replicas have it; it could be lost with the primary`,
    )
  }
}
