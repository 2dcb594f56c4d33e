// A limiter: how many tasks run at once, in which order the others do, and what is waited for.
import t from 'tap'
import { Limiter } from '../../src/lib/limiter.ts'

/** Tasks by name, that note when they begin and end when they are told to. */
function tasks() {
  const began: string[] = []
  const ends = new Map<string, () => void>()
  const task = (name: string) => (): Promise<void> => {
    began.push(name)
    return new Promise((resolve) => ends.set(name, resolve))
  }
  /** Ends a task, and lets the next one begin. */
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.()
    await turn()
  }
  return { began, task, end }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

t.test('tasks begin at once up to the limit, the others in the order in which they came', async (t) => {
  const limiter = new Limiter(2)
  const { began, task, end } = tasks()
  t.equal(limiter.free, 2)
  for (const name of ['a', 'b', 'c', 'd']) limiter.run(task(name))
  t.strictSame(began, ['a', 'b'], 'within the call')
  t.equal(limiter.free, 0)
  await end('b')
  t.strictSame(began, ['a', 'b', 'c'])
  t.equal(limiter.free, 0, 'one that waits has the place that is free next')
  await end('a')
  await end('c')
  t.strictSame(began, ['a', 'b', 'c', 'd'])
  t.equal(limiter.free, 1)
})

t.test('what waits can be dropped; what runs goes on', async (t) => {
  const limiter = new Limiter(1)
  const { began, task, end } = tasks()
  for (const name of ['a', 'b', 'c']) limiter.run(task(name))
  limiter.clear()
  limiter.run(task('d'))
  await end('a')
  t.strictSame(began, ['a', 'd'])
})

t.test('it is idle once all tasks have ended, those that waited, too', async (t) => {
  const limiter = new Limiter(1)
  await limiter.idle()
  const { task, end } = tasks()
  let isIdle = false
  for (const name of ['a', 'b']) limiter.run(task(name))
  const idle = limiter.idle().then(() => (isIdle = true))
  await end('a')
  t.equal(isIdle, false)
  await end('b')
  await idle
  t.equal(limiter.free, 1)
})
