// kill -9 in the middle of writing, over and over, on one data folder: nothing acknowledged is lost, nothing is torn.
import t, { type Test } from 'tap'
import { spawnBellwether } from '../../bench/bellwether-process.ts'
import { Client } from '../../bench/client.ts'
import { readJournal } from '../../bench/journal.ts'
import { CrashModel } from '../fixtures/crash-model.ts'
import { seededRandom, type Random } from '../../bench/random.ts'
import { Writers } from '../fixtures/crash-writers.ts'
import { dataFolder, jsonOf, run, type Running } from '../fixtures/fault-process.ts'
import { SEED, sized } from '../fixtures/test-form.ts'

/** Sixty starts and more; a machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 600_000

t.setTimeout(FILE_TIMEOUT_MS)

const KILLS = sized(12, 50)
const WRITERS = 8
/** Of the kinds of changes that the writers make; few kills see fewer of them. */
const KINDS_LEAST = sized(9, 12)
/** Requests before the kill, at most. */
const REQUESTS_MAX = 80
/** One start in so many is killed as well, within this time; loading takes about as long. */
const START_KILL_EVERY = 5
const START_KILL_MS = 600

/** Members of a channel that the API adds to its document. */
const VIEWED: ReadonlySet<string> = new Set([
  'revision',
  'effective',
  'upstream',
  'ramp',
  'allowBuildMetadata',
  'warnings',
])

await t.test(`${KILLS} kills in the middle of writes lose nothing acknowledged and tear nothing`, async (t) => {
  const random = seededRandom(SEED)
  const dataDir = await dataFolder(t)
  const writers = new Writers(random, WRITERS)
  const model = new CrashModel()
  for (let kill = 1; kill <= KILLS; kill += 1) {
    if (random.once(START_KILL_EVERY)) await killStart(dataDir, random.next(START_KILL_MS))
    const server = await run(t, { dataDir })
    await check(t, server, model, writers)
    await writeAndKill(server, writers, random)
  }
  const last = await run(t, { dataDir })
  await check(t, last, model, writers)
  t.same(await readJournal(last.control, 0), model.entries, 'no entry has changed since it was first read')
  t.same(writers.strange, [])
  const count = (outcome: string): number => writers.attempts.filter((attempt) => attempt.outcome === outcome).length
  const kinds = new Set(model.entries.map(({ kind }) => kind))
  t.comment(`${count('acknowledged')} acknowledged, ${count('unanswered')} unanswered, ${count('refused')} refused`)
  t.comment([...kinds].join(', '))
  t.ok(count('acknowledged') > KILLS * 3)
  t.ok(count('unanswered') >= KILLS, 'the kills came in the middle of writes')
  t.ok(kinds.size >= KINDS_LEAST, 'many kinds of change were among them')
  t.equal(await last.end(), 0)
})

/** Lets the writers go, and kills the server at the n-th request: as it is sent, or as one is answered. */
async function writeAndKill(server: Running, writers: Writers, random: Random): Promise<void> {
  let left = 1 + random.next(REQUESTS_MAX)
  const countDown = (): void => {
    left -= 1
    if (left === 0) server.child.kill('SIGKILL')
  }
  const atSending = random.once(2)
  const nothing = (): void => {}
  await writers.write(server.control, atSending ? countDown : nothing, atSending ? nothing : countDown)
  await server.ended
}

/** Starts a server and kills it a random time later, wherever in its start it is by then. */
async function killStart(dataDir: string, afterMs: number): Promise<void> {
  const { child, settled } = spawnBellwether({ dataDir })
  const timer = setTimeout(() => child.kill('SIGKILL'), afterMs)
  const launched = await settled
  if (launched.outcome === 'listening') await launched.server.ended
  clearTimeout(timer)
}

/** Holds everything a server shows against its journal, and the journal against what was acknowledged. */
async function check(t: Test, server: Running, model: CrashModel, writers: Writers): Promise<void> {
  model.take(await readJournal(server.control, model.seq))
  const faults = [...model.faults, ...model.attemptFaults(writers.attempts)]
  const told = await toldFaults(server, model, writers.channels)
  t.same([...faults, ...told], [], `${model.seq} entries`)

  const channels = jsonOf(await server.control.admin('GET', '/channels?limit=500'))['items'] as Shown[] // The API's list.
  t.same(
    channels.map((shown) => Object.fromEntries(Object.entries(shown).filter(([member]) => !VIEWED.has(member)))),
    [...model.bodies('channel/').values()],
  )
  const tokens = jsonOf(await server.control.admin('GET', '/tokens?limit=500'))['items'] as Shown[] // The same.
  t.same(
    new Map(
      tokens.map(({ revision: _revision, person: _person, ...token }) => [
        `token/${String(token['id'])}`,
        { ...token, hash: '(hidden)' },
      ]),
    ),
    model.bodies('token/'),
  )
  const blocked = jsonOf(await server.control.admin('GET', '/blocked-versions?limit=500'))['items'] as Shown[] // The same.
  t.equal(blocked.length, model.bodies('blocked-version/').size)
  const [secret] = [...writers.secrets.values()].slice(-1)
  if (secret !== undefined)
    t.equal(await whoAmI(server, secret), 200, 'a token that was acknowledged is worth something')
  t.match(jsonOf(await server.control.get('/readyz')), { status: 'following', seq: model.seq })
}

type Shown = Record<string, unknown>

async function toldFaults(server: Running, model: CrashModel, names: readonly string[]): Promise<readonly string[]> {
  const faults: string[] = []
  for (const name of names) {
    const { version, critical, revision } = model.told(name)
    const asked = await server.poll.get(`/v1/${name}/version`)
    const urgency = await server.poll.get(`/v1/${name}/critical`)
    if (`${asked.status} ${asked.body}` !== version) faults.push(`${name} told ${asked.body}, not ${version}`)
    if (`${urgency.status} ${urgency.body}` !== critical) faults.push(`${name} told ${urgency.body}, not ${critical}`)
    const stamped = Number(asked.headers['bellwether-revision'] ?? 0)
    if (stamped !== revision) faults.push(`${name} stamped revision ${stamped}, not ${revision}`)
  }
  return faults
}

async function whoAmI(server: Running, secret: string): Promise<number> {
  const client = new Client(server.controlUrl, 1, secret)
  const { status } = await client.admin('GET', '/whoami')
  client.close()
  return status
}
