// A leader task: which replica leads, what the others are told to do, and how the lease changes hands.
import t, { type Test } from 'tap'
import { LeaderTask, type LeaderTaskOptions } from '../../../src/control/core/leader-task.ts'
import type { ReplicaState } from '../../../src/serve/replica-state.ts'
import { localCoordination } from '../../../src/store/local-coordination.ts'
import { StoreOutcomeUnknown, StoreUnavailable, type Coordination } from '../../../src/store/port.ts'
import { FakeClock } from '../../fixtures/fake-clock.ts'

const SECOND_MS = 1_000
// The task hands the state on and reads nothing of it.
const STATE = {} as ReplicaState

interface Cluster {
  readonly clock: FakeClock
  readonly coordination: Coordination
  /** Times that the store was asked for the lease. */
  asked(): number
  join(id: string, options?: Partial<LeaderTaskOptions>, processToken?: string): Member
}

interface Member {
  readonly task: LeaderTask
  readonly replica: { state: ReplicaState | null; fault: Error | null }
  readonly calls: string[]
  readonly warnings: object[]
}

/** Replicas of one store, whose leases go by a clock that nobody sets. */
function cluster(t: Test): Cluster {
  const clock = new FakeClock()
  const store = localCoordination(() => clock.monotonicMs())
  let asked = 0
  const coordination: Coordination = {
    ...store,
    lease(...args) {
      asked += 1
      return store.lease(...args)
    },
  }
  const join: Cluster['join'] = (id, options = {}, processToken = id) => {
    const replica: Member['replica'] = { state: STATE, fault: null }
    const calls: string[] = []
    const warnings: object[] = []
    const log = { info: () => {}, warn: (fields: object) => void warnings.push(fields), error: () => {} }
    const task = new LeaderTask(
      { coordination, replicaId: id, processToken, clock, replica },
      {
        lease: 'work',
        needsConfirmedClock: false,
        log,
        failure: 'the work could not be looked at',
        isNeeded: () => true,
        taken: () => void calls.push('taken'),
        async lead() {
          calls.push('lead')
        },
        follow: () => void calls.push('follow'),
        async end() {
          calls.push('end')
        },
        ...options,
      },
    )
    task.start()
    t.teardown(() => task.stop())
    return { task, replica, calls, warnings }
  }
  return { clock, coordination, asked: () => asked, join }
}

t.test('one replica leads and the others follow; the lease is renewed three times in its time', async (t) => {
  const { clock, join, asked } = cluster(t)
  const [one, two] = [join('one'), join('two')]
  await clock.advance(15 * SECOND_MS)
  t.strictSame(one.calls, ['taken', ...Array.from({ length: 15 }, () => 'lead')])
  t.strictSame(
    two.calls,
    Array.from({ length: 15 }, () => 'follow'),
  )
  t.equal(asked(), 3 + 15, 'by the leader every 5 s, by the other at every look')
})

t.test('of two processes with one name one leads', async (t) => {
  const { clock, join } = cluster(t)
  const [one, two] = [join('same', {}, 'a1'), join('same', {}, 'b2')]
  await clock.advance(15 * SECOND_MS)
  t.ok(one.calls.includes('lead'))
  t.notOk(two.calls.includes('lead'))
  await two.task.stop()
  await clock.advance(SECOND_MS)
  t.equal(one.calls.at(-1), 'lead', 'and the other gives nothing back that is not its own')
})

t.test('a lease that was taken over from another program is named in the log', async (t) => {
  const { clock, coordination, join } = cluster(t)
  const { lease } = coordination
  coordination.lease = (name, owner, ttlMs, tookOver) => {
    tookOver?.({ value: 'mine', detail: 'it has no end' })
    return lease(name, owner, ttlMs)
  }
  const one = join('one')
  await clock.advance(SECOND_MS)
  t.strictSame(one.calls, ['taken', 'lead'])
  t.strictSame(one.warnings, [{ lease: 'work', value: 'mine', detail: 'it has no end' }])
})

t.test('a leader that stops gives the lease back after what it has started has ended', async (t) => {
  const { clock, coordination, join } = cluster(t)
  let isHeldAtEnd: boolean | null = null
  const one = join('one', {
    async end() {
      isHeldAtEnd = !(await coordination.lease('work', 'somebody', 1))
    },
  })
  await clock.advance(SECOND_MS)
  const two = join('two')
  await one.task.stop()
  t.equal(isHeldAtEnd, true)
  await clock.advance(SECOND_MS)
  t.strictSame(two.calls, ['taken', 'lead'], 'at its next look')
  t.strictSame(one.calls, ['taken', 'lead'])
})

