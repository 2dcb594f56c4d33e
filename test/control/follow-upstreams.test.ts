// Following upstreams: what a poll changes, and what it does not; who polls, and who polls on when that one is gone.
import t, { type Test } from 'tap'
import { followUpstreams, type FollowOptions } from '../../src/control/follow-upstreams.ts'
import { StoreUnavailable } from '../../src/store/port.ts'
import { at, itemsOf } from '../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession } from '../fixtures/admin-session.ts'
import type { PlanesOptions } from '../fixtures/planes.ts'
import { eventually } from '../fixtures/poll-clock.ts'
import { silent } from '../fixtures/silent-log.ts'
import { answering, startUpstream, type UpstreamServer } from '../fixtures/upstream-server.ts'

const INTERVAL_MS = 60_000
/** Longer than an interval with its jitter. */
const ROUND_MS = 70_000
/** No upstream here is so slow that it is given up, however busy the machine is. */
const PATIENT_MS = 60_000
const MANY = 60
const X = channelPath('edge/x')
const reason = 'because'

type Counted = Parameters<FollowOptions['count']>[0]

interface Following {
  readonly session: AdminSession
  readonly upstream: UpstreamServer
  readonly counted: Counted[]
  readonly stop: () => Promise<void>
  /** Lets time pass until the next poll has ended. */
  round(): Promise<void>
  kinds(): Promise<readonly string[]>
}

/** A server that follows one upstream with channel edge/x. */
async function following(t: Test, options: PlanesOptions = {}): Promise<Following> {
  const upstream = await startUpstream(t)
  const session = await startAdmin(t, { upstreamAllow: ['127.0.0.1'], ...options })
  await session.done('POST', '/channels', { name: 'edge/x', source: { kind: 'forward', url: upstream.url('x') } })
  const counted: Counted[] = []
  const { deps, clock } = session.planes
  const stop = followUpstreams(
    deps,
    { intervalMs: INTERVAL_MS, timeoutMs: PATIENT_MS, count: (outcome) => counted.push(outcome) },
    silent,
  )
  t.teardown(stop)
  const following: Following = {
    session,
    upstream,
    counted,
    stop,
    async round() {
      const before = counted.length
      // While a poll is under way, on real sockets, no other one begins, so it does not matter how much time passes by this clock.
      await eventually(async () => {
        if (counted.length === before) await clock.advance(ROUND_MS / 3)
        return counted.length > before
      })
    },
    async kinds() {
      return (await session.journal()).map(({ kind }) => kind)
    },
  }
  await following.round()
  return following
}

/** Asks an upstream itself; once that is answered, whatever a server has asked before has come in. Answers how much that is. */
async function askedSoFar({ url, requests }: UpstreamServer): Promise<number> {
  const before = requests.length
  const own = `${url('own')}/critical`
  await (await fetch(own)).text()
  const isOwn = ({ path }: { readonly path: string }): boolean => own.endsWith(path)
  if (!requests.slice(before).some(isOwn)) throw new Error('the request of this test has not come in')
  return requests.filter((request) => !isOwn(request)).length
}

t.test('the first answer is served at once and journaled; an answer that is the same changes nothing', async (t) => {
  const { session, round, kinds, counted } = await following(t)
  t.equal(await session.planes.asAgent('/v1/edge/x/version'), '15.1.4')
  t.strictSame(await kinds(), ['channel.create', 'channel.upstream'])
  t.match(await session.lastEntry(), { actor: 'bellwether', reason: 'the upstream answers 15.1.4', requestId: null })
  for (let n = 0; n < 3; n += 1) await round()
  t.strictSame(counted, ['changed', 'unchanged', 'unchanged', 'unchanged'])
  t.equal((await kinds()).length, 2)
  const shown = await session.done('GET', X)
  t.hasStrict(shown, { effective: { version: '15.1.4', because: 'source' }, source: { problem: null } })
  t.ok(Number(at(shown, 'upstream', 'ageS')) < ROUND_MS / 1_000)
})

t.test('it follows: another version, urgency, none, and back', async (t) => {
  const { session, upstream, round } = await following(t)
  const agent = async () =>
    Promise.all(['version', 'critical'].map((value) => session.planes.asAgent(`/v1/edge/x/${value}`)))
  const none = '404 channel edge/x has no target version'
  for (const [version, critical, seen] of [
    ['v15.1.5', 'no', ['15.1.5', 'no']],
    ['v15.1.5', 'yes', ['15.1.5', 'yes']],
    ['none', 'no', [none, 'no']],
    ['15.1.3', 'no', ['15.1.3', 'no']],
  ] as const) {
    upstream.serve(version, critical)
    await round()
    t.strictSame(await agent(), seen, version)
  }
})

