// A journal of large entries: pages of it are short, readers wait for each other, and nothing that an operator does waits for
// readers, not even for those that never take what they have asked for.
import { request, type IncomingMessage } from 'node:http'
import t from 'tap'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { bearer, startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'
import { listening } from '../../fixtures/admin-stream.ts'
import { eventually, turns } from '../../fixtures/poll-clock.ts'
import { commit, put, range } from '../../fixtures/store-changes.ts'
import { wrapped } from '../../fixtures/store-wrapped.ts'
import type { Store } from '../../../src/store/port.ts'
import { JOURNAL_PAGE_BYTES_MAX } from '../../../src/store/sizes.ts'

const reason = 'because'
const ENTRY_BYTES = 300_000

/** So many entries of 0.6 MB: each has its document before and after. */
async function fill(session: AdminSession, count: number): Promise<void> {
  const text = 'x'.repeat(ENTRY_BYTES)
  for (const expected of range(0, count - 1)) {
    await commit(session.planes.deps.store, [put('thing', expected, { text })], { actor: `actor-${expected % 2}` })
  }
}

async function allItems(session: AdminSession, path: string, token: string): Promise<number[]> {
  const seqs: number[] = []
  let cursor = ''
  for (;;) {
    const response = await session.planes.admin('GET', `${path}?limit=500${cursor}`, undefined, { token })
    if (response.statusCode !== 200) throw new Error(response.body)
    if (response.body.length > JOURNAL_PAGE_BYTES_MAX + 10_000)
      throw new Error(`a page of ${response.body.length} bytes`)
    const page: unknown = response.json()
    seqs.push(...itemsOf(page).map((item) => Number(at(item, 'seq'))))
    const next = at(page, 'next')
    if (typeof next !== 'string') return seqs
    cursor = `&cursor=${next}`
  }
}

t.test('a page of large entries is short whatever its limit, and all pages have every entry once', async (t) => {
  const session = await startAdmin(t)
  // Documents of no kind that is known are for admins only.
  const admin = await session.token('admin')
  await session.channel('a')
  await fill(session, 12)
  await session.done('PATCH', '/channels/a', { description: 'the last' })
  t.same(await allItems(session, '/journal', admin), range(1, 15).reverse())
  const filtered: unknown = (await session.planes.admin('GET', '/journal?limit=500&actor=actor-0')).json()
  t.equal(itemsOf(filtered).length, 1)
  t.type(at(filtered, 'next'), 'string')
})

t.test('a history of a channel within large entries is paged for a token of that channel', async (t) => {
  const session = await startAdmin(t)
  const limited = await session.token('viewer', ['mine'])
  await session.channel('mine')
  const channel = (await session.planes.deps.store.load()).documents.find(({ key }) => key === 'channel/mine')
  for (const expected of range(1, 6)) {
    const padding = put(`pad/${expected}`, 0, { text: 'x'.repeat(ENTRY_BYTES) })
    await commit(session.planes.deps.store, [put('channel/mine', expected, channel?.body), padding])
  }
  t.same(await allItems(session, '/channels/mine/history', limited), [...range(3, 8).reverse(), 2])
})

/** A store whose readers wait until they are let go; operators do not. */
function heldBack(): { readonly wrapStore: (store: Store) => Store; readonly reading: () => number; letGo(): void } {
  let letGo = (): void => {}
  let reading = 0
  const gate = new Promise<void>((resolve) => (letGo = resolve))
  const wrapStore = (store: Store): Store =>
    wrapped(store, {
      async journalInParts(query) {
        reading += 1
        await gate
        return store.journalInParts(query)
      },
    })
  return { wrapStore, reading: () => reading, letGo: () => letGo() }
}

t.test(
  'halts, pins and rollbacks are made while readers fill every place: too_many_reads for readers only',
  async (t) => {
    const { wrapStore, reading, letGo } = heldBack()
    const session = await startAdmin(t, { wrapStore })
    const viewer = await session.token('viewer')
    await session.channel('a', '15.1.4')
    await session.done('PUT', '/channels/a/version', { version: '15.1.5', reason })
    const ask = (path: string) => session.call('GET', path, undefined, { token: viewer })
    const waiting = range(1, 202).map((n) => ask(n % 2 === 0 ? '/journal' : '/channels/a/history'))
    await eventually(() => reading() === 2)
    await turns(50)
    const refused = await ask('/journal')
    t.equal(refused.status, 503)
    t.equal(at(refused.body, 'code'), 'too_many_reads')
    t.ok(refused.headers['retry-after'])
    t.equal(reading(), 2, 'two at once')

    await session.done('PUT', '/channels/a/halt', { reason })
    t.match(await session.planes.asAgent('/v1/a/version'), /^404/)
    await session.done('DELETE', '/channels/a/halt', { reason })
    await session.done('POST', '/channels/a/rollback', { to: '15.1.4', reason })
    t.equal(await session.planes.asAgent('/v1/a/version'), '15.1.4')
    await session.done('DELETE', '/channels/a/pin', { reason, force: true })
    await session.done('PUT', '/channels/a/pin', { version: '15.1.4', reason })
    t.equal(reading(), 2, 'readers still wait')

    letGo()
    for (const { status } of await Promise.all(waiting)) if (status !== 200) t.fail(String(status))
  },
)

/** Asks for a page and takes nothing of the answer. */
function askWithoutReading(port: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path: '/admin/v1/journal', headers: bearer(), agent: false })
    sent.once('error', reject)
    sent.once('response', (response) => {
      response.on('error', () => {}) // It is cut off, which this is about.
      resolve(response.pause())
    })
    sent.end()
  })
}

t.test('pages that are not taken hold up readers, who go on once those were cut off, and no change', async (t) => {
  const session = await startAdmin(t)
  const port = await listening(session)
  await session.channel('a')
  // More than the buffers of a connection take.
  const half = { text: 'x'.repeat(6_000_000) }
  await commit(session.planes.deps.store, [put('thing/1', 0, half), put('thing/2', 0, half)])
  const slow = await Promise.all(range(1, 16).map(() => askWithoutReading(port)))
  let isAnswered = false
  const another = session.planes.admin('GET', '/journal?limit=1').then(({ statusCode }) => {
    isAnswered = true
    return statusCode
  })
  await turns(50)
  t.equal(isAnswered, false)
  await session.done('PUT', '/channels/a/halt', { reason })
  t.equal(isAnswered, false)
  const ended = Promise.all(slow.map((response) => new Promise((resolve) => response.once('close', resolve))))
  await session.planes.clock.advance(30_000)
  t.equal(await another, 200)
  for (const response of slow) response.resume()
  await ended
})
