// What operators do to a target: version, pin, unpin, critical, halt, resume; what agents get, and what guards refuse.
import t from 'tap'
import { at, isObject } from '../../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession, type Method } from '../../fixtures/admin-session.ts'
import { HOUR_MS } from '../../fixtures/channel-samples.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'

interface Refused {
  readonly method: Method
  readonly rest: string
  readonly body: object
  readonly guard: string
}

async function started(t: Parameters<typeof startAdmin>[0], version = '15.1.4'): Promise<AdminSession> {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', version)
  return session
}

function polled(session: AdminSession): Promise<string[]> {
  const paths = ['/v1/stable/cloud/version', '/v1/stable/cloud/critical']
  return Promise.all([...paths, '/webapi/automaticupgrades/channel/stable/cloud/version'].map(session.planes.asAgent))
}

t.test('a new version is served, and says so in the journal with document before and after', async (t) => {
  const session = await started(t)
  const body = { version: 'v15.1.5-k3s1', critical: true, criticalUntil: '2026-03-01T01:00:00Z', reason: 'CVE' }
  const reply = await session.call('PUT', `${CLOUD}/version`, body)
  t.equal(reply.status, 200)
  t.equal(reply.headers['etag'], 'W/"2"')
  t.hasStrict(reply.body, {
    source: { kind: 'static', version: '15.1.5-k3s1', critical: true, criticalUntil: '2026-03-01T01:00:00.000Z' },
    effective: { version: '15.1.5-k3s1', critical: true, because: 'source', detail: null },
    lastServed: '15.1.5-k3s1',
  })
  t.strictSame(await polled(session), ['15.1.5-k3s1', 'yes', 'v15.1.5-k3s1'])
  const { changes, ...entry } = await session.lastEntry()
  t.hasStrict(entry, { seq: 2, actor: 'admin', kind: 'channel.version', reason: 'CVE' })
  t.equal(at(changes[0]?.before?.body, 'source', 'version'), '15.1.4')
  t.equal(at(changes[0]?.after?.body, 'source', 'version'), '15.1.5-k3s1')
  t.equal(changes[0]?.after?.revision, 2)
  await session.planes.clock.advance(HOUR_MS)
  t.strictSame(await polled(session), ['15.1.5-k3s1', 'no', 'v15.1.5-k3s1'], 'critical ends by itself')
  t.equal(at(await session.done('GET', CLOUD), 'effective', 'critical'), false)
})

t.test('a version set to null tells agents to stay', async (t) => {
  const session = await started(t)
  await session.done('PUT', `${CLOUD}/version`, { version: null })
  t.strictSame(await polled(session), ['404 channel stable/cloud has no target version', 'no', 'none'])
  const critical = await session.call('PUT', `${CLOUD}/version`, { version: null, critical: true })
  t.equal(at(critical.body, 'errors', 0, 'field'), 'critical')
})

t.test('a pin overrides the source, a version set meanwhile waits below it, and unpinning goes there', async (t) => {
  const session = await started(t)
  const pinned = await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.2', critical: true, reason: 'crash loop' })
  t.hasStrict(pinned, {
    pin: { version: '15.1.2', critical: true, reason: 'crash loop', by: 'admin', until: null },
    effective: { version: '15.1.2', critical: true, because: 'pin', detail: null },
  })
  t.hasStrict(await session.lastEntry(), { kind: 'channel.pin', reason: 'crash loop' })
  t.strictSame(await polled(session), ['15.1.2', 'yes', 'v15.1.2'])
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.6' })
  t.strictSame(await polled(session), ['15.1.2', 'yes', 'v15.1.2'])
  const unpinned = await session.done('DELETE', `${CLOUD}/pin`, { reason: 'fixed' })
  t.hasStrict(unpinned, { pin: null, effective: { version: '15.1.6', critical: false, because: 'source' } })
  t.hasStrict(await session.lastEntry(), { kind: 'channel.unpin', reason: 'fixed' })
  t.strictSame(await polled(session), ['15.1.6', 'no', 'v15.1.6'])
})

