// The words of problem documents are looked through, unless their code is known for words that are nobody else's.
import Fastify from 'fastify'
import t from 'tap'
import type { ErrorCode } from '../../../src/errors.ts'
import { hideEmbargoed } from '../../../src/routes/admin/hide-embargoed.ts'
import { sendProblem } from '../../../src/routes/admin/problem.ts'
import { startRollouts } from '../../fixtures/rollout-session.ts'

const FIX = 'CVE-2026-12345'

t.test('a problem of a code that nobody has thought of is looked through', async (t) => {
  const session = await startRollouts(t)
  await session.register(1, { security: { embargoed: true, fixes: [FIX] } })
  const app = Fastify()
  t.teardown(() => app.close())
  app.decorateRequest('identity', null)
  app.addHook('onRequest', async (request) => {
    request.identity = { actor: 'vera', role: 'viewer', channels: null }
  })
  hideEmbargoed(app, session.planes.deps)
  const detail = `somebody has written ${FIX}`
  const errors = [{ field: 'reason', message: detail }]
  app.get('/known', (request, reply) => sendProblem(request, reply, 'invalid_request', { detail, errors }))
  app.get('/new', (_request, reply) =>
    reply.code(409).send({ type: 'urn:bellwether:error:new_code', title: 'New', code: 'new_code', detail, errors }),
  )
  app.get('/none', (_request, reply) => reply.code(409).send({ type: 'urn:bellwether:error:', title: 'New', detail }))
  for (const code of ['held_back', 'guard_refused', 'release_over', 'rollout_over'] satisfies ErrorCode[])
    app.get(`/${code}`, (request, reply) => sendProblem(request, reply, code, { detail, errors }))
  const known = await app.inject('/known')
  t.match(known.json(), { detail, errors }, 'it only says back what was sent')
  for (const path of ['/new', '/none', '/held_back', '/guard_refused', '/release_over', '/rollout_over']) {
    const answer = await app.inject(path)
    t.notMatch(answer.body, FIX, path)
    t.match(answer.json(), { detail: 'embargoed change' })
  }
})
