// What the rules answer: a value, or a refusal that says what is wrong and what to do about it.
// Expected outcomes are values here; nothing in channels/ throws for what an operator or an upstream may send.

import { escapeUnsafe } from './unsafe-text.ts'

/** The guards of every change of a served version, by the names the API shows. */
export type GuardName =
  | 'not-a-version'
  | 'blocked-version'
  | 'floor'
  | 'ceiling'
  | 'build_metadata'
  | 'major-downgrade'
  | 'major-jump'
  | 'downgrade'
  | 'rollback_end'
  | 'stale-write'

/** Why a change does not fit the state its channel is in. */
export type StateProblem =
  'channel_exists' | 'follows_upstream' | 'not_pinned' | 'not_halted' | 'no_target' | 'no_earlier_version'

export type Refusal =
  /** A field of the request cannot be what it is. */
  | { readonly outcome: 'refused'; readonly why: 'malformed'; readonly field: string; readonly message: string }
  /** A guard forbids it. `served` is what the channel tells agents now; `verdicts` has every guard that was asked. */
  | {
      readonly outcome: 'refused'
      readonly why: 'guard'
      readonly guard: GuardName
      readonly field: string | null
      readonly served: string | null
      readonly message: string
      readonly verdicts: readonly Verdict[]
    }
  /** The channel is not in a state in which this can be done. */
  | { readonly outcome: 'refused'; readonly why: 'state'; readonly problem: StateProblem; readonly message: string }

/** What one guard said of one change. */
export interface Verdict {
  readonly guard: GuardName
  readonly verdict: 'passed' | 'refused' | 'forced'
  readonly detail: string
}

/** What to know of a change although it was made. `code` is for programs, `message` for people. */
export interface Warning {
  readonly code: string
  readonly message: string
}

export interface Parsed<T> {
  readonly outcome: 'parsed'
  readonly value: T
}

export interface Unparsed {
  readonly outcome: 'unparsed'
  /** A whole sentence without its subject's name, e.g. `"1.2" has two parts; a version has three, like 15.1.4`. */
  readonly message: string
}

export function parsed<T>(value: T): Parsed<T> {
  return { outcome: 'parsed', value }
}

export function unparsed(message: string): Unparsed {
  return { outcome: 'unparsed', message }
}

/** The refusal of a request one of whose fields cannot be what it is. */
export type Malformed = Extract<Refusal, { readonly why: 'malformed' }>

export function malformed(field: string, message: string): Malformed {
  return { outcome: 'refused', why: 'malformed', field, message }
}

/** At most this many characters of what somebody sent stand in a message, so that no message grows with its input. */
const SHOWN_LENGTH_MAX = 80

/** Shows text that somebody sent: quoted, cut, and with every character escaped that could break or forge a line on a terminal. */
export function quoted(text: string): string {
  let end = Math.min(text.length, SHOWN_LENGTH_MAX)
  // An escape is longer than its character; cutting before escaping keeps every escape whole.
  while (escaped(text.slice(0, end)).length > SHOWN_LENGTH_MAX) end -= 1
  return `"${escaped(text.slice(0, end))}${end < text.length ? '…' : ''}"`
}

/** JSON's escapes, and the same for what JSON lets stand: C1 controls, line separators, marks that turn the direction of writing. */
function escaped(text: string): string {
  return escapeUnsafe(JSON.stringify(text).slice(1, -1))
}
