// One page of a list, the same way for every list: it ends at its limit, or before the item that would take it above a megabyte, and is
// written in turns of the event loop. Lists of the journal are read in pages by the store itself (journal.ts).
import type { FastifyReply, FastifyRequest } from 'fastify'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parseVersion } from '../../channels/version.ts'
import type { Control } from '../../control/control.ts'
import type { PageReaders } from '../../control/page-readers.ts'
import type { Json, JsonObject } from '../../store/port.ts'
import { TURN_BYTES_MAX } from '../../store/turns.ts'
import { readCursor, writeCursor } from './cursor.ts'
import { hiddenFrom } from './hide-embargoed.ts'
import { inTurn, type Answer } from './page-turn.ts'
import { sendProblem } from './problem.ts'
import { PAGE_LIMIT_DEFAULT } from './request-schemas.ts'

/** Bytes of JSON in one page; one item is always given. Items have no fixed size: one rollout can be a megabyte. */
export const LIST_PAGE_BYTES_MAX = 1024 * 1024

/** What lists are answered with. */
export interface Lists {
  readonly control: Control
  readonly readers: PageReaders
}

export interface List<T> {
  /** Items of a page that says no limit; PAGE_LIMIT_DEFAULT unless given. */
  readonly limitDefault?: number
  /** The entries after the one of this name, in the list's order, `count` of them where there are so many; null where there is no such
   * place in the list. An empty name is before the first. */
  readonly after: (name: string, count: number) => readonly T[] | null
  readonly nameOf: (entry: T) => string
  /** An entry as the API shows it; null where it is gone by now. */
  readonly present: (entry: T) => object | null | Promise<object | null>
  /** Members of the page beside `items` and `next`. */
  readonly more?: JsonObject
}

/** The part of a query that pages have; the routes' schemas have checked it. */
interface Paging {
  readonly cursor?: string
  readonly limit?: number
}

/** Sends the page of a list that a request asks for, once it has its turn. */
export function sendList<T>(
  { control, readers }: Lists,
  request: FastifyRequest,
  reply: FastifyReply,
  list: List<T>,
): Promise<FastifyReply> {
  // Checked by the route's schema.
  const { cursor, limit = list.limitDefault ?? PAGE_LIMIT_DEFAULT } = request.query as Paging
  return inTurn(readers, control.clock, reply, async (): Promise<Answer> => {
    const name = cursor === undefined ? '' : readCursor('name', cursor)
    // One more says whether the list goes on.
    const found = name === null ? null : list.after(name, limit + 1)
    if (found === null) return () => sendWrongCursor(request, reply)
    const hide = hiddenFrom(control, request)
    const { items, given } = await itemsOf(list, found.slice(0, limit), hide)
    const last = given < found.length ? found[given - 1] : undefined
    const next = last === undefined ? null : writeCursor('name', list.nameOf(last))
    const rest = JSON.stringify({ ...(hide(list.more ?? {}) as JsonObject), next }).slice(1)
    return () => reply.type('application/json; charset=utf-8').send(`{"items":[${items.join(',')}],${rest}`)
  })
}

/** Entries as JSON, as many as fit into a page, and how many entries those are. */
async function itemsOf<T>(
  { present }: List<T>,
  entries: readonly T[],
  hide: (item: Json) => Json,
): Promise<{ readonly items: readonly string[]; readonly given: number }> {
  const items: string[] = []
  let [bytes, bytesInTurn] = [0, 0]
  for (const [index, entry] of entries.entries()) {
    const item = await present(entry)
    if (item === null) continue
    // What routes show is JSON by their schemas.
    const text = JSON.stringify(hide(item as Json))
    const size = Buffer.byteLength(text)
    if (items.length > 0 && bytes + size > LIST_PAGE_BYTES_MAX) return { items, given: index }
    items.push(text)
    bytes += size
    bytesInTurn += size
    if (bytesInTurn < TURN_BYTES_MAX) continue
    bytesInTurn = 0
    await nextTurn()
  }
  return { items, given: entries.length }
}

interface VersionOrder<T> {
  readonly versionOf: (entry: T) => string
  /** A total order: of two versions that are not the same text one is first. */
  readonly compare: (a: string, b: string) => number
}

/**
 * The entries after the one of this version, `count` of them, for a list that is in the order of `compare` already; it may be gone
 * by now. null where the text is no version.
 */
export function afterVersion<T>(
  entries: readonly T[],
  { versionOf, compare }: VersionOrder<T>,
  version: string,
  count: number,
): readonly T[] | null {
  if (version === '') return entries.slice(0, count)
  // Nearly always it is there, and to compare thousands of versions takes longer.
  const index = entries.findIndex((entry) => versionOf(entry) === version)
  if (index !== -1) return entries.slice(index + 1, index + 1 + count)
  if (parseVersion(version).outcome === 'unparsed') return null
  return entries.filter((entry) => compare(versionOf(entry), version) > 0).slice(0, count)
}

/** The first `count` names after `name`, in their order: of 100,000 names, without sorting them all. */
export function firstAfter(names: Iterable<string>, name: string, count: number): readonly string[] {
  let first: string[] = []
  /** Nothing from here on is among them; empty until that is known. */
  let bound = ''
  const keep = (): void => {
    first = first.toSorted().slice(0, count)
    if (first.length === count) bound = first.at(-1) ?? ''
  }
  for (const one of names) {
    if (one <= name || (bound !== '' && one >= bound)) continue
    first.push(one)
    if (first.length >= 2 * count) keep()
  }
  keep()
  return first
}

function sendWrongCursor(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const message = 'is not a cursor of this list; give the `next` of the page before'
  const errors = [{ field: 'cursor', message }]
  return sendProblem(request, reply, 'invalid_request', { detail: `cursor ${message}`, errors })
}
