// The journal and a channel's history, page by page, with filters, within the caller's scope.
import t from 'tap'
import { recordExpiries } from '../../../src/control/core/record-expiries.ts'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { idOf } from '../../fixtures/admin-routes.ts'
import { channelPath, startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'
import { range } from '../../fixtures/store-changes.ts'

const reason = 'because'

/** Every entry of a list of the journal, over all its pages. */
async function readAll(session: AdminSession, path: string, token?: string): Promise<unknown[]> {
  const entries: unknown[] = []
  let query = path.includes('?') ? path : `${path}?`
  for (;;) {
    const page = await session.done('GET', query, undefined, token === undefined ? {} : { token })
    entries.push(...itemsOf(page))
    const next = at(page, 'next')
    if (typeof next !== 'string') return entries
    query = `${path.includes('?') ? `${path}&` : `${path}?`}cursor=${encodeURIComponent(next)}`
  }
}

function seqsOf(entries: readonly unknown[]): unknown[] {
  return entries.map((entry) => at(entry, 'seq'))
}

t.test('hundreds of entries page through once each, newest first, whatever the limit', async (t) => {
  const session = await startAdmin(t)
  await session.channel('a', '1.0.0')
  await session.channel('b', '1.0.0')
  for (const index of range(1, 320)) {
    const name = index % 4 === 0 ? 'b' : 'a'
    await session.done('PUT', `/channels/${name}/version`, { version: `1.0.${index}` })
  }
  const all = range(1, 322).toReversed()
  for (const limit of [37, 161, 322, 500]) t.strictSame(seqsOf(await readAll(session, `/journal?limit=${limit}`)), all)
  t.equal(itemsOf(await session.done('GET', '/journal')).length, 100, 'a page has 100 unless told')
  const ofB = await readAll(session, '/channels/b/history?limit=13')
  t.equal(ofB.length, 81)
  t.ok(ofB.every((entry) => at(entry, 'subjects', 0) === 'channel/b'))
  t.strictSame(seqsOf(await readAll(session, '/journal?subject=channel/b&limit=7')), seqsOf(ofB))
  const page = await session.done('GET', '/journal?limit=10')
  await session.channel('c')
  const rest = await session.done('GET', `/journal?limit=5&cursor=${String(at(page, 'next'))}`)
  t.strictSame(seqsOf(itemsOf(rest)), [312, 311, 310, 309, 308], 'a page goes on where it was')
})

t.test('filters by actor, kind, subject and time all have to hold', async (t) => {
  const session = await startAdmin(t)
  const ann = await session.token('operator', null, null, 'ann')
  const actor = `ann/${idOf(ann)}`
  await session.channel('a')
  await session.planes.clock.advance(60_000)
  await session.done('PUT', '/channels/a/halt', { reason }, { token: ann })
  await session.planes.clock.advance(60_000)
  await session.done('PUT', '/channels/a/version', { version: '15.1.5' }, { token: ann })
  const found = async (query: string) => seqsOf(await readAll(session, `/journal?${query}`))
  t.strictSame(await found(`actor=${encodeURIComponent(actor)}`), [4, 3])
  t.strictSame(await found('actor=admin'), [2, 1])
  t.strictSame(await found('actor=ann'), [])
  t.strictSame(await found('kind=channel.halt'), [3])
  t.strictSame(await found('subject=channel/a'), [4, 3, 2])
  t.strictSame(await found('subject=channel'), [])
  t.strictSame(await found('since=2026-03-01T00:01:00Z'), [4, 3])
  t.strictSame(await found('until=2026-03-01T00:01:00Z'), [2, 1])
  t.strictSame(await found('since=2026-03-01T01:01:00%2B01:00&until=2026-03-01T00:02:00Z'), [3])
  t.strictSame(await found('subject=channel/a&actor=admin&kind=channel.create'), [2])
  t.strictSame(await found('subject=channel/a&kind=token.create'), [])
})

t.test('a token limited to channels reads their entries, over all pages, and nothing of tokens', async (t) => {
  const session = await startAdmin(t)
  const limited = await session.token('admin', ['mine/*'])
  const viewer = await session.token('viewer')
  for (const index of range(1, 6)) await session.channel(`other/${index}`)
  await session.channel('mine/a')
  await session.done('PUT', '/blocked-versions/9.9.9', { reason })
  for (const index of range(7, 9)) await session.channel(`other/${index}`)
  const kinds = async (path: string, token: string) =>
    (await readAll(session, path, token)).map((entry) => at(entry, 'kind'))
  t.strictSame(await kinds('/journal?limit=2', limited), ['version.block', 'channel.create'])
  t.strictSame(await kinds('/journal?subject=channel/other/1', limited), [])
  t.strictSame(await kinds(`/journal?subject=token/${idOf(viewer)}`, limited), [])
  t.strictSame(await kinds('/journal?kind=token.create', viewer), [])
  t.equal((await kinds('/journal?limit=3', viewer)).length, 11)
  t.strictSame(await kinds('/channels/mine%2Fa/history', limited), ['channel.create'])
  t.notMatch(JSON.stringify(await readAll(session, '/journal', limited)), /other/)
})

t.test('an entry about several documents shows a caller only the ones in its scope', async (t) => {
  const session = await startAdmin(t)
  const limited = await session.token('viewer', ['mine/*'])
  for (const name of ['mine/a', 'other']) {
    await session.channel(name, '14.0.0')
    await session.done('PUT', channelPath(name, '/pin'), { version: '14.0.1', until: '2026-03-01T00:00:01Z', reason })
  }
  await session.planes.clock.advance(5_000)
  await recordExpiries(session.planes.deps)
  const [whole] = await readAll(session, '/journal?limit=1')
  t.strictSame(at(whole, 'subjects'), ['channel/mine/a', 'channel/other'])
  const page = await session.done('GET', '/journal?limit=1', undefined, { token: limited })
  t.strictSame(at(page, 'items', 0, 'subjects'), ['channel/mine/a'])
  t.notMatch(JSON.stringify(page), /other/)
})

t.test('cursors, limits and times that are none are refused with their field', async (t) => {
  const session = await startAdmin(t)
  await session.channel('a')
  await session.channel('b')
  const nameCursor = String(at(await session.done('GET', '/channels?limit=1'), 'next'))
  const seqCursor = String(at(await session.done('GET', '/journal?limit=1'), 'next'))
  for (const [path, queries] of [
    [
      '/journal',
      [
        'since=yesterday',
        'since=2026-02-30T00:00:00Z',
        'until=2026-03-01',
        'until=',
        'since=1',
        `cursor=${nameCursor}`,
      ],
    ],
    ['/channels/a/history', [`cursor=${nameCursor}`, 'since=2026-03-01T00:00:00Z', 'actor=admin']],
    ['/channels', [`cursor=${seqCursor}`, 'x=1']],
    [
      '/channels/a/compatibility',
      ['grace=14', 'grace=P', 'grace=P1M', 'grace=-P1D', 'grace=', 'grace=P1D&grace=P2D', 'x=1'],
    ],
  ] as const) {
    const every =
      path === '/channels/a/compatibility' ? [] : ['limit=0', 'limit=501', 'limit=abc', 'limit=', 'limit=1.5']
    const more = [
      ...every,
      ...(every.length === 0 ? [] : ['limit=-1', 'cursor=', 'cursor=abc', 'cursor=c2VxOjA', 'limit=1&limit=2']),
    ]
    for (const query of [...queries, ...more]) {
      const reply = await session.call('GET', `${path}?${query}`)
      t.equal(reply.status, 400, `${path}?${query}`)
      t.equal(at(reply.body, 'errors', 0, 'field'), query.split('=', 1)[0], `${path}?${query}`)
    }
  }
})

t.test('a history goes on after the channel was deleted and made again', async (t) => {
  const session = await startAdmin(t)
  await session.channel('a')
  await session.done('DELETE', '/channels/a')
  const kinds = async () => itemsOf(await session.done('GET', '/channels/a/history')).map((entry) => at(entry, 'kind'))
  t.strictSame(await kinds(), ['channel.delete', 'channel.create'])
  await session.channel('a')
  t.strictSame(await kinds(), ['channel.create', 'channel.delete', 'channel.create'])
})