t.test('a pin with an end ends by itself; one whose end a guard forbids stays and says why', async (t) => {
  const session = await started(t)
  const until = '2026-03-01T01:00:00Z'
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.2', until, reason })
  await session.planes.clock.advance(HOUR_MS)
  t.strictSame(await polled(session), ['15.1.4', 'no', 'v15.1.4'])
  t.equal(at(await session.done('GET', CLOUD), 'effective', 'because'), 'expired')
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.2', until: '2026-03-01T02:00:00Z', reason })
  await session.done('PUT', '/blocked-versions/15.1.4', { reason })
  await session.planes.clock.advance(2 * HOUR_MS)
  t.strictSame(await polled(session), ['15.1.2', 'no', 'v15.1.2'])
  const held = await session.done('GET', CLOUD)
  t.equal(at(held, 'effective', 'because'), 'held')
  t.match(at(held, 'effective', 'detail'), /15\.1\.4 is on the block list/)
})

t.test('a halt hides everything, and resuming brings it back', async (t) => {
  const session = await started(t)
  const halted = await session.done('PUT', `${CLOUD}/halt`, { reason: 'storage' })
  t.hasStrict(halted, {
    halt: { reason: 'storage', by: 'admin', at: '2026-03-01T00:00:00.000Z' },
    effective: { version: null, critical: false, because: 'halt' },
  })
  t.hasStrict(await session.lastEntry(), { kind: 'channel.halt', reason: 'storage' })
  t.strictSame(await polled(session), ['404 channel stable/cloud has no target version', 'no', 'none'])
  await session.done('DELETE', `${CLOUD}/halt`, { reason: 'over' })
  t.hasStrict(await session.lastEntry(), { kind: 'channel.resume', reason: 'over' })
  t.strictSame(await polled(session), ['15.1.4', 'no', 'v15.1.4'])
})

t.test('urgency is set on the pin where there is one, and ends where it is told to', async (t) => {
  const session = await started(t)
  const body = { critical: true, until: '2026-03-01T01:00:00Z', reason }
  t.equal(at(await session.done('PUT', `${CLOUD}/critical`, body), 'source', 'critical'), true)
  t.hasStrict(await session.lastEntry(), { kind: 'channel.critical', reason })
  t.strictSame(await polled(session), ['15.1.4', 'yes', 'v15.1.4'])
  await session.done('PUT', `${CLOUD}/critical`, { critical: false, reason })
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.1.2', reason })
  const pinned = await session.done('PUT', `${CLOUD}/critical`, body)
  t.equal(at(pinned, 'pin', 'critical'), true)
  t.equal(at(pinned, 'source', 'critical'), false)
  await session.planes.clock.advance(HOUR_MS)
  t.strictSame(await polled(session), ['15.1.2', 'no', 'v15.1.2'])
})

t.test('what does not fit the state is refused: not_pinned, not_halted, no_target, no_earlier_version', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', null)
  for (const [method, rest, body, code] of [
    ['DELETE', '/pin', { reason }, 'not_pinned'],
    ['DELETE', '/halt', { reason }, 'not_halted'],
    ['PUT', '/critical', { reason, critical: true }, 'no_target'],
    ['POST', '/rollback', { reason }, 'no_earlier_version'],
  ] as const) {
    const reply = await session.call(method, CLOUD + rest, body)
    t.equal(reply.status, 409)
    t.equal(at(reply.body, 'code'), code)
    const dry = await session.call(method, `${CLOUD}${rest}?dryRun=true`, body)
    t.hasStrict(dry.body, { status: 409, code })
  }
  t.equal((await session.journal()).length, 1)
})

