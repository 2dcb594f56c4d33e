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
})

t.test('a shared clock refuses times outside the years 2000 to 9999, and goes on with what it knows', async (t) => {
  const machine = new SettableClock(START)
  let time = START
  const clock = new SharedClock(machine, async () => time)
  await clock.look()
  for (time of [Number.NaN, Infinity, 1e19, -1, 0, Date.parse('1999-12-31T23:59:59.999Z'), 253_402_300_800_000]) {
    await machine.advance(1_000)
    await t.rejects(clock.look(), { name: 'RangeError', message: /outside the years 2000 to 9999/ })
  }
  t.equal(clock.doubt, null)
  t.equal(clock.now(), START + 7_000)
  for (time of [Date.parse('2000-01-01T00:00:00.000Z'), 253_402_300_799_999]) {
    await clock.look()
    t.equal(clock.now(), time)
  }
})

t.test('access ends by the time last confirmed and the monotonic clock, whatever a shared clock tells', async (t) => {
  for (const jump of [40 * DAY_MS, -40 * DAY_MS]) {
    const machine = new SettableClock(START)
    let time = START
    const clock = new SharedClock(machine, async () => time)
    await clock.look()
    t.equal(clock.accessTime(), START)
    await machine.advance(DAY_MS)
    time = machine.now() + jump
    await clock.look()
    t.equal(clock.now(), START + DAY_MS + jump)
    t.equal(clock.accessTime(), START + DAY_MS, 'as if the store had not jumped')
    machine.set(time)
    t.equal(clock.accessTime(), time, 'until the time is confirmed again')
  }
})

t.test('access ends by the latest of all times where none was ever confirmed', async (t) => {
  for (const away of [DAY_MS, -DAY_MS]) {
    const clock = new SharedClock(new SettableClock(START), async () => START + away)
    t.equal(clock.accessTime(), START)
    await clock.look()
    t.equal(clock.accessTime(), Math.max(START, START + away))
  }
  const machine = new SettableClock(START)
  const local = new LocalClock(machine, START + DAY_MS)
  t.equal(local.accessTime(), START + DAY_MS)
  machine.set(START + 2 * DAY_MS)
  t.equal(local.accessTime(), START + 2 * DAY_MS)
  machine.set(START)
  t.equal(local.accessTime(), START + 2 * DAY_MS, 'a jump back after that brings nothing back')
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
