// The list of people as this replica knows it.
import { peopleOf, PEOPLE_KEY, type People } from '../rollouts/people.ts'
import type { Reader } from './core/transaction.ts'

/** Who is who; a transaction records that it has read it, so that no decision outlives a mapping. */
export function peopleIn(reader: Reader): People {
  return peopleOf(reader.stored(PEOPLE_KEY))
}
