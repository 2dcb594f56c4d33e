// What the control plane logs of requests, at the finest level: enough to find a fault, and no secret.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import { buildControlPlane } from '../../../src/app/control-plane.ts'
import { AllowedHosts } from '../../../src/control/allowed-hosts.ts'
import { Upstreams } from '../../../src/control/upstreams.ts'
import { buildMetrics } from '../../../src/routes/metrics.ts'
import { SnapshotHolder } from '../../../src/serve/holder.ts'
import { Lifecycle } from '../../../src/serve/lifecycle.ts'
import { openOutside } from '../../../src/open-outside.ts'
import { Replica } from '../../../src/serve/replica.ts'
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts'
import { localCoordination } from '../../../src/store/local-coordination.ts'
import { at } from '../../fixtures/admin-json.ts'
import { bearer } from '../../fixtures/admin-session.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'
import { ADMIN_TOKEN } from '../../fixtures/planes.ts'
import { wrapped } from '../../fixtures/store-wrapped.ts'

t.test('a fault is in the log under the request id of its answer, and no token ever is', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'bellwether-log-'))
  const embedded = await openEmbeddedStore(dataDir)
  let text = ''
  const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => ((text += chunk.toString()), done()) })
  const logger = pino({ level: 'trace' }, sink)
  const store = wrapped(embedded, {
    commit: (change) =>
      change.kind === 'channel.halt' ? Promise.reject(new Error('the fault')) : embedded.commit(change),
  })
  const holder = new SnapshotHolder()
  const clock = new FakeClock()
  const replica = new Replica({ store, holder, clock, log: logger, maxAgeS: 10, dataDir })
  await replica.start()
  const warnings = (): [] => []
  const { registry, count } = buildMetrics({ holder, replica, warnings, clock, polls: null })
  const coordination = localCoordination(() => clock.now())
  const deps = {
    store,
    coordination,
    replica,
    replicaId: 'one',
    processToken: 'a1b2c3d4',
    clock,
    upstreams: new Upstreams(new AllowedHosts(null, 'BELLWETHER_UPSTREAM_ALLOW')),
    outside: openOutside({ gatesAllow: [], packagesAllow: null }),
    warnings,
    count,
  }
  const github = { secret: null, verifiedLabel: 'cloud/verified', repositories: null }
  const facts = { holder, role: 'all', build: 'test', startedAt: 0, processes: () => 1 }
  const app = await buildControlPlane({
    ...{ control: deps, facts, registry, github, logger },
    lifecycle: new Lifecycle(),
    adminToken: ADMIN_TOKEN,
  })
  t.teardown(async () => {
    await app.close()
    await replica.stop()
    await embedded.close()
    await rm(dataDir, { recursive: true, force: true })
  })
  const call = (method: 'GET' | 'POST' | 'PUT', path: string, payload: object, token = ADMIN_TOKEN) =>
    app.inject({ method, url: `/admin/v1${path}`, headers: bearer(token), payload })
  const token = String(at((await call('POST', '/tokens', { name: 'ann', role: 'admin' })).json(), 'token'))
  await call('POST', '/channels', { name: 'a', source: { kind: 'static', version: '1.0.0' } }, token)
  await call('PUT', '/channels/a/version', { version: 5 }, token)
  await call('GET', '/whoami', {}, `${token}x`)
  const fault: unknown = (await call('PUT', '/channels/a/halt', { reason: 'r' }, token)).json()
  t.equal(at(fault, 'code'), 'internal_error')
  const lines = text
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line))
  const logged = lines.find((line) => at(line, 'reqId') === at(fault, 'requestId'))
  t.hasStrict(logged, { level: 50, msg: 'a request failed' })
  t.equal(at(logged, 'err', 'message'), 'the fault')
  t.notOk(text.includes(token.slice(16)) || text.includes(ADMIN_TOKEN))
  await embedded.close()
  t.equal((await call('PUT', '/channels/a/version', { version: '1.0.1' }, token)).statusCode, 503)
  t.notOk(text.includes(token.slice(16)) || text.includes(ADMIN_TOKEN))
  t.notMatch(text, /"hash"/)
})
