// Writing behind: when a change is written, that two writes never overlap, what a failure does, and how it ends.
import t from 'tap'
import { WriteBehind, type WriteBehindOptions } from '../../src/lib/write-behind.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const SOON_MS = 100
const INTERVAL_MS = 1_000

/** A file whose writes end when the test says so; `writes` are the values that they had to write. */
function writing(options: Partial<WriteBehindOptions> = {}) {
  const clock = new FakeClock()
  const writes: number[] = []
  const errors: unknown[] = []
  const pending: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = []
  let value = 0
  const file = new WriteBehind({
    clock,
    soonMs: SOON_MS,
    intervalMs: INTERVAL_MS,
    write() {
      writes.push(value)
      return new Promise((resolve, reject) => pending.push({ resolve, reject }))
    },
    failed: (error) => void errors.push(error),
    retries: false,
    closeMsMax: null,
    ...options,
  })
  const change = (): void => {
    value += 1
    file.changed()
  }
  const settle = async (error?: Error): Promise<void> => {
    for (const { resolve, reject } of pending.splice(0)) {
      if (error === undefined) resolve()
      else reject(error)
    }
    await clock.advance(0)
  }
  return { clock, file, writes, errors, change, settle }
}

t.test('changes that come together are written together, soon after the first', async (t) => {
  const { clock, writes, change, settle } = writing()
  change()
  change()
  await clock.advance(SOON_MS - 1)
  t.strictSame(writes, [])
  await clock.advance(1)
  t.strictSame(writes, [2])
  await settle()
  await clock.advance(INTERVAL_MS * 5)
  t.strictSame(writes, [2], 'nothing is written where nothing has changed')
})

t.test('while changes come in, one interval lies between the starts of two writes', async (t) => {
  let intervalMs = INTERVAL_MS
  const { clock, writes, change, settle } = writing({ intervalMs: () => intervalMs })
  change()
  await clock.advance(SOON_MS)
  await settle()
  change()
  await clock.advance(INTERVAL_MS - 1)
  t.strictSame(writes, [1])
  await clock.advance(1)
  t.strictSame(writes, [1, 2])
  await settle()
  intervalMs = 3 * INTERVAL_MS
  change()
  await clock.advance(intervalMs - 1)
  t.strictSame(writes, [1, 2])
  await clock.advance(1)
  t.strictSame(writes, [1, 2, 3])
})

t.test('two writes never overlap: what changes during one is written by the next', async (t) => {
  const { clock, file, writes, change, settle } = writing()
  change()
  await clock.advance(SOON_MS)
  change()
  file.flush()
  await clock.advance(INTERVAL_MS * 5)
  t.strictSame(writes, [1])
  await settle()
  t.strictSame(writes, [1, 2], 'flushed, it follows at once')
  change()
  await settle()
  await clock.advance(SOON_MS)
  t.strictSame(writes, [1, 2], 'the interval counts from the start of the write')
  await clock.advance(INTERVAL_MS)
  t.strictSame(writes, [1, 2, 3])
})

t.test('a write that takes longer than the interval is followed at once by what has changed meanwhile', async (t) => {
  const { clock, writes, change, settle } = writing({ soonMs: 0 })
  change()
  await clock.advance(INTERVAL_MS)
  change()
  await clock.advance(INTERVAL_MS)
  t.strictSame(writes, [1])
  await settle()
  t.strictSame(writes, [1, 2])
})

t.test('a failed write is tried again after the interval, or else with the next change', async (t) => {
  const patient = writing()
  const eager = writing({ retries: true })
  for (const { change, clock, settle } of [patient, eager]) {
    change()
    await clock.advance(SOON_MS)
    await settle(new Error('the disk is full'))
    await clock.advance(INTERVAL_MS)
  }
  t.match(patient.errors, [{ message: 'the disk is full' }])
  t.strictSame(patient.writes, [1])
  t.strictSame(eager.writes, [1, 1])
  patient.change()
  await patient.clock.advance(INTERVAL_MS)
  t.strictSame(patient.writes, [1, 2])
})

t.test('a flush writes at once, and nothing where all is written', async (t) => {
  const { clock, file, writes, change, settle } = writing()
  file.flush()
  await clock.advance(0)
  t.strictSame(writes, [])
  change()
  file.flush()
  await clock.advance(0)
  t.strictSame(writes, [1])
  await settle()
  await clock.advance(INTERVAL_MS * 5)
  t.strictSame(writes, [1], 'the write that was planned is the one that was made')
})

t.test('the end writes what is not written, waits for it, and nothing is written after it', async (t) => {
  const { clock, file, writes, change, settle } = writing()
  change()
  await clock.advance(SOON_MS)
  change()
  let isClosed = false
  const closed = Promise.all([file.close(), file.close()]).then(() => (isClosed = true))
  await settle()
  t.strictSame(writes, [1, 2])
  t.equal(isClosed, false)
  await settle()
  await closed
  change()
  file.flush()
  await clock.advance(INTERVAL_MS * 5)
  t.strictSame(writes, [1, 2])
})

t.test('the end gives up on a disk that stands still, where it has a limit', async (t) => {
  let isLate = false
  const { clock, file, change } = writing({ closeMsMax: 500, late: () => void (isLate = true) })
  change()
  const closed = file.close()
  await clock.advance(499)
  t.equal(isLate, false)
  await clock.advance(1)
  await closed
  t.equal(isLate, true)
})

t.test('a clock that is set back puts no write off by more than the interval', async (t) => {
  const { clock, writes, change, settle } = writing()
  change()
  await clock.advance(SOON_MS)
  await settle()
  clock.jump(-3_600_000)
  change()
  await clock.advance(INTERVAL_MS)
  t.strictSame(writes, [1, 2])
})
