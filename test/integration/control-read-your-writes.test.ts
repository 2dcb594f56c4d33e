// Read your writes across the planes: whatever the admin API has answered, agents get from that moment on.
import fc from 'fast-check'
import t from 'tap'
import { at, isObject } from '../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession, type Method } from '../fixtures/admin-session.ts'

const NAMES = ['stable/cloud', 'beta', 'a/b/c']
const VERSIONS = ['15.1.3', '15.1.4', '15.2.0', '16.0.0', 'v15.1.4-k3s1']
const reason = 'because'

interface Step {
  readonly method: Method
  readonly path: (name: string) => string
  readonly body: object
}

const step = (method: Method, rest: string, body: object): Step => ({
  method,
  path: (name) => channelPath(name, rest),
  body,
})

const steps: fc.Arbitrary<Step> = fc
  .constantFrom(...VERSIONS)
  .chain((version) =>
    fc.constantFrom(
      step('PUT', '/version', { version, reason, force: true }),
      step('PUT', '/version', { version, critical: true, reason, force: true }),
      step('PUT', '/version', { version: null }),
      step('PUT', '/pin', { version, reason, force: true }),
      step('DELETE', '/pin', { reason, force: true }),
      step('PUT', '/halt', { reason }),
      step('DELETE', '/halt', { reason, force: true }),
      step('PUT', '/critical', { critical: true, reason }),
      step('PUT', '/critical', { critical: false, reason }),
      step('POST', '/rollback', { reason, force: true }),
      step('PATCH', '', { description: version }),
      step('DELETE', '', {}),
      { method: 'POST', path: () => '/channels', body: { name: '', source: { kind: 'static', version } } },
    ),
  )

/** Fails unless agents get, on every path, exactly what an admin answer says is in effect. */
async function expectServed(session: AdminSession, name: string, answer: unknown): Promise<void> {
  const { asAgent } = session.planes
  const version = await asAgent(`/v1/${name}/version`)
  const critical = await asAgent(`/v1/${name}/critical`)
  const webapi = await asAgent(`/v1/webapi/automaticupgrades/channel/${name}/version`)
  const revision = (await session.planes.poll.inject(`/v1/${name}/version`)).headers['bellwether-revision']
  const effective = at(answer, 'effective')
  const wanted = at(effective, 'version')
  const unknown = '404 unknown channel'
  let expected = [unknown, unknown, unknown]
  if (isObject(effective)) {
    const named = typeof wanted === 'string' ? wanted : null
    const urgent = effective['critical'] === true ? 'yes' : 'no'
    expected = [named ?? `404 channel ${name} has no target version`, urgent, named === null ? 'none' : `v${named}`]
  }
  const got = [version, critical, webapi].join()
  if (got !== expected.join()) throw new Error(`${name}: ${got} and not ${expected.join()}`)
  if (isObject(effective) && revision !== String(at(answer, 'revision')))
    throw new Error(`${name}: revision ${String(revision)}`)
}

t.test('after every answer of the admin API agents get what it says', async (t) => {
  const session = await startAdmin(t)
  let changes = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...NAMES), steps), { minLength: 3, maxLength: 8 }),
      async (run) => {
        for (const [name, { method, path, body }] of run) {
          const reply = await session.call(method, path(name), 'name' in body ? { ...body, name } : body)
          if (reply.status < 300) {
            // One that was so already makes no entry.
            if (at(reply.body, 'unchanged') !== true) changes += 1
            await expectServed(session, name, reply.status === 204 ? null : reply.body)
          } else {
            const now = await session.call('GET', channelPath(name))
            await expectServed(session, name, now.status === 200 ? now.body : null)
          }
        }
      },
    ),
    { numRuns: 50 },
  )
  t.ok(changes > 60, `${changes} changes were carried out`)
  t.equal((await session.journal()).length, changes)
})

t.test('so it is when many changes are under way at the same time', async (t) => {
  const session = await startAdmin(t)
  for (const name of NAMES) await session.channel(name)
  const patches = Array.from({ length: 30 }, (_, index) => `15.1.${index + 10}`)
  for (const name of NAMES) {
    await Promise.all(
      patches.map(async (version) => {
        const answer = await session.done('PUT', channelPath(name, '/version'), { version })
        const { headers } = await session.planes.poll.inject(`/v1/${name}/version`)
        // A later change may be served already, never an earlier one.
        t.ok(Number(headers['bellwether-revision']) >= Number(at(answer, 'revision')))
      }),
    )
  }
})