t.test('each guard refuses with its name, what is served, and what to do: guard_refused', async (t) => {
  const session = await started(t, '15.1.4')
  await session.done('PUT', '/blocked-versions/15.1.9', { reason })
  await session.done('PATCH', CLOUD, { floor: '13.0.0', ceiling: '19.0.0' })
  const versions = [
    ['15.1', 'not-a-version', /does not have three numbers/],
    ['latest', 'not-a-version', /a version is like/],
    ['15.0.0-cloud.20230712T123633.012345', 'not-a-version', /leading zero/],
    ['15.1.9', 'blocked-version', /block list/],
    ['v15.1.9', 'blocked-version', /block list/],
    ['12.0.0', 'floor', /floor 13\.0\.0/],
    ['20.0.0', 'ceiling', /ceiling 19\.0\.0/],
    ['14.9.9', 'major-downgrade', /admin may force it/],
    ['17.0.0', 'major-jump', /one major at a time/],
  ] as const
  const before = await session.digest()
  for (const [version, guard, detail] of versions) {
    const calls: Refused[] = [
      { method: 'PUT', rest: '/version', body: { version }, guard },
      { method: 'PUT', rest: '/pin', body: { version, reason }, guard },
      { method: 'PATCH', rest: '', body: { source: { kind: 'static', version } }, guard },
    ]
    for (const { method, rest, body } of calls) {
      const reply = await session.call(method, CLOUD + rest, body)
      t.equal(reply.status, 422, `${version} ${rest}`)
      t.hasStrict(reply.body, { code: 'guard_refused', guard, served: '15.1.4' })
      t.match(at(reply.body, 'detail'), detail)
      const dry = await session.call(method, `${CLOUD}${rest}?dryRun=true`, body)
      t.hasStrict(dry.body, { status: 422, code: 'guard_refused', guard })
      t.strictSame(at(dry.body, 'verdicts'), at(reply.body, 'verdicts'))
    }
  }
  t.equal(await session.digest(), before)
})

t.test('only the guards on majors can be forced, and only with a reason', async (t) => {
  const session = await started(t)
  await session.done('PUT', '/blocked-versions/14.0.0', { reason })
  const noReason = await session.call('PUT', `${CLOUD}/version`, { version: '17.0.0', force: true })
  t.equal(noReason.status, 400)
  t.equal(at(noReason.body, 'errors', 0, 'field'), 'reason')
  t.equal((await session.call('PUT', `${CLOUD}/version`, { version: '14.0.0', force: true, reason })).status, 422)
  t.equal((await session.call('PUT', `${CLOUD}/version`, { version: 'x', force: true, reason })).status, 422)
  await session.done('PUT', `${CLOUD}/version`, { version: '17.0.0', force: true, reason })
  await session.done('PUT', `${CLOUD}/pin`, { version: '15.0.0', force: true, reason })
  const refused = await session.call('DELETE', `${CLOUD}/pin`, { reason })
  t.hasStrict(refused.body, { code: 'guard_refused', guard: 'major-jump', served: '15.0.0' })
  await session.done('DELETE', `${CLOUD}/pin`, { reason, force: true })
  t.strictSame(await polled(session), ['17.0.0', 'no', 'v17.0.0'])
})

t.test('a halt is no way round the guards', async (t) => {
  const session = await started(t)
  await session.done('PUT', `${CLOUD}/halt`, { reason })
  const jump = await session.call('PUT', `${CLOUD}/version`, { version: '19.0.0' })
  t.equal(at(jump.body, 'guard'), 'major-jump')
  await session.done('PUT', `${CLOUD}/version`, { version: '16.0.0' })
  await session.done('PUT', '/blocked-versions/16.0.0', { reason })
  const blocked = await session.call('DELETE', `${CLOUD}/halt`, { reason })
  t.hasStrict(blocked.body, { code: 'guard_refused', guard: 'blocked-version', served: null })
  await session.done('PUT', `${CLOUD}/version`, { version: '17.0.0' })
  const jumped = await session.call('DELETE', `${CLOUD}/halt`, { reason })
  t.hasStrict(jumped.body, { code: 'guard_refused', guard: 'major-jump', served: null })
  await session.done('DELETE', `${CLOUD}/halt`, { reason, force: true })
  t.strictSame(await polled(session), ['17.0.0', 'no', 'v17.0.0'])
})

