// Names that several live processes have: found by what they announce, named once, and forgotten when they are gone.
import t, { type Test } from 'tap'
import { DuplicateReplicaMonitor, duplicateWarnings } from '../../src/control/duplicate-replicas.ts'
import { localCoordination } from '../../src/store/local-coordination.ts'
import { StoreUnavailable } from '../../src/store/port.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const TTL_MS = 5_000
const STEP_MS = 2_000

function monitored(t: Test) {
  const clock = new FakeClock()
  const coordination = localCoordination(() => clock.now())
  const logged: [level: string, replica: unknown][] = []
  const note = (level: string) => (fields: { replica?: unknown }) => void logged.push([level, fields.replica])
  const log = { info: note('info'), warn: note('warn'), error: note('error') }
  const monitor = new DuplicateReplicaMonitor({ coordination, clock, replicaId: 'own', processToken: 'aa' }, log)
  t.teardown(monitor.start())
  let told = 0
  return {
    coordination,
    logged,
    named: () => monitor.warnings.map(({ code, message }) => `${code} ${message.split(':')[0] ?? ''}`),
    /** Each of these processes announces itself, and time passes until the next look. */
    async round(...processes: readonly (readonly [id: string, processToken: string])[]): Promise<void> {
      told += 1
      for (const [id, processToken] of processes) {
        const body = { id, processToken, role: 'all', status: 'following', problem: null, seq: 1, epoch: 'e' }
        const rest = { snapshotAgeS: told, pollProcesses: 1, build: 'test', startedAt: '2026-03-01T00:00:00.000Z' }
        await coordination.announce(processToken, { ...body, ...rest }, TTL_MS)
      }
      await clock.advance(STEP_MS)
    },
  }
}

t.test('names that live processes share are warned of and logged once, whoever has them', async (t) => {
  const { round, named, logged } = monitored(t)
  const all = [
    ['own', 'aa'],
    ['own', 'bb'],
    ['x', 'cc'],
    ['x', 'dd'],
    ['x', 'ee'],
    ['y', 'ff'],
  ] as const
  await round(...all)
  t.strictSame(named(), [], 'what is seen for the first time may be the last word of a process that is gone')
  for (let rounds = 0; rounds < 4; rounds += 1) await round(...all)
  t.strictSame(named(), [
    'duplicate_replica_id 2 processes have the replica id own',
    'duplicate_replica_id 3 processes have the replica id x',
  ])
  t.strictSame(logged, [
    ['warn', 'own'],
    ['warn', 'x'],
  ])
  for (let rounds = 0; rounds < 4; rounds += 1) await round(['own', 'aa'], ['x', 'cc'])
  t.strictSame(named(), [])
  t.strictSame(logged.slice(2), [
    ['info', 'own'],
    ['info', 'x'],
  ])
})

t.test('the last word of a process that was killed does not make two of it', async (t) => {
  const { round, named, logged } = monitored(t)
  for (let rounds = 0; rounds < 3; rounds += 1) await round(['x', 'cc'])
  for (let rounds = 0; rounds < 4; rounds += 1) {
    await round(['x', 'dd'])
    t.strictSame(named(), [])
  }
  t.strictSame(logged, [])
})

t.test('one of two processes that says nothing for a moment does not end the warning', async (t) => {
  const { round, named, logged } = monitored(t)
  for (let rounds = 0; rounds < 3; rounds += 1) await round(['x', 'cc'], ['x', 'dd'])
  for (let rounds = 0; rounds < 6; rounds += 1) {
    await round(...(rounds % 2 === 0 ? [['x', 'cc'] as const] : [['x', 'dd'] as const]))
    t.equal(named().length, 1)
  }
  t.strictSame(logged, [['warn', 'x']])
})

t.test('while the store is away, what is known stays', async (t) => {
  const { round, named, coordination } = monitored(t)
  for (let rounds = 0; rounds < 3; rounds += 1) await round(['own', 'bb'])
  t.equal(named().length, 1)
  const { announced } = coordination
  coordination.announced = () => Promise.reject(new StoreUnavailable('down'))
  for (let rounds = 0; rounds < 3; rounds += 1) await round()
  t.equal(named().length, 1)
  coordination.announced = announced
  await round()
  t.equal(named().length, 0)
})

t.test('a list warns of every name that it has several times, 20 at most', (t) => {
  t.strictSame(duplicateWarnings([{ id: 'a' }, { id: 'b' }]), [])
  const many = Array.from({ length: 60 }, (_, n) => ({ id: `n-${n % 30}` }))
  t.equal(duplicateWarnings(many).length, 20)
  t.end()
})
