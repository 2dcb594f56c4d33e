// What is thrown once a route has answered: always a problem document, and a change that was made is never said to have failed.
import Fastify from 'fastify'
import t from 'tap'
import { answerWrites, writeRequest } from '../../../src/routes/admin/write-request.ts'
import { sendError } from '../../../src/routes/admin/problem.ts'
import { StoreUnavailable } from '../../../src/store/port.ts'
import { at } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession } from '../../fixtures/admin-session.ts'

const CLOUD = channelPath('stable/cloud')
const SECRET = 'an internal message'

/** Makes everything fail that looks for what must be hidden. */
function breakHiding(session: AdminSession): void {
  const { state } = session.planes.deps.replica
  if (state === null) throw new Error('nothing is loaded')
  const generationOf = state.generationOf.bind(state)
  state.generationOf = (kind) => {
    if (kind === 'release') throw new TypeError(SECRET)
    return generationOf(kind)
  }
}

t.test('what cannot be shown to a caller is internal_error, and nothing of it is sent', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const token = await session.token('viewer')
  breakHiding(session)
  for (const path of ['/channels', CLOUD, channelPath('no/such')]) {
    const reply = await session.call('GET', path, undefined, { token })
    t.match([reply.status, at(reply.body, 'code')], [500, 'internal_error'], path)
    t.match(reply.headers['content-type'], /^application\/problem\+json/)
    t.notMatch(JSON.stringify(reply.body), /internal message|15\.1\.4/)
  }
})

t.test('a change whose answer fails is write_outcome_unknown with its entry, and its retry finds it', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  const token = await session.token('operator')
  breakHiding(session)
  const reply = await session.call('PUT', `${CLOUD}/version`, { version: '15.1.5' }, { token })
  t.match([reply.status, at(reply.body, 'code')], [503, 'write_outcome_unknown'])
  const seq = (await session.lastEntry()).seq
  t.equal(at(reply.body, 'seq'), seq)
  t.equal(reply.headers['bellwether-seq'], String(seq))
  t.match(at(reply.body, 'detail'), new RegExp(`is made, as journal entry ${seq}`))
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), '15.1.5')
  const key = String(at(reply.body, 'requestId'))
  const retry = (version: string) =>
    session.call('PUT', `${CLOUD}/version`, { version }, { token, headers: { 'idempotency-key': key } })
  const again = await retry('15.1.5')
  t.match([again.headers['idempotency-replayed'], again.headers['bellwether-seq']], ['true', String(seq)])
  t.equal((await session.lastEntry()).seq, seq)
})

t.test('a write that waits is answered as made, whatever goes wrong with the wait', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud')
  session.planes.deps.coordination.announced = () => Promise.reject(new TypeError(SECRET))
  const reply = await session.call('PUT', `${CLOUD}/version?wait=replicas`, { version: '15.1.5' })
  t.equal(reply.status, 200)
  t.equal(reply.headers['bellwether-not-applied-by'], 'unknown')
})

/** A server with the reply hooks of the control plane and one that fails, beside a write that is committed as entry 7. */
async function failing(fail: { readonly when: 'onSend' | 'preSerialization'; readonly times: number }) {
  const session = { replicaId: 'this-one' }
  const app = Fastify()
  app.setErrorHandler(sendError)
  let failures = 0
  await app.register(async (admin) => {
    admin.setErrorHandler(sendError)
    answerWrites(admin, session as never) // Nothing here waits for replicas.
    admin.addHook('preHandler', async (request) => {
      request.identity = { actor: 'a/b', role: 'admin', channels: null } as never // Only the actor is read.
    })
    admin.addHook(fail.when, async () => {
      failures += 1
      if (failures <= fail.times) throw new StoreUnavailable(SECRET)
    })
    admin.get('/read', async () => ({ ok: true }))
    admin.post('/write', (request, reply) => {
      writeRequest(request, null).onCommitted({ seq: 7 } as never, false) // Only the seq is read.
      return reply.send({ ok: true })
    })
    admin.post('/bad-header', (request, reply) => {
      writeRequest(request, null).onCommitted({ seq: 7 } as never, false) // As above.
      return reply.header('X-Bad', 'a\r\nb').send({ ok: true })
    })
  })
  return app
}

for (const when of ['onSend', 'preSerialization'] as const) {
  for (const times of [1, 2, Number.POSITIVE_INFINITY]) {
    t.test(`a hook ${when} that fails ${times} times bypasses no problem document`, async (t) => {
      for (const [method, url, code] of [
        // Past the hooks nothing is said of the store: the last thing that has failed is an answer.
        ['GET', '/read', times === 1 ? 'store_unavailable' : 'internal_error'],
        ['POST', '/write', 'write_outcome_unknown'],
      ] as const) {
        const app = await failing({ when, times })
        const reply = await app.inject({ method, url })
        t.match(reply.headers['content-type'], /^application\/problem\+json/)
        t.match(reply.json(), { code, status: reply.statusCode }, url)
        t.notMatch(reply.body, SECRET)
        await app.close()
      }
    })
  }
}

t.test('a header that cannot be sent does not bypass the problem document either', async (t) => {
  const app = await failing({ when: 'onSend', times: 0 })
  t.teardown(() => app.close())
  const reply = await app.inject({ method: 'POST', url: '/bad-header' })
  t.match(reply.json(), { code: 'write_outcome_unknown', seq: 7 })
  t.equal(reply.headers['x-bad'], undefined)
})
