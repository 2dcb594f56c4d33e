// The journal as server-sent events, over real sockets: resumed, in order, within the scope, and never for ever.
import t from 'tap'
import { at } from '../../fixtures/admin-json.ts'
import { idOf } from '../../fixtures/admin-routes.ts'
import { bearer, startAdmin } from '../../fixtures/admin-session.ts'
import { kindsOf, listening, openStream } from '../../fixtures/admin-stream.ts'
import { HOUR_MS } from '../../fixtures/channel-samples.ts'
import { eventually, turns } from '../../fixtures/poll-clock.ts'
import { commit, put, range } from '../../fixtures/store-changes.ts'
import { wrapped } from '../../fixtures/store-wrapped.ts'
import type { Store } from '../../../src/store/port.ts'

const reason = 'because'

/** Wraps a store so that those who follow it are counted. */
function counting(followers: { open: number }): (store: Store) => Store {
  return (store) =>
    wrapped(store, {
      async follow(after, on, signal) {
        followers.open += 1
        await store.follow(after, on, signal).finally(() => (followers.open -= 1))
      },
    })
}

t.test('a stream gives what comes after its start, in order and without a gap, as the journal shows it', async (t) => {
  const session = await startAdmin(t)
  const port = await listening(session)
  for (const index of range(1, 5)) await session.channel(`a${index}`)
  const live = await openStream(port)
  t.equal(live.response.statusCode, 200)
  t.match(live.response.headers['content-type'], 'text/event-stream')
  t.equal(live.response.headers['cache-control'], 'no-store')
  await live.until(({ comments }) => comments.length > 0)
  const resumed = await openStream(port, { query: '?after=2' })
  const byId = await openStream(port, { query: '?after=0', lastEventId: '4' })
  const whole = await openStream(port, { query: '?after=0' })
  await Promise.all(range(6, 30).map((index) => session.channel(`a${index}`)))
  for (const reader of [live, resumed, byId, whole]) await reader.until(({ events }) => events.at(-1)?.id === 30)
  t.strictSame(live.ids(), range(6, 30))
  t.strictSame(resumed.ids(), range(3, 30))
  t.strictSame(byId.ids(), range(5, 30), 'Last-Event-ID is newer than the URL a client reconnects to')
  t.strictSame(whole.ids(), range(1, 30))
  const journal = await session.done('GET', '/journal')
  t.strictSame(whole.events.at(-1)?.data, at(journal, 'items', 0))
  for (const reader of [live, resumed, byId, whole]) reader.close()
})

t.test('entries outside the scope are there by their id only, and tokens are for whole admins', async (t) => {
  const session = await startAdmin(t)
  const port = await listening(session)
  const limited = await session.token('admin', ['mine/*'])
  const viewer = await session.token('viewer')
  await session.channel('mine/a')
  await session.channel('other')
  await session.done('PUT', '/blocked-versions/9.9.9', { reason })
  const secret = await session.token('viewer')
  const readers = {
    limited: await openStream(port, { token: limited, query: '?after=0' }),
    viewer: await openStream(port, { token: viewer, query: '?after=0' }),
    admin: await openStream(port, { query: '?after=0' }),
  }
  for (const reader of Object.values(readers)) {
    await reader.until(({ events }) => events.length === 6)
    t.strictSame(reader.ids(), range(1, 6))
    const text = JSON.stringify(reader.events)
    t.notMatch(text, /[0-9a-f]{64}/, 'no hash')
    t.notOk(text.includes(secret.slice(16)))
    reader.close()
  }
  t.strictSame(kindsOf(readers.limited), ['channel.create', 'version.block'])
  t.notMatch(JSON.stringify(readers.limited.events), /other|token/)
  t.strictSame(kindsOf(readers.viewer), ['channel.create', 'channel.create', 'version.block'])
  t.equal(kindsOf(readers.admin).length, 6)
})

