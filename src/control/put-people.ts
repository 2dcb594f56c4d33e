// The command that says which GitHub accounts people have, and the list as the API shows it.
import { momentOf } from '../channels/time.ts'
import type { Refusal } from '../channels/outcome.ts'
import {
  peopleBody,
  peopleMistake,
  PEOPLE_KEY,
  storedPeopleOf,
  type Person,
  type StoredPeople,
} from '../rollouts/people.ts'
import type { Document } from '../store/port.ts'
import { isExpected, knownState, type Conditions, type Control, type Request, type Stale } from './control.ts'
import { commitWith, executeCommand, leaveUnchanged, replyWith, type Unfinished } from './core/execute.ts'
import { documentAfter, readerOf } from './core/transaction.ts'
import { isSameBody } from './same-body.ts'

export interface PeopleRecord extends StoredPeople {
  readonly revision: number
}

export type PeopleOutcome = { readonly outcome: 'done'; readonly record: PeopleRecord } | Refusal | Stale | Unfinished

/** Replaces the list of people. An unreadable one is written over: until then every release by a login is held. */
export async function putPeople(
  control: Control,
  request: Request,
  people: readonly Person[],
  { dryRun, expectedRevisions }: Conditions,
): Promise<PeopleOutcome> {
  const mistake = peopleMistake(people)
  if (mistake !== null) return mistake
  return executeCommand<PeopleOutcome, null, null>(control, request, {
    kind: 'people.put',
    dryRun,
    run(tx) {
      const document = tx.stored(PEOPLE_KEY)
      if (!isExpected(expectedRevisions, document)) return replyWith({ outcome: 'stale', current: document ?? null })
      const body = peopleBody({ people, updatedAt: momentOf(tx.now), updatedBy: request.actor })
      if (document !== undefined && isSameBody(document.body, body)) return leaveUnchanged(document)
      tx.overwrite(PEOPLE_KEY, body)
      return commitWith(null)
    },
    reply: (applied) => done(documentAfter(applied, PEOPLE_KEY)),
    replyUnchanged: done,
  })
}

/** The list as this replica knows it; null where nobody was mapped yet. Throws UnreadableDocument. */
export function peopleRecord(control: Control): PeopleRecord | null {
  const document = readerOf(knownState(control)).readable(PEOPLE_KEY)
  return document === undefined ? null : recordOf(document)
}

export function recordOf(document: Document): PeopleRecord {
  return { ...storedPeopleOf(document), revision: document.revision }
}

function done(document: Document): PeopleOutcome {
  return { outcome: 'done', record: recordOf(document) }
}
