// Describes what a JSON value must be, and says of one that is not what is wrong and where. Members that no description
// names are let through: a newer build may have put them there.
import { parseMoment } from './time.ts'
import { isVersion } from './version.ts'

/** Says what is wrong with a value that stands at `at` (a path like `source/version`), null where nothing is. */
export type Shape = (value: unknown, at: string) => string | null

export const text: Shape = (value, at) => (typeof value === 'string' ? null : wrong(at, 'a text', value))

export const flag: Shape = (value, at) => (typeof value === 'boolean' ? null : wrong(at, 'true or false', value))

export const finite: Shape = (value, at) => (Number.isFinite(value) ? null : wrong(at, 'a number', value))

/** RFC 3339, as everything here stores times. */
export const moment = textThat(
  knownBefore((value) => parseMoment(value).outcome === 'parsed'),
  'a moment in RFC 3339',
)

/** Without the leading `v`, as everything here stores versions. */
export const version = textThat(
  knownBefore((value) => isVersion(value) && !value.startsWith('v')),
  'a version like 15.1.4',
)

/** Texts that a check remembers, some 100 bytes each. */
const KNOWN_MAX = 1_000

/** The longest that a document may ask to wait: with any moment of today it ends in a year that a moment is written with. */
const MINUTES_MAX = 1_000 * 366 * 24 * 60

/** A length of time. */
export const minutes = whole(0, MINUTES_MAX)

/** The same check with what has lately held: an entry of 900 channels has the same moments and versions over and over. */
function knownBefore(holds: (value: string) => boolean): (value: string) => boolean {
  const known = new Set<string>()
  return (value) => {
    if (known.has(value)) return true
    if (!holds(value)) return false
    if (known.size >= KNOWN_MAX) known.clear()
    known.add(value)
    return true
  }
}

export function textThat(holds: (value: string) => boolean, what: string): Shape {
  return (value, at) => (typeof value === 'string' && holds(value) ? null : wrong(at, what, value))
}

export function whole(least: number, most = Number.MAX_SAFE_INTEGER): Shape {
  return (value, at) => {
    const isRight = Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most
    return isRight ? null : wrong(at, `a whole number from ${least}`, value)
  }
}

export function oneOf(values: readonly string[]): Shape {
  return textThat((value) => values.includes(value), `one of ${values.join(', ')}`)
}

export function nullable(shape: Shape): Shape {
  return (value, at) => (value === null ? null : shape(value, at))
}

/** May be missing. */
export function optional(shape: Shape): Shape {
  return (value, at) => (value === undefined ? null : shape(value, at))
}

export function listOf(shape: Shape): Shape {
  return (value, at) => {
    if (!Array.isArray(value)) return wrong(at, 'a list', value)
    const index = value.findIndex((item) => shape(item, at) !== null)
    return index === -1 ? null : shape(value[index], `${at}/${index}`)
  }
}

export function recordOf(shape: Shape): Shape {
  return (value, at) => {
    if (!isObject(value)) return wrong(at, 'an object', value)
    const wrongIn = Object.entries(value).find(([, item]) => shape(item, at) !== null)
    return wrongIn === undefined ? null : shape(wrongIn[1], under(at, wrongIn[0]))
  }
}

export function objectWith(members: Readonly<Record<string, Shape>>): Shape {
  const shapes = Object.entries(members)
  return (value, at) => {
    if (!isObject(value)) return wrong(at, 'an object', value)
    for (const [name, shape] of shapes) {
      const inner = own(value, name)
      // Nearly nothing is ever wrong, so the path to it is put together only then.
      if (shape(inner, at) !== null) return shape(inner, under(at, name))
    }
    return null
  }
}

/** An object whose member `tag` says which of the shapes it has. */
export function taggedBy(tag: string, shapes: Readonly<Record<string, Shape>>): Shape {
  const isKnown = oneOf(Object.keys(shapes))
  return (value, at) => {
    if (!isObject(value)) return wrong(at, 'an object', value)
    const kind = own(value, tag)
    return isKnown(kind, under(at, tag)) ?? shapes[String(kind)]?.(value, at) ?? null
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function own(value: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined
}

function under(at: string, name: string): string {
  return at === '' ? name : `${at}/${name}`
}

/** Never with the value: it may be a secret, and this is shown to everybody who asks how the server is. */
function wrong(at: string, what: string, value: unknown): string {
  return `${at === '' ? 'it' : at} must be ${what}, not ${kindOf(value)}`
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing'
  if (typeof value === 'string') return 'another text'
  if (Array.isArray(value)) return 'a list'
  if (value === null) return 'null'
  return typeof value === 'object' ? 'an object' : typeof value
}
