// Idempotency-Key: a request that is sent again is carried out once, and its answer says whether it had been.
import t from 'tap'
import { StoreOutcomeUnknown, type Change, type Store } from '../../../src/store/port.ts'
import { at } from '../../fixtures/admin-json.ts'
import { prepareForRoutes, writeRoutes } from '../../fixtures/admin-routes.ts'
import { channelPath, startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'
import { wrapped } from '../../fixtures/store-wrapped.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'

function key(text: string) {
  return { headers: { 'idempotency-key': text } }
}

/** A store whose answers get lost on the way; `lose` says whether the change is made before that. */
async function losing(t: Parameters<typeof startAdmin>[0]) {
  const answers: { lose: null | 'before' | 'after' } = { lose: null }
  const commit = async (store: Store, change: Change) => {
    if (answers.lose !== 'before') {
      const result = await store.commit(change)
      if (answers.lose === null) return result
    }
    answers.lose = null
    throw new StoreOutcomeUnknown('the connection was lost')
  }
  const session = await startAdmin(t, {
    wrapStore: (store) => wrapped(store, { commit: (change) => commit(store, change) }),
  })
  return { session, answers }
}

async function entryCount(session: AdminSession): Promise<number> {
  return (await session.journal()).length
}

t.test('every write that is sent twice with one key is made once and answered twice', async (t) => {
  for (const { id: operation, method, path, body } of writeRoutes) {
    const session = await startAdmin(t)
    const id = await prepareForRoutes(session)
    const before = await entryCount(session)
    const url = path.replace('{id}', id)
    const first = await session.call(method, url, body, key('k-1'))
    t.ok(first.status < 300, `${operation}: ${first.status}`)
    t.equal(first.headers['idempotency-replayed'], undefined, `${operation} was no repetition`)
    t.equal(first.headers['bellwether-seq'], String(before + 1))
    const again = await session.call(method, url, body, key('k-1'))
    t.equal(await entryCount(session), before + 1, `${operation} was made once`)
    if (operation === 'createToken') {
      t.equal(again.status, 409)
      t.hasStrict(again.body, { code: 'secret_lost', id: at(first.body, 'id') })
      continue
    }
    t.equal(again.status, first.status, operation)
    t.strictSame(again.body, first.body, `${operation} has the same answer`)
    t.equal(again.headers['idempotency-replayed'], 'true', operation)
    t.equal(again.headers['bellwether-seq'], first.headers['bellwether-seq'])
    t.equal(again.headers.etag, first.headers.etag)
  }
})

t.test(
  'where the answer of the store is lost: write_outcome_unknown; the retry tells whether it had been made',
  async (t) => {
    const { session, answers } = await losing(t)
    await session.channel('stable/cloud', '15.1.3')
    for (const [lose, version] of [
      ['after', '15.1.4'],
      ['before', '15.1.5'],
    ] as const) {
      const before = await entryCount(session)
      answers.lose = lose
      const lost = await session.call('PUT', `${CLOUD}/version`, { version })
      t.equal(lost.status, 503)
      t.equal(at(lost.body, 'code'), 'write_outcome_unknown')
      t.ok(lost.headers['retry-after'])
      const retryKey = String(at(lost.body, 'requestId'))
      t.match(at(lost.body, 'detail'), retryKey)
      t.equal(await entryCount(session), before + Number(lose === 'after'))
      const retry = await session.call('PUT', `${CLOUD}/version`, { version }, key(retryKey))
      t.equal(retry.status, 200)
      t.equal(retry.headers['idempotency-replayed'], lose === 'after' ? 'true' : undefined)
      t.equal(at(retry.body, 'effective', 'version'), version)
      t.equal(await entryCount(session), before + 1, 'it was made once in any case')
    }
  },
)

t.test('a retry with the key that was lost with names that key, and not its own id', async (t) => {
  const { session, answers } = await losing(t)
  await session.channel('stable/cloud', '15.1.3')
  answers.lose = 'before'
  const lost = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.4' }, key('mine'))
  t.match(at(lost.body, 'detail'), 'Idempotency-Key: mine ')
})

t.test('a retry is answered although the state would refuse the request by now', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.3', reason })
  await session.done('DELETE', `${CLOUD}/pin`, { reason }, key('unpin'))
  t.equal((await session.call('DELETE', `${CLOUD}/pin`, { reason })).status, 409)
  t.equal((await session.call('DELETE', `${CLOUD}/pin`, { reason }, key('unpin'))).status, 200)
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  const again = await session.call('DELETE', `${CLOUD}/pin`, { reason }, key('unpin'))
  t.equal(at(again.body, 'source', 'version'), '15.1.4', 'it shows what the request had made')
})

