// A periodic task: when its runs begin, what a failure does to the next one, and what stopping waits for.
import t, { type Test } from 'tap'
import { startPeriodicTask, type PeriodicTaskOptions, type StopTask } from '../../src/lib/periodic-task.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

const INTERVAL_MS = 1_000

interface Running {
  readonly clock: FakeClock
  readonly stop: StopTask
  /** When runs began, in milliseconds since the start of the task, by the monotonic clock. */
  readonly began: number[]
  readonly errors: unknown[]
  /** How many runs are under way. */
  underWay(): number
}

/** A task whose runs do `run`. */
function running(
  t: Test,
  run: PeriodicTaskOptions['run'],
  options: Partial<Pick<PeriodicTaskOptions, 'intervalMs' | 'firstMs'>> = {},
): Running {
  const clock = new FakeClock()
  const startedAt = clock.monotonicMs()
  const began: number[] = []
  const errors: unknown[] = []
  let count = 0
  const stop = startPeriodicTask({
    clock,
    intervalMs: INTERVAL_MS,
    ...options,
    async run(signal) {
      began.push(clock.monotonicMs() - startedAt)
      count += 1
      try {
        await run(signal)
      } finally {
        count -= 1
      }
    },
    failed: (error) => void errors.push(error),
  })
  t.teardown(stop)
  return { clock, stop, began, errors, underWay: () => count }
}

/** A promise that the test settles. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open: () => open() }
}

t.test('the first run begins after one interval, and each other one interval after the run before it', async (t) => {
  const { clock, began } = running(t, () => {})
  await clock.advance(INTERVAL_MS - 1)
  t.strictSame(began, [])
  await clock.advance(INTERVAL_MS * 2 + 1)
  t.strictSame(began, [1_000, 2_000, 3_000])
})

t.test('the first run can begin at another time, and with the start of the task', async (t) => {
  const later = running(t, () => {}, { firstMs: 250 })
  await later.clock.advance(INTERVAL_MS * 2)
  t.strictSame(later.began, [250, 1_250])
  const atOnce = running(t, () => {}, { firstMs: 0 })
  t.strictSame(atOnce.began, [0], 'before anything is awaited')
  await atOnce.clock.advance(0)
  await atOnce.clock.advance(INTERVAL_MS)
  t.strictSame(atOnce.began, [0, 1_000])
})

t.test('the interval is asked for after each run', async (t) => {
  const intervals = [100, 20, 3_000]
  const { clock, began } = running(t, () => {}, { firstMs: 0, intervalMs: () => intervals.shift() ?? INTERVAL_MS })
  await clock.advance(0)
  await clock.advance(3_200)
  t.strictSame(began, [0, 100, 120, 3_120])
})

t.test('two runs never overlap: one that takes longer than the interval delays the next', async (t) => {
  let run = gate()
  const { clock, began, underWay } = running(t, () => run.opened)
  await clock.advance(INTERVAL_MS * 5)
  t.strictSame(began, [1_000], 'the first run is still under way')
  t.equal(underWay(), 1)
  const first = run
  run = gate()
  first.open()
  await clock.advance(0)
  await clock.advance(INTERVAL_MS - 1)
  t.strictSame(began, [1_000], 'the interval begins with the end of the run')
  await clock.advance(1)
  t.strictSame(began, [1_000, 6_000])
  run.open()
})

t.test('a run that throws or rejects is reported, and the next one comes', async (t) => {
  const faults = [new Error('one'), new Error('two')]
  const { clock, began, errors } = running(t, () => {
    const fault = faults.shift()
    if (fault !== undefined) throw fault
  })
  await clock.advance(INTERVAL_MS * 3)
  t.strictSame(began, [1_000, 2_000, 3_000])
  t.match(errors, [{ message: 'one' }, { message: 'two' }])
  t.equal(errors.length, 2)
})

t.test('a function that throws before it gives a promise is reported, too', async (t) => {
  const clock = new FakeClock()
  const errors: unknown[] = []
  let runs = 0
  const run = (): Promise<void> => {
    runs += 1
    throw new Error('at once')
  }
  const stop = startPeriodicTask({
    clock,
    intervalMs: INTERVAL_MS,
    firstMs: 0,
    run,
    failed: (error) => errors.push(error),
  })
  t.teardown(stop)
  await clock.advance(0)
  t.match(errors, [{ message: 'at once' }])
  await clock.advance(INTERVAL_MS)
  t.equal(runs, 2)
})

t.test('stopping between two runs ends it at once', async (t) => {
  const { clock, stop, began } = running(t, () => {})
  await clock.advance(INTERVAL_MS)
  await stop()
  await clock.advance(INTERVAL_MS * 10)
  t.strictSame(began, [1_000])
})

t.test('stopping during a run tells the run, waits for its end, and lets no other begin', async (t) => {
  const run = gate()
  let signal: AbortSignal | null = null
  const { clock, stop, began, underWay } = running(t, (given) => {
    signal = given
    return run.opened
  })
  await clock.advance(INTERVAL_MS)
  t.match(signal, { aborted: false })
  let isStopped = false
  const stopped = [stop(), stop()].map((one) => one.then(() => (isStopped = true)))
  await clock.advance(INTERVAL_MS * 10)
  t.match(signal, { aborted: true })
  t.equal(isStopped, false, 'the run is still under way')
  run.open()
  await Promise.all(stopped)
  t.equal(underWay(), 0)
  await clock.advance(INTERVAL_MS * 10)
  t.strictSame(began, [1_000])
})

t.test('stopping during a run that fails resolves, and the failure is reported', async (t) => {
  const run = gate()
  const { clock, stop, errors } = running(t, async () => {
    await run.opened
    throw new Error('late')
  })
  await clock.advance(INTERVAL_MS)
  const stopped = stop()
  run.open()
  await stopped
  t.match(errors, [{ message: 'late' }])
})

t.test('a clock that is set back or ahead neither delays a run nor brings it forward', async (t) => {
  const { clock, began } = running(t, () => {})
  await clock.advance(INTERVAL_MS)
  for (const jumpMs of [-86_400_000, 86_400_000]) {
    clock.jump(jumpMs)
    await clock.advance(INTERVAL_MS - 1)
    clock.jump(jumpMs)
    await clock.advance(1)
  }
  t.strictSame(began, [1_000, 2_000, 3_000])
})
