// Packages of releases under way, over real sockets: a rollout whose packages are gone is paused before more agents are told of
// it, one fault of the way there pauses nothing, and whoever resumes has the last word.
import t, { type Test } from 'tap'
import {
  PACKAGES_CHECK_MS,
  PACKAGES_FAILURES,
  PACKAGES_RECHECK_MS,
  PackageWatch,
} from '../../src/control/package-watch.ts'
import { rolloutKey, rolloutOf } from '../../src/rollouts/rollout.ts'
import { runningRollouts } from '../../src/control/find-rollout.ts'
import type { PackageCheck } from '../../src/control/package-client.ts'
import { openOutside } from '../../src/open-outside.ts'
import { at, type Fields } from '../fixtures/admin-json.ts'
import { eventually } from '../fixtures/poll-clock.ts'
import { cloud, codesOf, startRollouts, type RolloutSession } from '../fixtures/rollout-session.ts'
import { startUpstream } from '../fixtures/upstream-server.ts'

const reason = 'because'
const GONE_IN_PAUSE = /^paused by bellwether at .*: package .* is answered 404/
const GONE_IN_WORDS = /^package http:.*\/agent\.tgz is answered 404 \(3 checks in a row\); .*, then resume$/

async function start(t: Test, more: Fields = {}) {
  const server = await startUpstream(t)
  const gone = new Set<string>()
  server.serve('', ({ url = '' }, response) => void response.writeHead(gone.has(url) ? 404 : 200).end())
  const session = await startRollouts(t, { packagesAllow: ['127.0.0.1'] })
  const { outside } = session.planes.deps
  const checks = new Set<Promise<readonly PackageCheck[]>>()
  const { checkPackages } = outside
  Object.assign(outside, {
    checkPackages(urls: readonly string[]) {
      const check = checkPackages(urls)
      checks.add(check)
      return check
    },
  })
  const stages = [
    { name: 'canary', channels: ['canary'], auto: true, soakMinutes: 60 },
    { name: 'everyone', channels: ['everyone'] },
  ]
  await session.pipeline(stages, { requirePackages: true, ...more })
  const url = (name: string): string => `http://127.0.0.1:${server.port}/${name}`
  return {
    session,
    gone,
    url,
    asked: () => server.requests.length,
    /** Lets time pass and has the driver look, once to ask and once more with what it was answered. */
    async pass(ms: number): Promise<void> {
      await session.planes.clock.advance(ms)
      await session.look()
      await Promise.all(checks)
      await session.look()
    },
  }
}

async function pausedOf(session: RolloutSession, day: number): Promise<unknown> {
  return at(await session.rollout(day), 'paused')
}

t.test('packages that are gone pause the rollout, whatever it waits for, and nobody else is told of it', async (t) => {
  const { session, gone, url, asked, pass } = await start(t)
  await session.register(1, { packages: [url('agent.tgz'), url('agent.deb')] })
  await session.look()
  t.equal(await session.told('canary'), cloud(1))
  t.equal(asked(), 2, 'when it is registered')
  gone.add('/agent.tgz')
  await pass(PACKAGES_CHECK_MS)
  t.equal(asked(), 4)
  await pass(PACKAGES_RECHECK_MS - 1)
  t.equal(asked(), 4)
  await pass(1)
  t.equal(await pausedOf(session, 1), null)
  await pass(PACKAGES_RECHECK_MS)
  t.match(await pausedOf(session, 1), { by: 'bellwether', gate: null, reason: GONE_IN_WORDS })
  t.match(await session.lastEntry(), { kind: 'rollout.pause', actor: 'bellwether', reason: GONE_IN_WORDS })
  t.equal(await session.told('canary'), cloud(1), 'who is told it already still is')
  await pass(PACKAGES_CHECK_MS)
  t.equal(asked(), 8, 'a rollout that is paused is not watched')
  await session.done('POST', `/rollouts/cloud/resume`, { reason })
  await pass(0)
  for (let checks = 2; checks < PACKAGES_FAILURES; checks += 1) {
    t.equal(await pausedOf(session, 1), null, 'whoever resumes has the last word, for a while')
    await pass(PACKAGES_RECHECK_MS)
  }
  t.equal(await pausedOf(session, 1), null)
  await pass(PACKAGES_RECHECK_MS)
  t.match(await pausedOf(session, 1), { reason: GONE_IN_WORDS })
  gone.clear()
  await session.done('POST', `/rollouts/cloud/resume`, { reason })
  for (let checks = 0; checks < 70; checks += 1) await pass(60_000)
  t.hasStrict(await session.rollout(1), { paused: null, stages: [{ state: 'done' }, { state: 'ready' }] })
})

