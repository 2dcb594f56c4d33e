// When agents may be moved: weekdays and hours by the clocks of a place, over midnight and over changes of those clocks.
import fc from 'fast-check'
import t from 'tap'
import { WEEKDAYS, type PromoteWindow } from '../../src/rollouts/pipeline.ts'
import { isTimeOfDay, isTimeZone, isWindowOpen, windowInWords } from '../../src/rollouts/promote-window.ts'
import { HOUR_MS, NOW } from '../fixtures/channel-samples.ts'

const MINUTE_MS = 60_000
const DAY_MINUTES = 24 * 60

function windowOf(days: readonly PromoteWindow['days'][number][], from: string, to: string, timeZone = 'UTC') {
  return { days, from, to, timeZone }
}

/** The stretches in which a window is open, to the minute, within so many hours after `start`. */
function openingsOf(window: PromoteWindow, start: string, hours: number): readonly string[] {
  const openings: string[] = []
  let since: string | null = null
  for (let minute = 0; minute <= hours * 60; minute += 1) {
    const at = Date.parse(start) + minute * MINUTE_MS
    const isOpen = minute < hours * 60 && isWindowOpen(window, at)
    const moment = `${new Date(at).toISOString().slice(5, 16)}Z`
    if (isOpen && since === null) since = moment
    if (!isOpen && since !== null) {
      openings.push(`${since} to ${moment}`)
      since = null
    }
  }
  return openings
}

t.test('a window is open on its days from its first minute up to its last', async (t) => {
  // NOW is the midnight at which a Sunday begins.
  const window = windowOf(['mon', 'wed'], '09:00', '17:30')
  t.strictSame(openingsOf(window, '2026-03-01T00:00:00Z', 7 * 24), [
    '03-02T09:00Z to 03-02T17:30Z',
    '03-04T09:00Z to 03-04T17:30Z',
  ])
  const opens = NOW + 33 * HOUR_MS
  t.notOk(isWindowOpen(window, opens - 1))
  t.ok(isWindowOpen(window, opens))
  t.ok(isWindowOpen(window, opens + 8.5 * HOUR_MS - 1))
  t.notOk(isWindowOpen(window, opens + 8.5 * HOUR_MS))
})

t.test('a window over midnight ends on the day after the one on which it opens', async (t) => {
  const window = windowOf(['sat'], '22:00', '06:00')
  t.strictSame(openingsOf(window, '2026-03-06T00:00:00Z', 72), ['03-07T22:00Z to 03-08T06:00Z'])
  const sunday = windowOf(['sun'], '22:00', '06:00')
  t.strictSame(openingsOf(sunday, '2026-03-08T00:00:00Z', 72), ['03-08T22:00Z to 03-09T06:00Z'])
  const days = windowOf(['fri', 'sat'], '22:00', '06:00')
  t.strictSame(openingsOf(days, '2026-03-06T00:00:00Z', 72), [
    '03-06T22:00Z to 03-07T06:00Z',
    '03-07T22:00Z to 03-08T06:00Z',
  ])
})

t.test('a window up to midnight ends with its day, one from midnight begins with it', async (t) => {
  t.strictSame(openingsOf(windowOf(['sat'], '20:00', '00:00'), '2026-03-06T00:00:00Z', 72), [
    '03-07T20:00Z to 03-08T00:00Z',
  ])
  t.strictSame(openingsOf(windowOf(['sat'], '00:00', '04:00'), '2026-03-06T00:00:00Z', 72), [
    '03-07T00:00Z to 03-07T04:00Z',
  ])
})

t.test('days and hours are those of the place, not of UTC', async (t) => {
  t.strictSame(openingsOf(windowOf(['mon'], '09:00', '10:00', 'Asia/Tokyo'), '2026-03-01T00:00:00Z', 48), [
    '03-02T00:00Z to 03-02T01:00Z',
  ])
  t.strictSame(openingsOf(windowOf(['mon'], '05:00', '06:00', 'Asia/Tokyo'), '2026-03-01T00:00:00Z', 48), [
    '03-01T20:00Z to 03-01T21:00Z',
  ])
  t.strictSame(openingsOf(windowOf(['sun'], '20:00', '21:00', 'America/New_York'), '2026-03-01T00:00:00Z', 48), [
    '03-02T01:00Z to 03-02T02:00Z',
  ])
  t.strictSame(openingsOf(windowOf(['sun'], '12:00', '13:00', 'Asia/Kathmandu'), '2026-03-01T00:00:00Z', 24), [
    '03-01T06:15Z to 03-01T07:15Z',
  ])
})