t.test('a replica that never led gives nothing back', async (t) => {
  const { clock, coordination, join } = cluster(t)
  await coordination.lease('work', 'two', 60 * SECOND_MS)
  const two = join('two', { isNeeded: () => false })
  await clock.advance(SECOND_MS)
  await two.task.stop()
  t.equal(await coordination.lease('work', 'one', SECOND_MS), false)
})

t.test('a leader that is gone is followed by another once its lease is over', async (t) => {
  const { clock, join } = cluster(t)
  const [one, two] = [join('one'), join('two')]
  await clock.advance(SECOND_MS)
  // Cut off from its store, it may not decide, and renews nothing.
  one.replica.fault = new StoreUnavailable('cut off')
  await clock.advance(14 * SECOND_MS)
  t.notOk(two.calls.includes('lead'))
  await clock.advance(SECOND_MS)
  t.strictSame(two.calls.slice(-2), ['taken', 'lead'])
  t.strictSame(one.calls, ['taken', 'lead'], 'neither leads nor follows')
  one.replica.fault = null
  await clock.advance(SECOND_MS)
  t.equal(one.calls.at(-1), 'follow', 'it has lost the lease')
})

t.test('without a state, or anything to lead, the lease is not asked for', async (t) => {
  const { clock, join, asked } = cluster(t)
  let isNeeded = false
  const one = join('one', { isNeeded: () => isNeeded })
  await clock.advance(3 * SECOND_MS)
  isNeeded = true
  one.replica.state = null
  await clock.advance(3 * SECOND_MS)
  t.equal(asked(), 0)
  t.strictSame(one.calls, [])
  one.replica.state = STATE
  await clock.advance(SECOND_MS)
  t.strictSame(one.calls, ['taken', 'lead'])
})

t.test('where a confirmed clock is needed, a replica in doubt follows and leaves the lease to another', async (t) => {
  const { clock, join, asked } = cluster(t)
  const one = join('one', { needsConfirmedClock: true })
  const any = cluster(t)
  const other = any.join('other')
  for (const doubted of [clock, any.clock]) doubted.doubt = { code: 'clock_unconfirmed', message: 'unknown' }
  await clock.advance(2 * SECOND_MS)
  await any.clock.advance(SECOND_MS)
  t.strictSame(one.calls, ['follow', 'follow'])
  t.equal(asked(), 0)
  t.strictSame(other.calls, ['taken', 'lead'], 'where none is needed, it leads')
  clock.doubt = null
  await clock.advance(SECOND_MS)
  t.strictSame(one.calls.slice(2), ['taken', 'lead'])
})

t.test('a wall clock that is set back does not make a renewal late', async (t) => {
  const { clock, join } = cluster(t)
  const [one, two] = [join('one'), join('two')]
  await clock.advance(2 * SECOND_MS)
  clock.jump(-3_600 * SECOND_MS)
  await clock.advance(60 * SECOND_MS)
  t.notOk(two.calls.includes('lead'), 'the lease never ran out')
  t.equal(one.calls.filter((call) => call === 'lead').length, 62)
  t.equal(one.calls.filter((call) => call === 'taken').length, 1)
})

t.test('a look that fails is logged unless the store is away, and the next one comes', async (t) => {
  const { clock, join } = cluster(t)
  const faults: Error[] = [new StoreUnavailable('away'), new StoreOutcomeUnknown('no answer'), new Error('a fault')]
  const one = join('one', {
    async lead() {
      const fault = faults.shift()
      if (fault !== undefined) throw fault
      one.calls.push('lead')
    },
  })
  await clock.advance(4 * SECOND_MS)
  t.match(one.warnings, [{ err: { message: 'a fault' } }])
  t.equal(one.warnings.length, 1)
  t.strictSame(one.calls, ['taken', 'lead'])
})

t.test('stopping during a look aborts its signal and waits for it before it ends', async (t) => {
  const { clock, join } = cluster(t)
  let finish = (): void => {}
  const one = join('one', {
    firstMs: 0,
    async lead(_state, signal) {
      await new Promise<void>((resolve) => (finish = resolve))
      one.calls.push(`aborted: ${signal.aborted}`)
    },
  })
  await clock.advance(0)
  const stopped = one.task.stop()
  await clock.advance(10 * SECOND_MS)
  t.strictSame(one.calls, ['taken'])
  finish()
  await stopped
  t.strictSame(one.calls, ['taken', 'aborted: true', 'end'])
})