t.test('also before any stage is promoted: what was there when it was registered may not be any more', async (t) => {
  const { session, gone, url, pass } = await start(t, { stages: [{ name: 'everyone', channels: ['everyone'] }] })
  await session.register(1, { packages: [url('agent.tgz')] })
  gone.add('/agent.tgz')
  await pass(PACKAGES_CHECK_MS)
  for (let checks = 1; checks < PACKAGES_FAILURES; checks += 1) await pass(PACKAGES_RECHECK_MS)
  t.strictSame(codesOf(await session.stage(1, 0)), ['paused'])
  const refused = await session.step('promote')
  t.match(refused.body, { code: 'held_back', blockers: [{ code: 'paused', message: GONE_IN_PAUSE }] })
  t.equal(await session.told('everyone'), cloud(0))
})

t.test('a fault that passes pauses nothing, and other packages are watched anew', async (t) => {
  const { session, gone, url, pass } = await start(t)
  await session.register(1, { packages: [url('agent.tgz')] })
  for (let rounds = 0; rounds < 3; rounds += 1) {
    await pass(PACKAGES_CHECK_MS)
    gone.add('/agent.tgz')
    await pass(PACKAGES_CHECK_MS)
    await pass(PACKAGES_RECHECK_MS)
    gone.clear()
    await pass(PACKAGES_RECHECK_MS)
  }
  gone.add('/agent.tgz')
  await pass(PACKAGES_CHECK_MS)
  await pass(PACKAGES_RECHECK_MS)
  const other = { kind: 'full', packages: [url('other.tgz')], replace: true, reason }
  t.equal((await session.call('POST', `/releases/${cloud(1)}/artifacts`, other)).status, 200)
  t.match(at(await session.done('GET', `/releases/${cloud(1)}`), 'packages'), [{ url: url('other.tgz') }])
  for (let checks = 0; checks < 5; checks += 1) await pass(PACKAGES_CHECK_MS)
  t.equal(await pausedOf(session, 1), null)
})

t.test('a pipeline that does not ask for packages is not held back by them', async (t) => {
  const { session, gone, url, asked, pass } = await start(t, { requirePackages: false })
  await session.register(1, { packages: [url('agent.tgz')] })
  gone.add('/agent.tgz')
  for (let checks = 0; checks < 5; checks += 1) await pass(PACKAGES_CHECK_MS)
  t.equal(asked(), 1, 'when it is registered')
  t.equal(await pausedOf(session, 1), null)
})

t.test('nor is it by those that another pipeline asks for', async (t) => {
  const { session, gone, url, pass } = await start(t)
  await session.pipeline([{ name: 'lab', channels: ['lab'], auto: true, soakMinutes: 600 }], {}, 'lab')
  await session.register(1, { packages: [url('agent.tgz')] })
  gone.add('/agent.tgz')
  for (let checks = 0; checks < 5; checks += 1) await pass(PACKAGES_CHECK_MS)
  t.match(await pausedOf(session, 1), { reason: GONE_IN_WORDS })
  const lab = await session.done('GET', `/rollouts/lab/${encodeURIComponent(cloud(1))}`)
  t.hasStrict(lab, { state: 'running', paused: null })
})