t.test('the stream of a token that is revoked or expires ends before it gives another entry', async (t) => {
  const session = await startAdmin(t)
  const port = await listening(session)
  const revoked = await session.token('viewer')
  const expiring = await session.token('viewer', null, '2026-03-01T01:00:00Z')
  const one = await openStream(port, { token: revoked })
  const two = await openStream(port, { token: expiring })
  const admin = await openStream(port)
  await session.channel('a')
  for (const reader of [one, two]) await reader.until(({ events }) => events.length === 1)
  await session.done('DELETE', `/tokens/${idOf(revoked)}`)
  await session.channel('b')
  await one.ended
  t.notOk(kindsOf(one).length > 1, 'nothing after the answer to the revocation')
  await session.planes.clock.advance(HOUR_MS)
  await session.channel('c')
  await two.ended
  t.strictSame(
    two.events.filter(({ event }) => event === 'entry').map(({ data }) => at(data, 'subjects', 0)),
    ['channel/a', 'channel/b'],
  )
  await admin.until(({ events }) => events.length === 4)
  admin.close()
})

t.test('a silent stream is kept alive by comments, and ends there too once its token is worth nothing', async (t) => {
  const session = await startAdmin(t)
  const port = await listening(session)
  const token = await session.token('viewer', null, '2026-03-01T01:00:00Z')
  const reader = await openStream(port, { token })
  await reader.until(({ comments }) => comments.length === 1)
  for (const beat of [1, 2, 3]) {
    await session.planes.clock.advance(15_000)
    await reader.until(({ comments }) => comments.length === 1 + beat)
  }
  t.equal(reader.events.length, 0)
  await session.planes.clock.advance(HOUR_MS)
  await reader.ended
  t.pass('ended')
})

t.test(
  'a long journal reaches a reader that keeps reading whole, though it is far more than may be unsent',
  async (t) => {
    const session = await startAdmin(t)
    const port = await listening(session)
    await session.channel('a')
    const { store } = session.planes.deps
    const body = { text: 'x'.repeat(60_000) }
    for (const expected of range(0, 59)) {
      await commit(store, [put('thing', expected, body)])
    }
    const reader = await openStream(port, { query: '?after=0' })
    await reader.until(({ events }) => events.at(-1)?.id === 61)
    t.strictSame(reader.ids(), range(1, 61))
    await session.channel('b')
    await reader.until(({ events }) => events.at(-1)?.id === 62)
    reader.close()
  },
)

t.test('a reader that does not read is cut off, and its place is free again', async (t) => {
  const followers = { open: 0 }
  const session = await startAdmin(t, { wrapStore: counting(followers) })
  const port = await listening(session)
  const slow = await openStream(port)
  await slow.until(({ comments }) => comments.length > 0)
  slow.response.pause()
  const { store } = session.planes.deps
  const body = { text: 'x'.repeat(1_000_000) }
  for (const expected of range(0, 11)) {
    await commit(store, [put('thing', expected, body)])
  }
  // The journal is not read on for it: only the replica follows.
  await eventually(() => followers.open === 1)
  await turns()
  await session.planes.clock.advance(30_000)
  slow.response.resume()
  await slow.ended
  t.ok(slow.events.length < 12, 'it was cut off')
  const again = await openStream(port, { lastEventId: String(slow.ids().at(-1) ?? 0) })
  await again.until(({ events }) => events.at(-1)?.id === 12)
  t.strictSame([...slow.ids(), ...again.ids()], range(1, 12), 'what it missed comes when it resumes')
  again.close()
})

