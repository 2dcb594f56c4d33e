// Which time is confirmed: by a store that replicas share, or by two clocks of one machine that agree.
import t from 'tap'
import { CLOCK_DIFFERENCE_MAX_MS, LocalClock, SharedClock } from '../../src/serve/trusted-clock.ts'
import { SettableClock } from '../fixtures/poll-clock.ts'

const START = Date.parse('2026-03-01T00:00:00.000Z')
const DAY_MS = 24 * 3_600_000
const MAX = CLOCK_DIFFERENCE_MAX_MS

t.test('a shared clock that has not been told the time confirms nothing', async (t) => {
  const machine = new SettableClock(START)
  const clock = new SharedClock(machine, () => Promise.reject(new Error('down')))
  await t.rejects(clock.look())
  t.match(clock.doubt, { code: 'clock_unconfirmed', message: /has not told its time since the start/ })
  t.equal(clock.now(), START, 'its best guess is the machine')
  t.equal(clock.expiryTime(), Number.NEGATIVE_INFINITY, 'by which nothing ends')
})

t.test('a shared clock goes by the store, and after the last contact by what only goes on', async (t) => {
  const machine = new SettableClock(START)
  const clock = new SharedClock(machine, async () => START - 1_000)
  await clock.look()
  await machine.advance(DAY_MS)
  t.equal(clock.doubt, null)
  t.equal(clock.now(), START - 1_000 + DAY_MS)
  t.equal(clock.expiryTime(), clock.now())
  machine.set(START)
  t.equal(clock.now(), START - 1_000 + DAY_MS, 'a wall clock that is set changes nothing')
})

t.test('a shared clock is not confirmed while the machine is more than five minutes off, either way', async (t) => {
  for (const sign of [1, -1]) {
    const machine = new SettableClock(START)
    const clock = new SharedClock(machine, async () => START)
    await clock.look()
    t.equal(clock.expiryTime(), START)
    machine.set(START + sign * MAX)
    t.equal(clock.doubt, null)
    machine.set(START + sign * (MAX + 1))
    await machine.advance(60_000)
    t.match(clock.doubt, { message: sign > 0 ? /300 s ahead of the store's/ : /300 s behind the store's/ })
    t.equal(clock.now(), START + 60_000, 'the store is still believed')
    t.equal(clock.expiryTime(), START, 'but nothing ends')
    machine.set(START + 60_000)
    t.equal(clock.expiryTime(), START + 60_000, 'until both agree again')
  }
})

t.test('a shared clock takes a store that jumps, and ends nothing by it', async (t) => {
  const machine = new SettableClock(START)
  let time = START
  const clock = new SharedClock(machine, async () => time)
  await clock.look()
  clock.expiryTime()
  time += 40 * DAY_MS
  await clock.look()
  t.not(clock.doubt, null)
  t.equal(clock.expiryTime(), START)
  time = Number.NaN
  await t.rejects(clock.look(), RangeError)
})

t.test('a local clock is confirmed from an ordinary start on, and follows small steps', async (t) => {
  for (const newest of [null, START - DAY_MS, START]) {
    const machine = new SettableClock(START)
    const clock = new LocalClock(machine, newest)
    for (let steps = 0; steps < 10; steps += 1) {
      await machine.advance(60_000)
      machine.set(machine.now() + MAX)
      t.equal(clock.doubt, null)
      t.equal(clock.expiryTime(), machine.now())
    }
  }
})

t.test('a local clock that jumps is not confirmed until it is back where it was', async (t) => {
  for (const jump of [40 * DAY_MS, -DAY_MS]) {
    const machine = new SettableClock(START)
    const clock = new LocalClock(machine, null)
    t.equal(clock.expiryTime(), START)
    machine.set(START + jump)
    await machine.advance(60_000)
    t.match(clock.doubt, { message: jump > 0 ? /ahead of where it was/ : /behind where it was/ })
    t.equal(clock.now(), START + 60_000, 'time goes on as before the jump')
    t.equal(clock.expiryTime(), START)
    machine.set(START + 60_000)
    t.equal(clock.doubt, null)
    t.equal(clock.expiryTime(), START + 60_000)
  }
})

t.test('a local clock that starts before the newest entry is not confirmed until it has passed that', async (t) => {
  const machine = new SettableClock(START)
  const clock = new LocalClock(machine, START + DAY_MS)
  t.match(clock.doubt, { message: /before the newest journal entry, of 2026-03-02T00:00:00\.000Z/ })
  t.equal(clock.expiryTime(), Number.NEGATIVE_INFINITY)
  t.equal(clock.now(), START)
  machine.set(START + DAY_MS)
  t.equal(clock.doubt, null)
  t.equal(clock.expiryTime(), START + DAY_MS)
  machine.set(START)
  t.not(clock.doubt, null, 'from then on it is one like any other')
})