t.test(
  'a key belongs to one request: another route, channel or body with it gets idempotency_key_reused',
  async (t) => {
    const session = await startAdmin(t)
    await session.channel('stable/cloud', '15.1.4')
    await session.channel('other', '15.1.4')
    await session.done('PUT', `${CLOUD}/version`, { version: '15.1.5' }, key('k'))
    const before = await session.digest()
    const others = [
      session.call('PUT', `${CLOUD}/version`, { version: '15.1.6' }, key('k')),
      session.call('PUT', `${CLOUD}/version`, { version: '15.1.5', reason }, key('k')),
      session.call('PUT', `${CLOUD}/pin`, { version: '15.1.5', reason }, key('k')),
      session.call('PUT', `${channelPath('other')}/version`, { version: '15.1.5' }, key('k')),
      session.call('PUT', '/blocked-versions/15.0.0', { reason }, key('k')),
      session.call('DELETE', '/blocked-versions/15.0.0', { reason }, key('k')),
      session.call('POST', '/tokens', { name: 'x', role: 'viewer' }, key('k')),
      session.call('DELETE', '/tokens/abc', undefined, key('k')),
    ]
    for (const reply of await Promise.all(others)) {
      t.hasStrict(reply.body, { status: 422, code: 'idempotency_key_reused' })
      t.equal(reply.headers['idempotency-replayed'], undefined)
      t.equal(reply.headers['bellwether-seq'], undefined, 'the other request is none of its business')
    }
    t.equal(await session.digest(), before)
  },
)

t.test('of two requests that are sent at once under one key, one is carried out and the other refused', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  const replies = await Promise.all([
    session.call('PUT', `${CLOUD}/version`, { version: '15.1.5' }, key('k')),
    session.call('PUT', `${CLOUD}/version`, { version: '15.1.6' }, key('k')),
  ])
  t.same(
    replies.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 422],
  )
  const [done] = replies.filter(({ status }) => status === 200)
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), at(done?.body, 'source', 'version'))
})

t.test('a key is of one caller: another one with it is carried out', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  const token = await session.token('operator')
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.5' }, key('k'))
  const other = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.6' }, { ...key('k'), token })
  t.equal(other.status, 200)
  t.equal(other.headers['idempotency-replayed'], undefined)
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.6')
})

t.test('the order of members and `wait` make no other request', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.5', reason }, key('k'))
  for (const path of ['/version', '/version?wait=replicas']) {
    const again = await session.call('PUT', CLOUD + path, { reason, version: '15.1.5' }, key('k'))
    t.equal(again.headers['idempotency-replayed'], 'true')
  }
})

t.test('a dry run neither uses a key nor is answered by one', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  const url = `${CLOUD}/version`
  t.equal(at(await session.done('PUT', `${url}?dryRun=true`, { version: '15.1.5' }, key('k')), 'dryRun'), true)
  const real = await session.call('PUT', url, { version: '15.1.5' }, key('k'))
  t.equal(real.headers['idempotency-replayed'], undefined)
  t.equal(at(await session.done('PUT', `${url}?dryRun=true`, { version: '15.1.6' }, key('k')), 'dryRun'), true)
})

t.test('a key that is none is refused and names its field', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.4')
  for (const text of ['', 'two words', 'ä', 'x'.repeat(129)]) {
    const reply = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.5' }, key(text))
    t.equal(reply.status, 400, text)
    t.equal(at(reply.body, 'errors', 0, 'field'), 'idempotency-key')
  }
})
