// How many items a page of a list has where nobody says, and at most: as the OpenAPI document promises, in every list. And that
// a page that is long to make lets others be answered meanwhile.
import t from 'tap'
import type { JsonObject } from '../../../src/store/port.ts'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { commitOf, listAt, startRollouts } from '../../fixtures/rollout-session.ts'
import { commit, put, range } from '../../fixtures/store-changes.ts'

/** More than a page of each, and than the longest page of rollouts. */
const MADE = 101

/** A path of every list that has pages, by its operation. */
const LISTS = new Map([
  ['listChannels', '/channels'],
  ['getChannelHistory', '/channels/c0/history'],
  ['readJournal', '/journal'],
  ['listReleases', '/releases'],
  ['listRollouts', '/rollouts/cloud'],
  ['listPipelines', '/pipelines'],
  ['listBlockedVersions', '/blocked-versions'],
  ['listTokens', '/tokens'],
  ['listReplicas', '/replicas'],
  ['listUnreadableDocuments', '/store/unreadable'],
])

/** Releases that were all cut before now, one a second. */
function versionOf(made: number): string {
  const [minute, second] = [Math.floor(made / 60), made % 60].map((part) => String(part).padStart(2, '0'))
  return `15.0.0-cloud.20260101T00${minute}${second}.${commitOf(made)}`
}

function announced(id: string): JsonObject {
  const standing = { seq: 1, epoch: 'e', snapshotAgeS: 0, pollProcesses: 1 }
  return {
    id,
    role: 'all',
    status: 'following',
    problem: null,
    ...standing,
    build: 'test',
    startedAt: '2026-01-01T00:00:00.000Z',
  }
}

t.test('a list has the page that its document promises, unless it is told another limit', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'all', channels: ['c0'] }])
  for (let made = 1; made <= MADE; made += 1) {
    await session.register(made, { version: versionOf(made) })
    await session.channel(`c${made}`)
    await session.done('PATCH', '/channels/c0', { description: `the ${made}th` })
    await session.pipeline([{ name: 'all', channels: [`c${made}`] }], { versions: '<1.0.0' }, `p${made}`)
    await session.done('PUT', `/blocked-versions/1.0.${made}`, { reason: 'for the test' })
    await session.token('viewer', null, null, `t${made}`)
    await session.planes.deps.coordination.announce(`r${made}`, announced(`r${made}`), 60_000)
  }
  const { store, replica } = session.planes.deps
  const { seq } = await commit(
    store,
    range(0, MADE).map((n) => put(`token/${n}`, 0)),
    { at: new Date(session.planes.clock.now()).toISOString() },
  )
  await replica.until((state) => state.seq >= seq)
  const limits = session.contract.operations.flatMap(({ id, spec }) => {
    const parameters = spec['parameters'] === undefined ? [] : listAt(spec, 'parameters')
    return parameters.filter((each) => at(each, 'name') === 'limit').map((each) => ({ id, schema: at(each, 'schema') }))
  })
  t.strictSame(limits.map(({ id }) => id).toSorted(), [...LISTS.keys()].toSorted())
  for (const { id, schema } of limits) {
    const path = LISTS.get(id) ?? ''
    const page = await session.done('GET', path)
    t.equal(itemsOf(page).length, at(schema, 'default'), id)
    t.equal(typeof at(page, 'next'), 'string', `${id} goes on`)
    const most = Number(at(schema, 'maximum'))
    const wanted = Math.min(MADE, most)
    t.equal(itemsOf(await session.done('GET', `${path}?limit=${wanted}`)).length, wanted, `${id} with a limit`)
    const refused = await session.call('GET', `${path}?limit=${most + 1}`)
    t.equal(refused.status, 400, `${id} with more than its maximum`)
  }
  t.hasStrict(limits.find(({ id }) => id === 'listRollouts')?.schema, { default: 20, maximum: 100 })
})

t.test('between two rollouts of a page the event loop turns, so that polls are answered', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'all', channels: ['c0'] }])
  for (let made = 1; made <= MADE; made += 1) await session.register(made, { version: versionOf(made) })
  const turnsOf = async (limit: number): Promise<number> => {
    let turns = 0
    let isOver = false
    const count = (): void => {
      turns += 1
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    await session.done('GET', `/rollouts/cloud?limit=${limit}`)
    isOver = true
    return turns
  }
  const one = await turnsOf(1)
  const hundred = await turnsOf(100)
  t.ok(hundred >= one + 90, `${hundred} turns for a hundred, ${one} for one`)
})
