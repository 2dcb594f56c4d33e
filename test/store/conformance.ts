// What every store must do, whatever keeps its documents: a store that passes this can stand behind the port.
import type { Test } from 'tap'
import type { Store } from '../../src/store/port.ts'
import { commits } from './conformance/commits.ts'
import { fidelity } from './conformance/fidelity.ts'
import { following } from './conformance/following.ts'
import { histories } from './conformance/histories.ts'
import { journal } from './conformance/journal.ts'
import { model } from './conformance/model.ts'
import { opening } from './conformance/opening.ts'
import { repeats } from './conformance/repeats.ts'

/** A fresh, empty place for one store. `open` opens the store there, also again after it was closed. */
export interface StorePlace {
  open(): Promise<Store>
}

/** Makes a place for the test `t` and has it cleaned up when `t` ends. */
export type MakePlace = (t: Test) => Promise<StorePlace>

/** A store in a fresh place, closed when `t` ends. */
export async function freshStore(t: Test, makePlace: MakePlace): Promise<Store> {
  const place = await makePlace(t)
  const store = await place.open()
  t.teardown(() => store.close())
  return store
}

export function conformance(t: Test, name: string, makePlace: MakePlace): void {
  const groups = { commits, repeats, histories, following, journal, fidelity, opening, model }
  for (const [group, tests] of Object.entries(groups)) {
    void t.test(`${name}: ${group}`, (t) => tests(t, makePlace))
  }
}