t.test('what was missing before a rollback does not count after it', async (t) => {
  const { session, gone, url, pass } = await start(t)
  await session.register(1, { packages: [url('agent.tgz')] })
  await session.look()
  gone.add('/agent.tgz')
  await pass(PACKAGES_CHECK_MS)
  await pass(PACKAGES_RECHECK_MS)
  await session.done('POST', '/rollouts/cloud/rollback', { reason })
  await pass(PACKAGES_CHECK_MS)
  await session.done('POST', '/rollouts/cloud/resume', { reason })
  await pass(PACKAGES_RECHECK_MS)
  await pass(PACKAGES_RECHECK_MS)
  t.equal(await pausedOf(session, 1), null)
  await pass(PACKAGES_RECHECK_MS)
  t.match(await pausedOf(session, 1), { reason: GONE_IN_WORDS })
})

t.test('that this server may not ask a host any more says nothing of what agents can download', async (t) => {
  const { session, url } = await start(t)
  await session.register(1, { packages: [url('agent.tgz')] })
  await session.look()
  const { deps } = session.planes
  const others = openOutside({ gatesAllow: [], packagesAllow: ['packages.example'] })
  t.teardown(() => others.close())
  const checks: (readonly PackageCheck[])[] = []
  Object.assign(deps.outside, {
    async checkPackages(urls: readonly string[]) {
      const found = await others.checkPackages(urls)
      checks.push(found)
      return found
    },
  })
  for (let round = 1; round <= 5; round += 1) {
    await session.planes.clock.advance(PACKAGES_CHECK_MS)
    await session.look()
    await eventually(() => checks.length === round)
    await session.look()
  }
  t.match(checks[0], [{ problem: /BELLWETHER_PACKAGES_ALLOW/, isRefused: true }])
  t.equal(await pausedOf(session, 1), null)
})

t.test('servers that never answer starve nobody, and not to be able to ask says nothing', async (t) => {
  const { session, url } = await start(t)
  for (let day = 1; day <= 6; day += 1) await session.register(day, { packages: [url(`${day}.tgz`)] })
  const { deps, clock } = session.planes
  const asked: string[] = []
  const waiting: ((checks: readonly PackageCheck[]) => void)[] = []
  const outside = {
    ...deps.outside,
    checkPackages([asking = '']: readonly string[]): Promise<readonly PackageCheck[]> {
      asked.push(asking)
      if (asking.includes('/1.tgz')) throw new Error('the test says so')
      return new Promise((resolve) => waiting.push(resolve))
    },
  }
  const watch = new PackageWatch({ ...deps, outside })
  const look = (): void => {
    const { state } = deps.replica
    if (state === null) throw new Error('nothing is loaded')
    watch.look(state, runningRollouts(state).map(rolloutOf))
  }
  look()
  t.strictSame(asked, [], 'all of them were found just now')
  await clock.advance(PACKAGES_CHECK_MS)
  look()
  // The one that fails gives its place back.
  await clock.advance(0)
  look()
  const names = (): readonly string[] => asked.map((asking) => asking.replace(/^.*\//, ''))
  t.strictSame(names(), ['1.tgz', '2.tgz', '3.tgz', '4.tgz', '5.tgz'], 'four at once, beside the one that fails')
  await clock.advance(PACKAGES_CHECK_MS)
  look()
  t.equal(new Set(names()).size, asked.length, 'whoever was not asked yet comes before who was')
  for (const answer of waiting.splice(0)) answer([{ url: '', problem: 'was not answered in 10 s' }])
  for (let turns = 0; turns < 8; turns += 1) {
    await clock.advance(PACKAGES_RECHECK_MS)
    look()
    for (const answer of waiting.splice(0)) answer([{ url: '', problem: 'was not answered in 10 s' }])
    await clock.advance(0)
  }
  t.equal(new Set(names()).size, 6, names().join())
  const problemOf = async (day: number) => {
    const { state } = deps.replica
    const document = state?.document(rolloutKey('cloud', cloud(day)))
    if (document === undefined) throw new Error(`there is no rollout of day ${day}`)
    return watch.problemOf(rolloutOf(document))
  }
  t.equal(await problemOf(1), null, 'nobody could ask for it')
  t.match(await problemOf(2), /was not answered in 10 s/)
  watch.forgetAll()
  t.equal(await problemOf(2), null)
})
