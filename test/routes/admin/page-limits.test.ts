// How many items a page of a list has where nobody says: as many as the OpenAPI document promises, in every list.
import t from 'tap'
import { at, itemsOf } from '../../fixtures/admin-json.ts'
import { listAt, startRollouts } from '../../fixtures/rollout-session.ts'

/** More than a page of each. */
const MADE = 101

/** A path of every list that has pages, by its operation. */
const LISTS = new Map([
  ['listChannels', '/channels'],
  ['getChannelHistory', '/channels/c0/history'],
  ['readJournal', '/journal'],
  ['listReleases', '/releases'],
  ['listRollouts', '/rollouts/cloud'],
])

t.test('a list has the page that its document promises, unless it is told another limit', async (t) => {
  const session = await startRollouts(t)
  await session.pipeline([{ name: 'all', channels: ['c0'] }])
  for (let made = 1; made <= MADE; made += 1) {
    await session.register(made)
    await session.channel(`c${made}`)
    await session.done('PATCH', '/channels/c0', { description: `the ${made}th` })
  }
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
    t.equal(itemsOf(await session.done('GET', `${path}?limit=${MADE}`)).length, MADE, `${id} with a limit`)
  }
})
