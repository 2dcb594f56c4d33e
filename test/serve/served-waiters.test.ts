// Waiting until something is served: at once where this process is alone, and not before every other one serves it.
import t from 'tap'
import { ReplicaState } from '../../src/serve/replica-state.ts'
import { APPLY_WAIT_MAX_MS, ServedWaiters } from '../../src/serve/served-waiters.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

function stateAt(seq: number): ReplicaState {
  return new ReplicaState({ documents: [], seq, mark: 'm', epoch: 'one' }, 10, 0)
}

const hasSeq =
  (seq: number) =>
  (state: ReplicaState): boolean =>
    state.seq >= seq

/** What a promise has come to by now. */
async function now(promise: Promise<boolean>): Promise<boolean | 'waits'> {
  return Promise.race([promise, new Promise<'waits'>((resolve) => setImmediate(() => resolve('waits')))])
}

/** A spreading that ends when it is told to. */
function spreading(): { promise: Promise<void>; end: () => void } {
  let end = (): void => {}
  const promise = new Promise<void>((resolve) => (end = resolve))
  return { promise, end }
}

await t.test('alone, what is served is served', async (t) => {
  const waiters = new ServedWaiters(new FakeClock())
  t.equal(await now(waiters.until(stateAt(3), hasSeq(3))), true)
  const later = waiters.until(stateAt(3), hasSeq(4))
  t.equal(await now(later), 'waits')
  waiters.published(stateAt(4), null)
  t.equal(await now(later), true)
})

await t.test(
  'with others, whoever waits for a change waits until they serve it, whenever the wait began',
  async (t) => {
    const waiters = new ServedWaiters(new FakeClock())
    const before = waiters.until(stateAt(3), hasSeq(4))
    const four = spreading()
    waiters.published(stateAt(4), four.promise)
    const meanwhile = waiters.until(stateAt(4), hasSeq(4))
    for (const wait of [before, meanwhile]) t.equal(await now(wait), 'waits')
    four.end()
    for (const wait of [before, meanwhile]) t.equal(await now(wait), true)
    t.equal(await now(waiters.until(stateAt(4), hasSeq(4))), true, 'and afterwards nobody waits')
  },
)

await t.test('the end of an older spreading is not taken for that of a newer one', async (t) => {
  const waiters = new ServedWaiters(new FakeClock())
  const [four, five] = [spreading(), spreading()]
  waiters.published(stateAt(4), four.promise)
  const forFive = waiters.until(stateAt(4), hasSeq(5))
  waiters.published(stateAt(5), five.promise)
  four.end()
  t.equal(await now(forFive), 'waits')
  t.equal(await now(waiters.until(stateAt(5), hasSeq(5))), 'waits')
  five.end()
  t.equal(await now(forFive), true)
})

await t.test('a wait ends after its time, and when nothing more is followed', async (t) => {
  const clock = new FakeClock()
  const waiters = new ServedWaiters(clock)
  const long = waiters.until(null, hasSeq(1))
  await clock.advance(APPLY_WAIT_MAX_MS - 1)
  t.equal(await now(long), 'waits')
  await clock.advance(1)
  t.equal(await now(long), false)
  const given = waiters.until(null, hasSeq(1))
  waiters.giveUp()
  t.equal(await now(given), false)
})
