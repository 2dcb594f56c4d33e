// Who may parse in which turn of the event loop: operators before readers, small things together, large ones alone.
import t from 'tap'
import { TURN_BYTES_MAX, Turns } from '../../src/store/turns.ts'

/** Counts turns of the event loop while `run` runs. */
async function counting(run: (turn: () => number) => Promise<unknown>): Promise<void> {
  let turn = 0
  let isOver = false
  const count = (): void => {
    turn += 1
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  await run(() => turn)
  isOver = true
}

t.test('what is large has a turn to itself, and what is small shares one', async (t) => {
  const turns = new Turns()
  await counting(async (turn) => {
    const seen = await Promise.all(
      [10, 10, TURN_BYTES_MAX * 4, TURN_BYTES_MAX, 10, 10].map((bytes) => turns.run('reader', turn, () => bytes)),
    )
    const [first, second, third, fourth, fifth, sixth] = seen
    t.same([first, second, third], [0, 0, 0], 'there was room when it began')
    t.ok(Number(fourth) > Number(third))
    t.ok(Number(fifth) > Number(fourth))
    t.equal(sixth, fifth)
  })
})

t.test('operators go before all readers that wait', async (t) => {
  const turns = new Turns()
  const order: string[] = []
  const work = (lane: 'operator' | 'reader', name: string): Promise<number> =>
    turns.run(
      lane,
      () => order.push(name),
      () => TURN_BYTES_MAX,
    )
  await Promise.all([work('reader', 'r1'), work('reader', 'r2'), work('reader', 'r3'), work('operator', 'o1')])
  t.same(order, ['r1', 'o1', 'r2', 'r3'])
})

t.test('work that fails is the failure of its caller alone', async (t) => {
  const turns = new Turns()
  const fails = turns.run(
    'reader',
    () => {
      throw new RangeError('no')
    },
    () => 0,
  )
  const works = turns.run(
    'reader',
    () => 1,
    () => 1,
  )
  await t.rejects(fails, RangeError)
  t.equal(await works, 1)
})
