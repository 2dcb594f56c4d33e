// What an error of a Redis call means: was the command certainly not carried out, or does nobody know? The port's errors keep
// no cause, because ioredis hangs a command's arguments on its errors: documents, and passwords.
import {
  CommitTooLarge,
  JournalTrimmed,
  NewerFormat,
  StoreDamaged,
  StoreOutcomeUnknown,
  StoreRegressed,
  StoreUnavailable,
} from '../port.ts'

/** What ioredis says of a command that was never sent. */
const NOT_SENT =
  /isn't writeable and enableOfflineQueue|isn't ready and enableOfflineQueue|None of startup nodes is available|Failed to refresh slots cache/

/** What ioredis says of a command whose connection has gone: not why. */
const LOST = /^Reached the max retries per request|^Connection is closed/

/** The errors by which Redis refuses a command before it does anything. */
const NOT_BEGUN =
  /^(?:NOPERM|NOAUTH|WRONGPASS|READONLY|OOM|MISCONF|NOREPLICAS|LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|MOVED|ASK|TRYAGAIN|CROSSSLOT|NOSCRIPT|NOGOODSLAVE|WRONGTYPE)\b|^ERR unknown command|^ERR Protocol error/

/** The errors by which Redis refuses writes for as long as it is in some state; scripts before 7.0 have more words before it. */
const REFUSES = /(?:^|^ERR |: -)((?:OOM|MISCONF|NOREPLICAS|READONLY|LOADING|MASTERDOWN|CLUSTERDOWN)\b.*)/s
/** What Redis adds to an error of a script. */
const OF_WHICH_SCRIPT = /[.,]?\s*script: [0-9a-f]{40}.*$/s
/** Longer than any reason that Redis gives. */
const REASON_LENGTH_MAX = 400

/** An error in a script itself, from 7.0 on and before, where it can also be the reply to one command of it. What fails after a script's first write is no error but a reply. */
const OF_SCRIPT = /\bscript: [0-9a-f]{40}\b|Error (?:running|compiling) script|user_script: ?\d+:/

/** Whether an error is one of the port's already, so that whoever asked is told that. */
function isPortError(error: unknown): error is Error {
  const kinds = [
    CommitTooLarge,
    StoreUnavailable,
    StoreOutcomeUnknown,
    StoreDamaged,
    StoreRegressed,
    JournalTrimmed,
    NewerFormat,
  ]
  return kinds.some((kind) => error instanceof kind) || error instanceof RangeError
}

/** Why Redis refuses in the state that it is in, in its own words; null where an error says something else. */
export function refusalIn(error: unknown): string | null {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return null
  const [, reason] = REFUSES.exec(error.message) ?? []
  return (
    reason
      ?.replace(OF_WHICH_SCRIPT, '')
      .replace(/\.\s*$/, '')
      .slice(0, REASON_LENGTH_MAX) ?? null
  )
}

/** An error of a command that reads: nothing was changed in any case. `why` is what is wrong with the connection. */
export function readFault(error: unknown, doing: string, why: string): Error {
  if (isPortError(error)) return error
  const text = textOf(error)
  if (text.includes('WRONGTYPE')) {
    const advice = 'another program may use the same prefix'
    return new StoreDamaged(`The store is damaged: a key in Redis is of another type than Bellwether writes; ${advice}`)
  }
  if (text.includes('XADD is equal or smaller')) {
    const advice = 'set the last id of the stream back to that of its newest entry (XSETID)'
    return new StoreDamaged(`The store is damaged: an entry was taken out of the journal by hand; ${advice}`)
  }
  const reason = refusalIn(error)
  if (reason !== null) return new StoreUnavailable(`${doing}: ${reason}`, { reason })
  return new StoreUnavailable(
    `${doing}: ${isNotSent(error) || LOST.test(text) ? `Redis cannot be reached (${why})` : text}`,
  )
}

/**
 * An error of a script that writes. Nothing was changed only where that is certain: Redis has not begun it, or it has failed
 * before its first write. Any other error, such as that of a proxy before Redis, may have come after it.
 */
export function writeFault(error: unknown, doing: string, why: string): Error {
  if (isPortError(error) || isRefused(error) || isNotSent(error)) return readFault(error, doing, why)
  return new StoreOutcomeUnknown(`${doing}: no answer that says what has become of it (${textOf(error)})`)
}

function isRefused(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return false
  return NOT_BEGUN.test(error.message) || OF_SCRIPT.test(error.message)
}

/** What Redis says to a connection that has not logged in; null where an error says something else. */
export function loginFault(error: unknown): string | null {
  const text = textOf(error)
  return /^(?:NOAUTH|WRONGPASS)\b/.test(text) ? text : null
}

/** Whether a connection may still deliver the answer to a command that was given up. */
export function isTimeout(error: unknown): boolean {
  return textOf(error) === 'Command timed out'
}

function isNotSent(error: unknown): boolean {
  return NOT_SENT.test(textOf(error))
}

function textOf(error: unknown): string {
  // What Redis says to a script of somebody who has not logged in: its text is longer than it reads then.
  if (error instanceof Error && error.message.includes('unauthenticated')) return 'NOAUTH Redis asks for a password'
  return error instanceof Error ? error.message : String(error)
}