t.test('trouble leaves the last good target, and is journaled once for each change of state', async (t) => {
  const { session, upstream, round, kinds } = await following(t)
  const states: readonly (readonly [ReturnType<typeof answering>, string | null])[] = [
    [answering(500, 'oh'), 'invalid'],
    [answering(502, '<html>'), 'invalid'],
    [(_request, response) => void response.destroy(), 'unreachable'],
    [answering(200, '<html>sign in</html>'), 'invalid'],
    [answering(200, '15.1.4'), null],
  ]
  for (const [answer, kind] of states) {
    upstream.serve(answer)
    for (let n = 0; n < 2; n += 1) await round()
    const shown = await session.done('GET', X)
    t.equal(at(shown, 'effective', 'version'), '15.1.4')
    t.equal(at(shown, 'source', 'problem', 'kind') ?? null, kind)
    t.equal(await session.planes.asAgent('/v1/edge/x/version'), '15.1.4')
  }
  t.strictSame((await kinds()).slice(2), [
    'channel.upstream-problem',
    'channel.upstream-problem',
    'channel.upstream-problem',
    'channel.upstream',
  ])
  t.match(await session.lastEntry(), { reason: 'the upstream answers again: 15.1.4' })
})

t.test('an answer that a guard refuses is not served, is shown, and is journaled once for each version', async (t) => {
  const { session, upstream, round, kinds } = await following(t)
  await session.done('PUT', '/blocked-versions/15.1.5', { reason })
  await session.done('PATCH', X, { ceiling: '15.9.0' })
  const before = (await kinds()).length
  for (const [version, message] of [
    ['15.1.5', /the upstream answers 15\.1\.5: .*block list/],
    ['14.0.0', /14\.0\.0 is a lower major/],
    ['18.0.0', /above the channel's ceiling/],
    ['18.0.0', /above the channel's ceiling/],
  ] as const) {
    upstream.serve(version)
    await round()
    const shown = await session.done('GET', X)
    t.hasStrict(shown, { effective: { version: '15.1.4' }, source: { problem: { kind: 'refused' } } })
    t.match(at(shown, 'source', 'problem', 'message'), message)
  }
  t.equal((await kinds()).length, before + 3)
  const metrics = (await session.planes.control.inject('/metrics')).body
  t.notMatch(metrics, /bellwether_upstream_problem\{channel="edge\/x",kind="invalid"\}/)
  upstream.serve('15.2.0')
  await round()
  t.equal(await session.planes.asAgent('/v1/edge/x/version'), '15.2.0')
})

t.test('a pin and a halt stay; the source moves under them', async (t) => {
  const { session, upstream, round } = await following(t)
  await session.done('PUT', `${X}/pin`, { version: '15.1.2', reason })
  upstream.serve('15.1.6')
  await round()
  t.hasStrict(await session.done('GET', X), {
    effective: { version: '15.1.2', because: 'pin' },
    source: { version: '15.1.6' },
  })
  await session.done('DELETE', `${X}/pin`, { reason })
  await session.done('PUT', `${X}/halt`, { reason })
  upstream.serve('15.1.7')
  await round()
  t.hasStrict(await session.done('GET', X), {
    effective: { version: null, because: 'halt' },
    source: { version: '15.1.7' },
  })
})

t.test('a channel without an answer is 503 on every path until there is one, and not while it is pinned', async (t) => {
  const upstream = await startUpstream(t)
  upstream.serve(answering(500, ''))
  const session = await startAdmin(t, { upstreamAllow: ['127.0.0.1'] })
  await session.done('POST', '/channels', { name: 'edge/x', source: { kind: 'forward', url: upstream.url('x') } })
  t.hasStrict(await session.done('GET', X), { effective: { version: null, because: 'unanswered' } })
  for (const path of [
    '/v1/edge/x/version',
    '/v1/edge/x/critical',
    '/webapi/automaticupgrades/channel/edge/x/version',
  ]) {
    const answer = await session.planes.poll.inject(path)
    t.equal(answer.statusCode, 503)
    t.equal(answer.body, 'channel edge/x has no answer from its upstream yet')
    t.hasStrict(answer.headers, { 'retry-after': '10', 'cache-control': 'no-store' })
  }
  await session.done('PUT', `${X}/pin`, { version: '15.1.2', reason })
  t.equal(await session.planes.asAgent('/v1/edge/x/version'), '15.1.2')
})

t.test(
  'a URL that changes is asked at once; a channel that goes is not asked again, and leaves nothing behind',
  async (t) => {
    const { session, upstream, counted } = await following(t)
    const other = await startUpstream(t)
    other.serve('15.1.9')
    await session.done('PATCH', X, { source: { kind: 'forward', url: other.url('y') } })
    t.equal(await session.planes.asAgent('/v1/edge/x/version'), '15.1.4', 'what was served stays until the answer')
    const asked = upstream.requests.length
    const polls = counted.length
    await session.planes.clock.advance(1_000)
    await eventually(() => counted.length > polls)
    t.equal(await session.planes.asAgent('/v1/edge/x/version'), '15.1.9')
    t.equal(await askedSoFar(upstream), asked)
    const askedOther = other.requests.length
    await session.done('DELETE', X)
    await session.planes.clock.advance(ROUND_MS)
    t.equal(await askedSoFar(other), askedOther)
    t.equal((await session.planes.deps.coordination.noted('upstreams')).size, 0)
  },
)

t.test('an answer that comes when the channel follows another upstream, or none, is thrown away', async (t) => {
  const { session, upstream, counted } = await following(t)
  let release = (): void => {}
  upstream.serve((_request, response) => {
    release = () => response.end('15.1.8')
  })
  const asked = upstream.requests.length
  await session.planes.clock.advance(ROUND_MS)
  await eventually(() => upstream.requests.length > asked)
  await session.done('PATCH', X, { source: { kind: 'static', version: '15.1.5' } })
  upstream.serve('15.1.8')
  release()
  await eventually(() => counted.includes('gone'))
  t.equal(counted.at(-1), 'gone')
  t.equal(await session.planes.asAgent('/v1/edge/x/version'), '15.1.5')
})

t.test(
  'of two replicas one polls; the other polls on when the first one stops, or is silent for as long as its lease',
  async (t) => {
    for (const graceful of [true, false]) {
      const { session, stop, upstream, round } = await following(t)
      const { deps, clock } = session.planes
      const others: Counted[] = []
      const count = (outcome: Counted): void => void others.push(outcome)
      const options = { intervalMs: INTERVAL_MS, timeoutMs: PATIENT_MS, count }
      const stopOther = followUpstreams({ ...deps, processToken: 'the-other' }, options, silent)
      t.teardown(stopOther)
      for (let rounds = 0; rounds < 3; rounds += 1) await round()
      t.strictSame(others, [], 'the other one does not poll')
      if (graceful) {
        const stopping = stop()
        await clock.advance(0)
        await stopping
        await clock.advance(1_000)
      } else {
        // A process that is killed renews no lease and gives none back.
        const lease = deps.coordination.lease.bind(deps.coordination)
        deps.coordination.lease = (name, owner, ttlMs) =>
          owner === 'this-one/a1b2c3d4' ? Promise.reject(new StoreUnavailable('gone')) : lease(name, owner, ttlMs)
        await clock.advance(20_000)
      }
      upstream.serve('15.1.7')
      await eventually(async () => {
        if (!others.includes('changed')) await clock.advance(2_000)
        return others.includes('changed')
      })
      t.ok(others.includes('changed'), graceful ? 'after the first one stopped' : 'after its lease has ended')
      t.equal(await session.planes.asAgent('/v1/edge/x/version'), '15.1.7')
      await stopOther()
    }
  },
)

t.test('a clock that is set back puts off no poll', async (t) => {
  const { session, upstream, round } = await following(t)
  session.planes.clock.jump(-3_600_000)
  upstream.serve('15.1.8')
  await round()
  t.equal(await session.planes.asAgent('/v1/edge/x/version'), '15.1.8')
})

t.test('while the store is away nothing is asked and nothing decided; with it all goes on', async (t) => {
  const { session, upstream } = await following(t)
  await session.planes.deps.store.close()
  await session.planes.clock.advance(6_000)
  const asked = upstream.requests.length
  await session.planes.clock.advance(ROUND_MS)
  t.equal(await askedSoFar(upstream), asked)
  t.equal(await session.planes.asAgent('/v1/edge/x/version'), '15.1.4')
})

t.test('upstreams are asked at most twenty at once', async (t) => {
  const { session } = await following(t)
  // Several, since one alone is asked over a few connections only.
  const upstreams = [await startUpstream(t), await startUpstream(t), await startUpstream(t)]
  let open = 0
  let most = 0
  const waiting: (() => void)[] = []
  for (const { serve } of upstreams) {
    serve((_request, response) => {
      open += 1
      most = Math.max(most, open)
      waiting.push(() => {
        open -= 1
        response.end('15.1.4')
      })
    })
  }
  for (let index = 0; index < MANY; index += 1) {
    const name = `many/${index}`
    const url = upstreams[index % upstreams.length]?.url(name) ?? ''
    await session.done('POST', '/channels', { name, source: { kind: 'forward', url } })
  }
  await session.planes.clock.advance(3_000)
  await eventually(() => most >= 20)
  await session.planes.clock.advance(3_000)
  for (const upstream of upstreams) await askedSoFar(upstream)
  t.equal(most, 20)
  for (const { serve } of upstreams) serve('15.1.4')
  for (const answer of waiting.splice(0)) answer()
  const served = async (): Promise<number> =>
    itemsOf(await session.done('GET', '/channels?limit=500')).filter(
      (item) => at(item, 'effective', 'version') !== null,
    ).length
  await eventually(async () => {
    await session.planes.clock.advance(1_000)
    return (await served()) === MANY + 1
  })
  t.pass('and all of them get their turn')
})