t.test('where clocks change, the window opens as the clocks say', async (t) => {
  const office = windowOf(['sat', 'sun'], '09:00', '17:00', 'Europe/Berlin')
  t.strictSame(openingsOf(office, '2026-03-28T00:00:00Z', 48), [
    '03-28T08:00Z to 03-28T16:00Z',
    '03-29T07:00Z to 03-29T15:00Z',
  ])
  t.strictSame(openingsOf(office, '2026-10-24T00:00:00Z', 48), [
    '10-24T07:00Z to 10-24T15:00Z',
    '10-25T08:00Z to 10-25T16:00Z',
  ])
})

t.test('a night over a change of the clocks is an hour shorter in spring and an hour longer in autumn', async (t) => {
  const night = windowOf(['sat'], '22:00', '06:00', 'Europe/Berlin')
  t.strictSame(openingsOf(night, '2026-03-28T00:00:00Z', 48), ['03-28T21:00Z to 03-29T04:00Z'])
  t.strictSame(openingsOf(night, '2026-10-24T00:00:00Z', 48), ['10-24T20:00Z to 10-25T05:00Z'])
})

t.test(
  'an hour that clocks leave out opens no window, and one that they show twice opens it twice as long',
  async (t) => {
    const hour = windowOf(['sun'], '02:00', '03:00', 'Europe/Berlin')
    t.strictSame(openingsOf(hour, '2026-03-28T12:00:00Z', 36), [])
    t.strictSame(openingsOf(hour, '2026-10-24T12:00:00Z', 36), ['10-25T00:00Z to 10-25T02:00Z'])
    const half = windowOf(['sun'], '02:15', '02:45', 'Europe/Berlin')
    t.strictSame(openingsOf(half, '2026-10-24T12:00:00Z', 36), [
      '10-25T00:15Z to 10-25T00:45Z',
      '10-25T01:15Z to 10-25T01:45Z',
    ])
  },
)

t.test('any window is open for its length from its hour on, on its days', async (t) => {
  const time = fc.nat({ max: DAY_MINUTES - 1 })
  const days = fc.uniqueArray(fc.constantFrom(...WEEKDAYS), { minLength: 1 })
  const text = (minute: number): string =>
    `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
  let open = 0
  fc.assert(
    fc.property(days, time, time, fc.nat({ max: 14 * DAY_MINUTES }), (days, from, to, minute) => {
      fc.pre(from !== to)
      const now = NOW + minute * MINUTE_MS
      const lengthMs = ((to - from + DAY_MINUTES) % DAY_MINUTES) * MINUTE_MS
      // The plainest reading: it may have opened today or yesterday.
      const isOpen = [0, 1].some((ago) => {
        const midnight = now - (now % (24 * HOUR_MS)) - ago * 24 * HOUR_MS
        const opened = midnight + from * MINUTE_MS
        const day = WEEKDAYS[(new Date(midnight).getUTCDay() + 6) % 7] ?? 'mon'
        return days.includes(day) && opened <= now && now < opened + lengthMs
      })
      if (isOpen) open += 1
      return isWindowOpen(windowOf(days, text(from), text(to)), now) === isOpen
    }),
    { numRuns: 2_000 },
  )
  t.ok(open > 200 && open < 1_800, `${open} of 2,000 were open`)
})

t.test('a window is told in words, with its place', async (t) => {
  t.equal(
    windowInWords(windowOf(['mon', 'tue'], '09:00', '17:00', 'Europe/Berlin')),
    'mon, tue from 09:00 to 17:00 (Europe/Berlin)',
  )
})

t.test('times of the day have two and two digits, and end before midnight', async (t) => {
  for (const text of ['00:00', '09:05', '19:59', '23:59']) t.ok(isTimeOfDay(text), text)
  for (const text of [
    '',
    '24:00',
    '9:00',
    '09:60',
    '09:0',
    '0900',
    '09:00:00',
    ' 09:00',
    '09:00\n',
    '-1:00',
    '٠٩:00',
  ]) {
    t.notOk(isTimeOfDay(text), JSON.stringify(text))
  }
  t.throws(() => isWindowOpen(windowOf(['sun'], '25:00', '26:00'), NOW), RangeError)
})

t.test('time zones are those that the machine knows', async (t) => {
  for (const text of ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires']) t.ok(isTimeZone(text), text)
  for (const text of ['', 'Berlin', 'Europe/Bielefeld', 'local', 'UTC+25']) t.notOk(isTimeZone(text), text)
})
