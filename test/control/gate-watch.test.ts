// Whose turn it is to be asked where servers of gates do not answer: nobody is starved, least of all by what is paused.
import t from 'tap'
import { RolloutDriver } from '../../src/control/drive-rollouts.ts'
import { at } from '../fixtures/admin-json.ts'
import { cloud, PASSED, startRollouts } from '../fixtures/rollout-session.ts'
import { silent } from '../fixtures/silent-log.ts'

const SECOND_MS = 1_000
/** What a server that never answers costs, as the gate's client has it. */
const TIME_OUT_MS = 10_000
const DEAD = ['a1', 'a2', 'a3', 'a4', 'a5'] as const

for (const failures of [1, 20]) {
  const title =
    failures === 1
      ? 'gates of paused rollouts do not keep a running one from being watched'
      : 'gates that are never answered do not keep another from being watched, however many there are'
  t.test(title, async (t) => {
    const session = await startRollouts(t, { gatesAllow: ['dead.example', 'live.example'] })
    const { clock, deps } = session.planes
    const gate = { query: 'up', op: '>', threshold: 0, everySeconds: 10, failures }
    const pipeline = async (name: string, soakMinutes: number, host: string, count: number) => {
      const gates = Array.from({ length: count }, (_, n) => ({ ...gate, name: `g${n}`, url: `http://${host}` }))
      await session.pipeline([{ name: 'all', channels: [`c-${name}`], soakMinutes, gates }], {}, name)
    }
    for (const name of DEAD) await pipeline(name, 60, 'dead.example', 10)
    await pipeline('z', 5, 'live.example', 1)
    await session.register(5)
    for (const name of [...DEAD, 'z']) {
      await session.done('POST', `/rollouts/${name}/promote`, { stage: 'all', release: cloud(5) })
    }
    const driver = new RolloutDriver(
      deps,
      async ({ url }) => {
        if (url.includes('live')) return PASSED
        await new Promise<void>((resolve) => clock.after(TIME_OUT_MS, resolve))
        return { value: null, verdict: 'timed out', detail: 'no answer' }
      },
      silent,
    )
    driver.start()
    for (let second = 0; second < 340; second += 1) await clock.advance(SECOND_MS)
    const rollout = (name: string) => session.done('GET', `/rollouts/${name}/${encodeURIComponent(cloud(5))}`)
    t.equal(at(await rollout('z'), 'state'), 'done')
    for (const name of DEAD) {
      const found = await rollout(name)
      t.equal(at(found, 'paused') !== null, failures === 1, `${name} ${JSON.stringify(at(found, 'paused'))}`)
      t.equal(
        at(found, 'stages', 0, 'gates', 9, 'samples', 0, 'verdict'),
        'timed out',
        `every gate of ${name} is asked`,
      )
    }
    const kinds = (await session.journal()).map(({ kind }) => kind)
    t.notOk(kinds.includes('rollout.restart'), 'all of them are watched all the time')
    const stopping = driver.stop()
    await clock.advance(TIME_OUT_MS)
    await stopping
  })
}

t.test('a gate that waits for its turn is asked as the rules have it then, not as they were', async (t) => {
  const session = await startRollouts(t, { gatesAllow: ['slow.example', 'live.example'] })
  const { clock, deps } = session.planes
  const gate = { op: '<', threshold: 1, everySeconds: 60, failures: 2 }
  const slow = (name: string) =>
    Array.from({ length: 10 }, (_, n) => ({ ...gate, name: `${name}${n}`, url: 'http://slow.example', query: 'slow' }))
  const errors = (query: string) => [{ ...gate, name: 'errors', url: 'http://live.example', query }]
  const canary = { name: 'canary', auto: true }
  await session.pipeline([{ ...canary, channels: ['p1'], soakMinutes: 600, gates: slow('a') }], {}, 'p1')
  await session.pipeline([{ ...canary, channels: ['p2'], soakMinutes: 600, gates: slow('b') }], {}, 'p2')
  await session.pipeline([{ ...canary, channels: ['c'], gates: errors('old') }])
  await session.register(1)
  const waiting: (() => void)[] = []
  const asked: string[] = []
  const driver = new RolloutDriver(
    deps,
    async ({ query }) => {
      asked.push(query)
      if (query === 'slow') await new Promise<void>((resolve) => waiting.push(resolve))
      return query === 'new' ? { value: 5, verdict: 'failed', detail: null } : PASSED
    },
    silent,
  )
  await driver.look()
  await driver.look()
  await session.pipeline([{ ...canary, channels: ['c'], gates: errors('new') }])
  t.equal((await session.step('rebase', {}, 1)).status, 200)
  await clock.advance(SECOND_MS)
  for (const answer of waiting.splice(0)) answer()
  await clock.advance(0)
  await driver.look()
  t.strictSame(
    asked.filter((query) => query !== 'slow'),
    ['new'],
  )
  t.match(await session.stage(1, 0), { state: 'soaking', gates: [{ samples: [{ verdict: 'failed' }] }] })
  const stopping = driver.stop()
  for (const answer of waiting.splice(0)) answer()
  await stopping
})