t.test('a missing or blank reason is refused, with the field, wherever one is needed', async (t) => {
  const session = await started(t)
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.5' })
  await session.done('PUT', `${CLOUD}/halt`, { reason })
  await session.done('PUT', `${CLOUD}/pin`, { reason, version: '15.1.4' })
  const before = await session.digest()
  for (const [method, path, body] of [
    ['PUT', `${CLOUD}/pin`, { version: '15.1.2' }],
    ['DELETE', `${CLOUD}/pin`, {}],
    ['POST', `${CLOUD}/rollback`, {}],
    ['PUT', `${CLOUD}/critical`, { critical: true }],
    ['PUT', `${CLOUD}/halt`, {}],
    ['DELETE', `${CLOUD}/halt`, {}],
    ['PUT', '/blocked-versions/1.0.0', {}],
    ['DELETE', '/blocked-versions/1.0.0', {}],
  ] as const) {
    for (const given of [
      {},
      { reason: '' },
      { reason: ' \n\t\u00a0' },
      { reason: null },
      { reason: 'x'.repeat(1_001) },
    ]) {
      for (const query of ['', '?dryRun=true']) {
        const reply = await session.call(method, path + query, { ...body, ...given })
        const label = `${method} ${path}${query} ${JSON.stringify(given).slice(0, 30)}`
        if (reply.status === 200) {
          t.equal(at(reply.body, 'refusal', 'code'), 'invalid_request', label)
          t.match(at(reply.body, 'refusal', 'detail'), /is missing; say/, label)
          continue
        }
        t.equal(reply.status, 400, label)
        t.equal(at(reply.body, 'errors', 0, 'field'), 'reason', label)
      }
    }
  }
  t.equal(await session.digest(), before)
})

t.test('moments must be moments in the future, and need a critical that is true', async (t) => {
  const session = await started(t)
  for (const [rest, body, field] of [
    ['/pin', { version: '15.1.2', reason, until: '2026-02-28T23:59:59Z' }, 'until'],
    ['/pin', { version: '15.1.2', reason, until: '2026-03-01T00:00:00Z' }, 'until'],
    ['/pin', { version: '15.1.2', reason, until: 'tomorrow' }, 'until'],
    ['/pin', { version: '15.1.2', reason, until: '2026-03-02' }, 'until'],
    ['/pin', { version: '15.1.2', reason, until: '2026-02-31T00:00:00Z' }, 'until'],
    ['/critical', { critical: true, reason, until: '2020-01-01T00:00:00Z' }, 'until'],
    ['/critical', { critical: false, reason, until: '2027-01-01T00:00:00Z' }, 'until'],
    ['/version', { version: '15.1.5', criticalUntil: '2027-01-01T00:00:00Z' }, 'criticalUntil'],
    ['/version', { version: '15.1.5', critical: true, criticalUntil: '' }, 'criticalUntil'],
  ] as const) {
    const reply = await session.call('PUT', CLOUD + rest, body)
    t.equal(reply.status, 400, JSON.stringify(body))
    t.equal(at(reply.body, 'errors', 0, 'field'), field)
    const message = at(reply.body, 'errors', 0, 'message')
    t.ok(typeof message === 'string' && message.length > 10)
  }
  t.equal((await session.journal()).length, 1)
})

t.test('a document shows only its own members, whatever the body of the change had', async (t) => {
  const session = await started(t)
  await session.done('PATCH', CLOUD, { description: 'x', reason, force: false })
  await session.done('PUT', `${CLOUD}/version`, { version: '15.1.5', reason, force: true })
  const { changes } = await session.lastEntry()
  const body = changes[0]?.after?.body
  t.ok(isObject(body))
  t.strictSame(
    Object.keys(body ?? {}).toSorted(),
    [
      ...['ceiling', 'description', 'floor', 'halt', 'lastServed', 'name', 'pin', 'source', 'updatedAt', 'updatedBy'],
    ].toSorted(),
  )
})
