// Pages of lists whose items are large: a page ends early, and page after page gives every item once, in the list's order.
import t, { type Test } from 'tap'
import { LIST_PAGE_BYTES_MAX } from '../../../src/routes/admin/list-page.ts'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { channelPath } from '../../fixtures/admin-session.ts'
import { startRollouts, type RolloutSession } from '../../fixtures/rollout-session.ts'
import { range } from '../../fixtures/store-changes.ts'

const LONG_TEXT = '版'.repeat(1_000)
const reason = LONG_TEXT
/** As many as two megabytes of them. */
const MADE = 220

/** Every page of a list, from the first to the last. */
async function pages(session: RolloutSession, path: string, token: string): Promise<readonly unknown[]> {
  const all: unknown[] = []
  for (let cursor = ''; ;) {
    const page = await session.done(
      'GET',
      `${path}?limit=${path.startsWith('/rollouts') ? 100 : 500}${cursor}`,
      undefined,
      { token },
    )
    all.push(page)
    const next = at(page, 'next')
    if (next === null) return all
    cursor = `&cursor=${String(next)}`
  }
}

/** Reads a list to its end; `names` are those of all its items, in its order. */
async function walk(
  t: Test,
  session: RolloutSession,
  path: string,
  member: string,
  names: readonly string[],
): Promise<void> {
  const token = await session.token('viewer')
  const read = await pages(session, path, token)
  t.ok(read.length > 1, `${path} has ${read.length} pages`)
  for (const page of read) {
    t.ok(itemsOf(page).length > 0)
    const bytes = Buffer.byteLength(JSON.stringify(page))
    t.ok(bytes <= LIST_PAGE_BYTES_MAX + 1_000 || itemsOf(page).length === 1, `${path}: ${bytes} bytes`)
  }
  t.strictSame(
    read.flatMap(itemsOf).map((item) => at(item, member)),
    names,
    path,
  )
}

t.test('pages of the largest channels, and of blocked versions with long reasons', async (t) => {
  const session = await startRollouts(t)
  const names = range(1, MADE).map((number) => `c${String(number).padStart(3, '0')}`)
  for (const [index, name] of names.toReversed().entries()) {
    await session.done('POST', '/channels', {
      name,
      description: LONG_TEXT,
      source: { kind: 'static', version: '15.0.0' },
    })
    await session.done('PUT', channelPath(name, '/halt'), { reason })
    await session.done('PUT', `/blocked-versions/14.0.${index}`, { reason })
    await session.done('PUT', `/blocked-versions/13.0.${index}`, { reason })
  }
  await walk(t, session, '/channels', 'name', names)
  const versions = [13, 14].flatMap((major) => names.map((_, index) => `${major}.0.${index}`))
  await walk(t, session, '/blocked-versions', 'version', versions)
})

t.test('pages of releases, pipelines and rollouts of 900 channels', async (t) => {
  const session = await startRollouts(t)
  const stagesOf = (name: string) => [
    { name: 'all', channels: range(1, 900).map((number) => `${name}/${'x'.repeat(60)}/${'y'.repeat(40)}${number}`) },
  ]
  const pipelines = range(1, 14).map((number) => `p${String(number).padStart(2, '0')}`)
  for (const name of pipelines) {
    const versions = name === 'p01' ? null : '<1.0.0'
    await session.done('PUT', `/pipelines/${name}`, { requirePackages: false, versions, stages: stagesOf(name) })
  }
  const changes = range(1, 150).map((number) => ({ id: `${number}`, title: 't'.repeat(300), author: 'somebody' }))
  const versions = range(1, 24).map((number) => `15.0.${number}`)
  for (const version of versions) {
    await session.done('POST', '/releases', { version, commit: 'abcdef0', kind: 'full', changes })
  }
  await walk(t, session, '/releases', 'version', versions.toReversed())
  await walk(t, session, '/rollouts/p01', 'release', versions.toReversed())
  await walk(t, session, '/pipelines', 'name', pipelines)
})

t.test('a list goes on after an item that is gone by now', async (t) => {
  const session = await startRollouts(t)
  for (const name of ['a', 'b', 'c']) {
    await session.channel(name)
    await session.done('PUT', `/blocked-versions/14.0.${name.charCodeAt(0)}`, { reason: 'for the test' })
    await session.token('viewer', null, null, name)
    await session.pipeline([{ name: 'all', channels: [name] }], {}, name)
  }
  const rest = async (path: string, member: string, remove: (first: unknown) => Promise<unknown>): Promise<unknown> => {
    const first = await session.done('GET', `${path}?limit=1`)
    await remove(at(first, 'items', 0))
    const after = await session.done('GET', `${path}?cursor=${String(at(first, 'next'))}`)
    return itemsOf(after).map((item) => at(item, member))
  }
  const gone = (path: string) => session.done('DELETE', path, { reason: 'for the test' })
  t.strictSame(await rest('/channels', 'name', () => gone(channelPath('a'))), ['b', 'c'])
  t.strictSame(await rest('/pipelines', 'name', () => gone('/pipelines/a')), ['b', 'c'])
  t.strictSame(await rest('/tokens', 'name', (token) => gone(`/tokens/${String(at(token, 'id'))}`)), ['b', 'c'])
  t.strictSame(await rest('/blocked-versions', 'version', () => gone('/blocked-versions/14.0.97')), [
    '14.0.98',
    '14.0.99',
  ])
  for (const path of ['/blocked-versions', '/channels']) {
    t.equal((await session.call('GET', `${path}?cursor=bm8`)).status, 400, path)
  }
})