t.test('what a gate is answered after a re-base has put another one in its place is not counted', async (t) => {
  const session = await startRollouts(t, { gatesAllow: ['live.example'] })
  const gate = { name: 'errors', url: 'http://live.example', op: '<', threshold: 1, everySeconds: 60, failures: 2 }
  const rules = (query: string) => [{ name: 'canary', channels: ['c'], auto: true, gates: [{ ...gate, query }] }]
  await session.pipeline(rules('old'))
  await session.register(1)
  const waiting: (() => void)[] = []
  const driver = new RolloutDriver(
    session.planes.deps,
    async () => {
      await new Promise<void>((resolve) => waiting.push(resolve))
      return PASSED
    },
    silent,
  )
  await driver.look()
  await driver.look()
  await session.pipeline(rules('new'))
  t.equal((await session.step('rebase', {}, 1)).status, 200, 'in the very millisecond in which it was asked')
  t.equal(waiting.length, 1)
  for (const answer of waiting.splice(0)) answer()
  await session.planes.clock.advance(0)
  await driver.look()
  t.match(await session.stage(1, 0), { state: 'soaking', blockers: [{ message: /not been evaluated yet/ }] })
  const stopping = driver.stop()
  for (const answer of waiting.splice(0)) answer()
  await stopping
})

t.test('a gate asks about the release, what was served before it, and its stage', async (t) => {
  const session = await startRollouts(t, { gatesAllow: ['live.example'] })
  const query = 'errors{v="{release}",before="{previous}",stage="{stage}",path=~"a{2,3}"}'
  const gates = [
    { name: 'errors', url: 'http://live.example', query, op: '<', threshold: 1, everySeconds: 60, failures: 2 },
  ]
  await session.pipeline([
    { name: 'canary', channels: ['c'], auto: true, soakMinutes: 1, gates },
    { name: 'all', channels: ['d', 'e'], soakMinutes: 1, gates },
  ])
  await session.done('PUT', '/channels/d/version', { version: '14.9.9', force: true, reason: 'an old one' })
  await session.register(1)
  await session.look()
  await session.pass(1)
  const queries = () => session.asked.splice(0).map((gate) => gate.query)
  const asked = (stage: string) => `errors{v="${cloud(1)}",before="${cloud(0)}",stage="${stage}",path=~"a{2,3}"}`
  t.strictSame(new Set(queries()), new Set([asked('canary')]))
  const forced = { stage: 'all', force: true, reason: 'e is at 14.9.9' }
  t.equal((await session.step('promote', forced)).status, 200)
  await session.look()
  t.strictSame(queries(), [asked('all')], 'the higher one of two')
  t.equal(at(await session.stage(1, 1), 'rules', 'gates', 0, 'query'), query, 'what is shown is what was made')
})

t.test('a gate that asks for what was served before, where nothing was, is an error that says so', async (t) => {
  const session = await startRollouts(t, { gatesAllow: ['live.example'] })
  const rule = { url: 'http://live.example', op: '<', threshold: 1, everySeconds: 60, failures: 1 }
  await session.done('POST', '/channels', { name: 'new', source: { kind: 'static', version: null } })
  const gates = [{ ...rule, name: 'errors', query: 'x{v="{previous}"}' }]
  await session.pipeline([{ name: 'canary', channels: ['new'], auto: true, gates }])
  await session.register(1)
  await session.look()
  await session.pass(1)
  t.match(
    at(await session.rollout(1), 'paused', 'reason'),
    /could not be evaluated \(\{previous\} stands for nothing: /,
  )
  t.strictSame(session.asked, [], 'no server is asked')
})
