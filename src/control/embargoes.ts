// Embargoes as this replica knows them: what of anything may be shown to whom.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { withoutPast, type Meter, type Secrets } from '../rollouts/embargo.ts'
import type { Release } from '../rollouts/release.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { Json } from '../store/port.ts'
import { embargoView, readView } from './core/views.ts'
import { seesAll, type Identity } from './identity.ts'

/** What must be hidden from this caller; null where nothing is. */
export function secretsFor(state: ReplicaState | null, identity: Identity): Secrets | null {
  if (state === null || seesAll(identity)) return null
  const { secrets } = readView(state, embargoView)
  return secrets.isEmpty ? null : secrets
}

/** A release as this caller may see it. */
export function shownRelease(state: ReplicaState, identity: Identity, release: Release): Release {
  return secretsFor(state, identity)?.shown(release) ?? withoutPast(release)
}

/** Characters that are looked through in one turn of the event loop: a millisecond or two. One item has a turn to itself at least. */
const TURN_CHARACTERS_MAX = 32 * 1_024

/** The same as `hide`; the lists of an answer are looked through item by item, and polls have their turn in between. */
export async function hideInTurns(secrets: Secrets, answer: Json): Promise<Json> {
  if (answer === null || typeof answer !== 'object' || Array.isArray(answer)) return secrets.hide(answer)
  const shown: [string, Json][] = []
  const meter: Meter = { characters: 0 }
  for (const [name, value] of Object.entries(answer)) {
    const isList = Array.isArray(value)
    const items: Json[] = []
    for (const item of (isList ? value : [value]) as readonly Json[]) {
      items.push(secrets.hide(item, name, meter))
      if (meter.characters < TURN_CHARACTERS_MAX) continue
      meter.characters = 0
      await nextTurn()
    }
    shown.push([name, isList ? items : (items[0] ?? null)])
  }
  // An own `__proto__` of somebody's JSON would be lost by assignment.
  return Object.fromEntries(shown)
}
