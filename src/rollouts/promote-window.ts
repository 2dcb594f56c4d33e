// When agents may be moved: weekdays and hours as the clocks of a time zone show them, changes of the clock included.
import { WEEKDAYS, type PromoteWindow, type Weekday } from './pipeline.ts'

const TIME = /^([01]\d|2[0-3]):([0-5]\d)$/
const DAY_MINUTES = 24 * 60

/** Whether this is a time of the day as windows have them. */
export function isTimeOfDay(text: string): boolean {
  return TIME.test(text)
}

/** Whether the time zone is one that this machine knows. */
export function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: text })
    return true
  } catch {
    return false
  }
}

/** Whether the window is open at `now`, in milliseconds since the epoch. */
export function isWindowOpen(window: PromoteWindow, now: number): boolean {
  const { day, minute } = localTime(now, window.timeZone)
  const [from, to] = [minuteOf(window.from), minuteOf(window.to)]
  if (from < to) return window.days.includes(day) && minute >= from && minute < to
  // Over midnight, the hours after it belong to the day on which the window opened.
  return (window.days.includes(day) && minute >= from) || (window.days.includes(dayBefore(day)) && minute < to)
}

/** The window in words: `mon, tue from 09:00 to 17:00 (Europe/Berlin)`. */
export function windowInWords({ days, from, to, timeZone }: PromoteWindow): string {
  return `${days.join(', ')} from ${from} to ${to} (${timeZone})`
}

/** Formatters by time zone: making one costs a thousand times what using it does. */
const formatters = new Map<string, Intl.DateTimeFormat>()
/** There are some 600 time zones. */
const FORMATTERS_MAX = 1_000

function localTime(now: number, timeZone: string): { readonly day: Weekday; readonly minute: number } {
  let formatter = formatters.get(timeZone)
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat('en-US', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
    if (formatters.size >= FORMATTERS_MAX) formatters.clear()
    formatters.set(timeZone, formatter)
  }
  const parts = new Map(formatter.formatToParts(now).map(({ type, value }) => [type, value]))
  const name = (parts.get('weekday') ?? '').toLowerCase()
  const day = WEEKDAYS.find((weekday) => weekday === name)
  if (day === undefined) throw new Error(`${name} is no weekday`)
  return { day, minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')) }
}

function minuteOf(time: string): number {
  const match = TIME.exec(time)
  if (match === null) throw new RangeError(`${time} is no time of the day`)
  return (Number(match[1]) * 60 + Number(match[2])) % DAY_MINUTES
}

function dayBefore(day: Weekday): Weekday {
  return WEEKDAYS[(WEEKDAYS.indexOf(day) + WEEKDAYS.length - 1) % WEEKDAYS.length] ?? day
}
