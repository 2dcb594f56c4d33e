// A process that stood still (a paused machine, a debugger) answers what has waited, and answers it rightly.
import t from 'tap'
import { createChannel, dataFolder, run, setVersion } from '../fixtures/fault-process.ts'

/** Every test starts several processes; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 120_000

t.setTimeout(FILE_TIMEOUT_MS)

const ROUNDS = 10
const POLLS = 20

await t.test(
  'polls and a change that wait while the process stands still are answered rightly afterwards',
  async (t) => {
    const server = await run(t, { dataDir: await dataFolder(t) })
    await createChannel(server, 'stable/cloud', '1.0.0')
    const poll = (): Promise<string> => server.asAgent('/v1/stable/cloud/version')
    for (let round = 1; round <= ROUNDS; round += 1) {
      t.equal(await poll(), `1.0.${round - 1}`)
      server.child.kill('SIGSTOP')
      const waiting = Array.from({ length: POLLS }, poll)
      const change = setVersion(server, 'stable/cloud', `1.0.${round}`)
      const late = Array.from({ length: POLLS }, poll)
      server.child.kill('SIGCONT')
      const possible = new Set([`1.0.${round - 1}`, `1.0.${round}`])
      t.same(
        (await Promise.all([...waiting, ...late])).filter((answer) => !possible.has(answer)),
        [],
      )
      t.equal((await change).status, 200)
      const after = await Promise.all(Array.from({ length: POLLS }, poll))
      t.same(new Set(after), new Set([`1.0.${round}`]))
    }
    t.equal(await server.end(), 0)
  },
)

await t.test('a pin whose time is over while the process stands still is over when it goes on', async (t) => {
  const server = await run(t, { dataDir: await dataFolder(t) })
  await createChannel(server, 'stable/cloud', '1.0.1')
  let until = 0
  // The server must stand still before the pin's end; on a busy machine that takes a later end than at first.
  for (let aheadMs = 1_000, isStill = false; !isStill; aheadMs *= 2) {
    until = Date.now() + aheadMs
    const pin = { version: '1.0.0', reason: 'a test', until: new Date(until).toISOString() }
    const { status } = await server.control.admin('PUT', '/channels/stable%2Fcloud/pin', pin)
    server.child.kill('SIGSTOP')
    isStill = status === 200 && Date.now() < until
    if (!isStill) server.child.kill('SIGCONT')
  }
  // The pin's end is a moment of the real clock: there is no other way but to let it pass.
  while (Date.now() <= until) await new Promise((resolve) => setTimeout(resolve, until - Date.now() + 1))
  server.child.kill('SIGCONT')
  // The first answer may have been under way; once the server has answered it, it has looked at the time again.
  await server.asAgent('/healthz')
  await server.control.get('/readyz')
  t.equal(await server.asAgent('/v1/stable/cloud/version'), '1.0.1')
  t.equal(await server.end(), 0)
})
