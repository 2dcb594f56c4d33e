// The list of people: who may change it, what is refused, and what is kept of who has changed it.
import t from 'tap'
import { at } from '../../fixtures/admin-json.ts'
import { startAdmin } from '../../fixtures/admin-session.ts'
import { cloud, startRollouts } from '../../fixtures/rollout-session.ts'

const people = [
  { person: 'alice', logins: ['octocat', 'alice-at-work'] },
  { person: 'bob', logins: [] },
]

t.test('an admin replaces the list of people, and the journal says who has done that and why', async (t) => {
  const session = await startAdmin(t)
  t.match(await session.done('GET', '/people'), { people: [], revision: 0 })
  const put = await session.done('PUT', '/people', { people, reason: 'alice has joined' })
  t.match(put, { people, updatedBy: 'admin', revision: 1 })
  t.match(await session.lastEntry(), {
    kind: 'people.put',
    actor: 'admin',
    reason: 'alice has joined',
    subjects: ['people/all'],
  })
  const again = await session.call('PUT', '/people', { people })
  t.match(again.body, { revision: 1 }, 'it says so already')
  const dry = await session.call('PUT', '/people?dryRun=true', { people: [] })
  t.match(dry.body, { dryRun: true, revision: 2 })
  const stale = await session.call('PUT', '/people', { people: [] }, { headers: { 'if-match': '"7"' } })
  t.equal(stale.status, 412)
  t.match(stale.body, { code: 'stale_write', current: { revision: 1 } })
})

t.test('a login, or a person, that is there twice is refused by its place, whatever its case', async (t) => {
  const session = await startAdmin(t)
  for (const [wrong, field] of [
    [[...people, { person: 'Alice', logins: [] }], 'people/2/person'],
    [[...people, { person: 'eve', logins: ['x', 'OctoCat'] }], 'people/2/logins/1'],
  ] as const) {
    const refused = await session.call('PUT', '/people', { people: wrong })
    t.equal(refused.status, 400)
    t.match(at(refused.body, 'errors'), [{ field }])
  }
})

t.test('operators read the list and do not change it; who sees only some channels does neither', async (t) => {
  const session = await startAdmin(t)
  await session.done('PUT', '/people', { people })
  const operator = { token: await session.token('operator') }
  t.equal((await session.call('GET', '/people', undefined, operator)).status, 200)
  t.equal((await session.call('PUT', '/people', { people: [] }, operator)).status, 403)
  const limited = { token: await session.token('admin', ['stable/*']) }
  t.equal((await session.call('GET', '/people', undefined, limited)).status, 403)
  const journal = await session.done('GET', '/journal', undefined, limited)
  t.notMatch(JSON.stringify(journal), /octocat|people/)
})

t.test('a token says whose it is: its name unless another person is named', async (t) => {
  const session = await startAdmin(t)
  const [own, other] = [
    await session.token('operator', null, null, 'alice'),
    await session.token('viewer', null, null, 'ci', 'bob'),
  ]
  t.match(await session.done('GET', '/whoami', undefined, { token: own }), { actor: /^alice\//, person: 'alice' })
  t.match(await session.done('GET', '/whoami', undefined, { token: other }), { actor: /^ci\//, person: 'bob' })
  t.match(await session.done('GET', '/whoami'), { actor: 'admin', person: 'admin' })
  t.match(at(await session.done('GET', '/tokens'), 'items'), [
    { name: 'alice', person: 'alice' },
    { name: 'ci', person: 'bob' },
  ])
  t.equal((await session.call('POST', '/tokens', { name: 'x', role: 'viewer', person: 'a/github' })).status, 400)
})

t.test('admins are bound, too: own_change, too_many_authors, approvals_required', async (t) => {
  const session = await startRollouts(t)
  const rules = (approvals: number) => session.pipeline([{ name: 'all', channels: ['all'], approvals }])
  await rules(1)
  await session.register(1, { changes: [{ id: '7', title: 'Faster joins', author: 'ada' }] })
  const own = await session.call('POST', `/releases/${cloud(1)}/changes/7/verify`, {})
  t.match([own.status, at(own.body, 'code')], [409, 'own_change'])
  await rules(0)
  const lowered = await session.step('rebase', {}, 1)
  t.match([lowered.status, at(lowered.body, 'code')], [409, 'approvals_required'])
  const edit = (index: number, token: string) =>
    session.call('PATCH', `/releases/${cloud(1)}`, { minAgentVersion: `14.0.${index}` }, { token })
  for (let index = 1; index < 100; index += 1) {
    const token = await session.token('operator', null, null, `p${index}`)
    t.equal((await edit(index, token)).status, 200)
  }
  const last = await edit(100, await session.token('operator', null, null, 'late'))
  t.match([last.status, at(last.body, 'code')], [409, 'too_many_authors'])
})
