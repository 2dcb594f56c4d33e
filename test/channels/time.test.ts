// Moments and durations: what RFC 3339 and ISO 8601 let pass here, what is no date, and the edges of both.
import fc from 'fast-check'
import t from 'tap'
import { momentOf, parseDuration, parseMoment } from '../../src/channels/time.ts'
import { isOneShortLine, strangeText } from '../fixtures/channel-texts.ts'

t.test('a moment is given in UTC with milliseconds', async (t) => {
  const pairs: readonly (readonly [string, string])[] = [
    ['2026-03-01T00:00:00Z', '2026-03-01T00:00:00.000Z'],
    ['2026-03-01T00:00:00.5Z', '2026-03-01T00:00:00.500Z'],
    ['2026-03-01T00:00:00.123456789Z', '2026-03-01T00:00:00.123Z'],
    ['2026-03-01T02:30:00+02:30', '2026-03-01T00:00:00.000Z'],
    ['2026-02-28T23:00:00-01:00', '2026-03-01T00:00:00.000Z'],
    ['2024-02-29T23:59:59-14:00', '2024-03-01T13:59:59.000Z'],
    ['0000-01-01T00:00:00Z', '0000-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
  ]
  for (const [text, value] of pairs) t.strictSame(parseMoment(text), { outcome: 'parsed', value }, text)
})

t.test('what is no moment in RFC 3339 is refused', async (t) => {
  const bad = [
    '', '2026-03-01', '2026-03-01T00:00:00', '2026-03-01 00:00:00Z', '2026-03-01T00:00Z', '2026-3-1T00:00:00Z', '20260301T000000Z',
    '2026-03-01T00:00:00z', '2026-03-01T00:00:00.Z', '2026-03-01T00:00:00+0200', '2026-03-01T00:00:00Z ', '\n2026-03-01T00:00:00Z',
    '2026-03-01T00:00:00.1234567891Z', '+002026-03-01T00:00:00Z', 'now', '1772323200000', 'P7D', '2026-03-01T00:00:60Z',
  ] // prettier-ignore
  for (const text of bad)
    t.match(parseMoment(text), { outcome: 'unparsed', message: /is not a moment in RFC 3339/ }, JSON.stringify(text))
})

t.test('a day or a time of day that does not exist is refused, not moved to one that does', async (t) => {
  for (const text of [
    '2026-02-29T00:00:00Z', '2026-02-31T00:00:00Z', '2026-04-31T00:00:00Z', '2026-13-01T00:00:00Z', '2026-00-01T00:00:00Z',
    '2026-03-00T00:00:00Z', '2026-03-01T24:00:00Z', '2026-03-01T25:00:00Z', '2026-03-01T00:60:00Z', '2026-03-01T00:00:00+24:00',
    '2026-03-01T00:00:00+00:60', '2026-02-31T00:00:00+02:00',
  ]) t.equal(parseMoment(text).outcome, 'unparsed', text) // prettier-ignore
})

t.test('a moment that its offset carries out of the four-digit years is refused', async (t) => {
  for (const text of ['9999-12-31T23:59:59-00:01', '0000-01-01T00:00:00+00:01']) {
    t.match(parseMoment(text), { outcome: 'unparsed', message: /is outside the years 0000 to 9999 in UTC$/ }, text)
  }
})

t.test('every moment that is read is one that is read again, to the same', async (t) => {
  const moments = fc
    .tuple(
      fc.date({ min: new Date('0000-01-01'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
      fc.integer({ min: -23, max: 23 }),
    )
    .map(([date, hours]) => {
      const offset = `${hours < 0 ? '-' : '+'}${String(Math.abs(hours)).padStart(2, '0')}:00`
      return date.toISOString().replace('Z', offset)
    })
  fc.assert(
    fc.property(fc.oneof(moments, strangeText()), (text) => {
      const answer = parseMoment(text)
      if (answer.outcome === 'unparsed') return isOneShortLine(answer.message)
      const again = parseMoment(answer.value)
      return again.outcome === 'parsed' && again.value === answer.value && Date.parse(text) === Date.parse(answer.value)
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})

t.test('times are written as RFC 3339 in UTC', async (t) => {
  t.equal(momentOf(0), '1970-01-01T00:00:00.000Z')
  t.equal(momentOf(Date.UTC(2026, 2, 1, 12)), '2026-03-01T12:00:00.000Z')
})

t.test('a duration of weeks, days, hours, minutes and seconds is given in milliseconds', async (t) => {
  const day = 86_400_000
  const pairs: readonly (readonly [string, number])[] = [
    ['P14D', 14 * day],
    ['P2W', 14 * day],
    ['P1W1D', 8 * day],
    ['PT12H', day / 2],
    ['PT90M', 5_400_000],
    ['PT1S', 1_000],
    ['P1DT1H1M1S', day + 3_661_000],
    ['P0D', 0],
    ['PT0S', 0],
    ['P007D', 7 * day],
    ['P999999W999999DT999999H999999M999999S', ((999_999 * 8 * 24 + 999_999) * 3_600 + 999_999 * 61) * 1_000],
  ]
  for (const [text, value] of pairs) t.strictSame(parseDuration(text), { outcome: 'parsed', value }, text)
})

t.test('what is no such duration is refused, months and years among it', async (t) => {
  for (const text of [
    '', 'P', 'PT', 'P1', 'P1DT', 'PT5', 'P1H', 'PT1D', 'P1M', 'P1Y', 'P1.5D', 'PT0.5S', '-P1D', 'P-1D', '+P1D', 'P1D ', 'p1d', 'P1D1W',
    'PT1M1H', '14d', '14', 'P1000000D', 'P1D\n', 'P٣D',
  ]) t.match(parseDuration(text), { outcome: 'unparsed', message: /is not an ISO 8601 duration/ }, JSON.stringify(text)) // prettier-ignore
})

t.test(
  'any text as a duration gives a whole number of milliseconds that times can be counted with, or one short line',
  async (t) => {
    fc.assert(
      fc.property(strangeText(), (text) => {
        const answer = parseDuration(text)
        return answer.outcome === 'parsed'
          ? Number.isSafeInteger(answer.value) && answer.value >= 0
          : isOneShortLine(answer.message)
      }),
      { numRuns: 1_000 },
    )
    t.pass()
  },
)