t.test('where its replica is behind for 5 s, a stream says so and ends, and goes on later where it was', async (t) => {
  let isHeld = false
  const held: (() => void)[] = []
  const given = new Map<number, number[]>()
  let followers = 0
  const wrapStore = (store: Store): Store =>
    wrapped(store, {
      follow(after, on, signal) {
        followers += 1
        const follower = followers
        return store.follow(
          after,
          (entry) => {
            // The first to follow is the replica; a stream reads the store on its own.
            if (follower === 1 && isHeld) return void held.push(() => on(entry))
            given.set(entry.seq, [...(given.get(entry.seq) ?? []), follower])
            return on(entry)
          },
          signal,
        )
      },
    })
  const session = await startAdmin(t, { wrapStore })
  const port = await listening(session)
  const token = await session.token('viewer')
  await session.channel('a')
  const reader = await openStream(port, { token, query: '?after=1' })
  await reader.until(({ events }) => events.length === 1)
  const admin = await openStream(port, { query: '?after=1' })
  await admin.until(({ events }) => events.length === 1)
  isHeld = true
  for (const expected of [0, 1]) await commit(session.planes.deps.store, [put('thing', expected)])
  await admin.until(({ events }) => events.at(-1)?.id === 4)
  // Both streams have it; the one of the viewer waits for the replica.
  await eventually(() => (given.get(3)?.length ?? 0) >= 2)
  await session.planes.clock.advance(4_999)
  t.strictSame(reader.ids(), [2])
  await session.planes.clock.advance(1)
  await reader.ended
  t.strictSame(
    reader.events.slice(1).map(({ event, id }) => ({ event, id })),
    [{ event: 'behind', id: Number.NaN }],
    'once, and without an id',
  )
  t.match(at(reader.events.at(-1)?.data, 'detail'), /has not applied journal entry 3 yet.*\(Last-Event-ID\)/)
  isHeld = false
  for (const give of held.splice(0)) give()
  const again = await openStream(port, { token, lastEventId: '2' })
  await again.until(({ events }) => events.at(-1)?.id === 4)
  t.strictSame(again.ids(), [3, 4])
  await session.channel('b')
  for (const open of [again, admin]) await open.until(({ events }) => events.at(-1)?.id === 5)
  t.strictSame(admin.ids(), [2, 3, 4, 5], 'whoever may see everything does not wait')
  for (const open of [again, admin]) open.close()
})

t.test('there are at most 100 streams: too_many_streams; one that is closed leaves its place', async (t) => {
  const followers = { open: 0 }
  const session = await startAdmin(t, { wrapStore: counting(followers) })
  const port = await listening(session)
  const readers = await Promise.all(range(1, 100).map(() => openStream(port)))
  t.strictSame([...new Set(readers.map(({ response }) => response.statusCode))], [200])
  const refused = await session.inject({ url: '/admin/v1/journal/stream', headers: bearer() })
  t.equal(refused.status, 503)
  t.equal(at(refused.body, 'code'), 'too_many_streams')
  t.ok(refused.headers['retry-after'])
  t.equal(followers.open, 101, 'the replica and the streams')
  for (const reader of readers.slice(0, 50)) reader.close()
  await eventually(() => followers.open <= 51)
  const more = await Promise.all(range(1, 50).map(() => openStream(port)))
  t.strictSame([...new Set(more.map(({ response }) => response.statusCode))], [200])
  const closing = session.planes.control.close()
  await Promise.all([...readers.slice(50), ...more].map(({ ended }) => ended))
  await closing
  t.equal(followers.open, 1, 'the end of the server ends every stream')
})

t.test('ids that are none are refused, and HEAD opens no stream', async (t) => {
  const session = await startAdmin(t)
  const url = '/admin/v1/journal/stream'
  for (const query of [
    '?after=-1',
    '?after=x',
    '?after=1.5',
    '?after=',
    '?after=9007199254740993',
    '?since=1',
    '?after=1&after=2',
  ])
    t.equal((await session.inject({ url: url + query, headers: bearer() })).status, 400, query)
  for (const id of ['', 'x', '-1', '1.5', '1e3', '9'.repeat(16), '9'.repeat(100), '1,2']) {
    const reply = await session.inject({ url, headers: { ...bearer(), 'last-event-id': id } })
    t.equal(reply.status, 400, id)
    t.match(at(reply.body, 'errors', 0, 'field'), /last-event-id/i)
  }
  t.equal((await session.planes.control.inject({ method: 'HEAD', url, headers: bearer() })).statusCode, 404)
})

t.test('where the store is lost, a stream ends and can be opened again', async (t) => {
  const session = await startAdmin(t)
  const port = await listening(session)
  const reader = await openStream(port)
  await session.planes.deps.store.close()
  await reader.ended
  t.pass('ended')
})
