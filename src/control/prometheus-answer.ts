// What Prometheus' answer to an instant query says of a gate. Whatever is not exactly such an answer is an error in words: a
// gate passes only where every series was there, was a number and was on the right side of the threshold.
import { parsed, unparsed, type Parsed, type Unparsed } from '../channels/outcome.ts'
import { escapeUnsafe } from '../channels/unsafe-text.ts'
import type { Gate, GateOp } from '../rollouts/pipeline.ts'
import type { GateReading } from '../rollouts/rollout.ts'

/** A gate asks for one number, or for one of each zone or job; whoever gets more has forgotten to aggregate. */
export const GATE_SERIES_MAX = 1_000
/** Of what the other side says, so much is shown and kept with the rollout. */
const SHOWN_LENGTH_MAX = 300

interface Sample {
  /** As Prometheus writes a series: `errors{zone="a"}`. */
  readonly series: string
  readonly value: number
}

/** Makes of what the other side says what may be shown. */
type Show = (text: string) => string

/**
 * What a gate has found, from the status and body of Prometheus' answer. `redact` takes out of a text what nobody may read: it is
 * called before anything is cut, since half a secret would not be found.
 */
export function readGateAnswer(
  status: number,
  body: string,
  rule: Pick<Gate, 'op' | 'threshold'>,
  redact: Show = (text) => text,
): GateReading {
  const show: Show = (text) => shown(redact(text))
  const answer = objectIn(body)
  if (answer?.['status'] === 'error') {
    const { error } = answer
    const words = typeof error === 'string' && error !== '' ? show(error) : 'an error without words'
    return unread(`the query is answered ${status}: ${words}`)
  }
  if (status >= 300 && status < 400) return unread(`the query is answered ${status}, a redirect, which is not followed`)
  if (status !== 200) return unread(`the query is answered ${status}`)
  const samples = readSamples(answer, show)
  if (samples.outcome === 'unparsed') return unread(`the answer ${samples.message}`)
  const gap = gapIn(answer)
  return gap === null ? judge(samples.value, rule) : unread(`partial answer: ${show(gap)}`)
}

/**
 * Why an answer is not the whole one, in the other side's words; null where it is. A value of half the series is none: the series
 * that would fail may be among those that are missing.
 */
function gapIn(answer: Readonly<Record<string, unknown>> | null): string | null {
  const { warnings = null, isPartial = null } = answer ?? {}
  const list: readonly unknown[] = Array.isArray(warnings) ? warnings : warnings === null ? [] : [warnings]
  const words = list
    .map((item) => (typeof item === 'string' ? item : JSON.stringify(item)))
    // Prometheus 2.48 to 2.53 gives advice on how a query is written among the warnings; the answer is whole.
    .filter((text) => !text.startsWith('PromQL info:'))
  // VictoriaMetrics' mark.
  if (isPartial !== null && isPartial !== false) words.push('the server marks it as partial (isPartial)')
  return words.length === 0 ? null : words.join('; ')
}

function unread(detail: string): GateReading {
  return { value: null, verdict: 'error', detail }
}

function judge(samples: readonly Sample[], { op, threshold }: Pick<Gate, 'op' | 'threshold'>): GateReading {
  const numbers = samples.filter(({ value }) => !Number.isNaN(value))
  const failing = numbers.filter(({ value }) => !holds(value, op, threshold))
  const [worst] = numbers.toSorted((a, b) => badness(b.value, op, threshold) - badness(a.value, op, threshold))
  if (worst !== undefined && failing.length > 0) {
    const detail =
      samples.length === 1
        ? `${written(worst.value)} is not ${op} ${threshold}`
        : `the value is not ${op} ${threshold} in ${failing.length} of ${samples.length} series; ` +
          `the worst is ${written(worst.value)}, of ${worst.series}`
    return { value: storable(worst.value), verdict: 'failed', detail }
  }
  if (worst === undefined || numbers.length < samples.length) {
    const gaps = `NaN, which is no number, in ${samples.length - numbers.length} of ${samples.length} series`
    return { value: null, verdict: 'no data', detail: `the query gives ${samples.length === 0 ? 'no series' : gaps}` }
  }
  return { value: storable(worst.value), verdict: 'passed', detail: null }
}

function holds(value: number, op: GateOp, threshold: number): boolean {
  switch (op) {
    case '<':
      return value < threshold
    case '<=':
      return value <= threshold
    case '>':
      return value > threshold
    case '>=':
      return value >= threshold
    case '==':
      return value === threshold
    case '!=':
      return value !== threshold
  }
}

/** Grows towards the wrong side: the series with the most is the worst, and where it passes, the closest to failing. */
function badness(value: number, op: GateOp, threshold: number): number {
  switch (op) {
    case '<':
    case '<=':
      return value
    case '>':
    case '>=':
      return -value
    case '==':
      return Math.abs(value - threshold)
    case '!=':
      return -Math.abs(value - threshold)
  }
}

/** JSON has no infinite numbers. */
function storable(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

/** A number as Prometheus writes it. */
function written(value: number): string {
  return Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'
}

function readSamples(
  answer: Readonly<Record<string, unknown>> | null,
  show: Show,
): Parsed<readonly Sample[]> | Unparsed {
  const data = answer?.['data']
  if (answer?.['status'] !== 'success' || !isObject(data)) return unparsed("is not Prometheus' JSON")
  const { resultType, result } = data
  if (resultType !== 'vector' && resultType !== 'scalar') {
    return unparsed(`is of the type ${show(JSON.stringify(resultType) ?? 'none')}, not an instant vector or a scalar`)
  }
  const items: unknown = resultType === 'scalar' ? [{ metric: {}, value: result }] : result
  if (!Array.isArray(items)) return unparsed('has no list of series')
  if (items.length > GATE_SERIES_MAX) return unparsed(`has ${items.length} series, more than ${GATE_SERIES_MAX}`)
  const samples = items.map((item) => sampleOf(item, show)).filter((sample) => sample !== null)
  if (samples.length < items.length) return unparsed('has a series whose value is not a number (it may be a histogram)')
  return parsed(samples)
}

function sampleOf(item: unknown, show: Show): Sample | null {
  if (!isObject(item) || !Array.isArray(item['value'])) return null
  const value = numberOf(item['value'][1])
  return value === null ? null : { series: seriesOf(item['metric'], show), value }
}

/** Prometheus writes numbers as strings, so that it can say NaN and the infinite ones. */
function numberOf(text: unknown): number | null {
  if (typeof text !== 'string') return null
  if (text === 'NaN') return Number.NaN
  if (/^[+-]?Inf$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  return /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : null
}

function seriesOf(metric: unknown, show: Show): string {
  const { __name__: name = '', ...labels } = isObject(metric) ? metric : {}
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`)
  return show(`${typeof name === 'string' ? name : ''}{${pairs.join(',')}}`)
}

function objectIn(body: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body)
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What the other side says, cut, with the characters escaped that could break or forge a line or are no text. */
function shown(text: string): string {
  // Half of a character is not kept.
  return escapeUnsafe(text.slice(0, SHOWN_LENGTH_MAX).replace(/[\ud800-\udbff]$/, ''))
}
