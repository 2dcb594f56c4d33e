// What an error of a Redis call means: was the command certainly not carried out, or does nobody know? The port's errors keep
// no cause, because ioredis hangs a command's arguments on its errors: documents, and passwords.
import {
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

/** Whether an error is one of the port's already, so that whoever asked is told that. */
export function isPortError(error: unknown): error is Error {
  const kinds = [StoreUnavailable, StoreOutcomeUnknown, StoreDamaged, StoreRegressed, JournalTrimmed, NewerFormat]
  return kinds.some((kind) => error instanceof kind) || error instanceof RangeError
}

/** An error of a command that reads: nothing was changed in any case. `why` is what is wrong with the connection. */
export function readFault(error: unknown, doing: string, why: string): Error {
  if (isPortError(error)) return error
  const text = textOf(error)
  if (text.includes('WRONGTYPE')) {
    const advice = 'another program may use the same prefix'
    return new StoreDamaged(`The store is damaged: a key in Redis is of another type than Bellwether writes; ${advice}`)
  }
  return new StoreUnavailable(`${doing}: ${isNotSent(error) ? `Redis cannot be reached (${why})` : text}`)
}

/** An error of a command that writes. Scripts look at everything before they write, so one that is refused wrote nothing. */
export function writeFault(error: unknown, doing: string, why: string): Error {
  const isRefused = error instanceof Error && error.name === 'ReplyError'
  if (isPortError(error) || isRefused || isNotSent(error)) return readFault(error, doing, why)
  return new StoreOutcomeUnknown(`${doing}: no answer from Redis (${textOf(error)})`)
}

/** Whether a connection may still deliver the answer to a command that was given up. */
export function isTimeout(error: unknown): boolean {
  return textOf(error) === 'Command timed out'
}

function isNotSent(error: unknown): boolean {
  return NOT_SENT.test(textOf(error))
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
