// What a script says that has not done what it was asked for, as the error that its caller is given.
import {
  CommitTooLarge,
  StoreDamaged,
  StoreOutcomeUnknown,
  StoreRegressed,
  StoreUnavailable,
  type StorePosition,
} from '../port.ts'
import { newerFormat } from './documents.ts'

/** Every one of these but 'halfway' comes before the script's first write, so nothing was changed. */
export function refusal([verdict, first = '', seq, mark = '']: readonly string[], known: StorePosition | null): Error {
  const found = { epoch: first, seq: Number(seq), mark }
  switch (verdict) {
    case 'regressed':
      return new StoreRegressed(known ?? found, found)
    case 'newer':
      return newerFormat('the store', Number(first))
    case 'too-large':
      return new CommitTooLarge(Number(first))
    case 'forbidden': {
      const reason = missingRight(first, String(seq))
      return new StoreUnavailable(reason, { reason })
    }
    case 'halfway':
      return new StoreOutcomeUnknown(`Writing to the store: it has ended halfway (${first})`)
    default:
      return new StoreDamaged(`The store is damaged: ${first}`)
  }
}

export function missingRight(command: string, key: string): string {
  return `Redis does not allow ${command} on ${key} to its user; give it the rights of docs/redis.md`
}
