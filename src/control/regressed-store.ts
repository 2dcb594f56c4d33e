// An operator's decision about a store that has gone back (DESIGN §6), or that a write has left half done: write this
// replica's state over it, or, where it has gone back, take it as it is. Either begins a new epoch, which every replica of the two histories follows from then on.
import { momentOf } from '../channels/time.ts'
import { StoreDamaged, StoreRegressed, type Store, type StorePosition } from '../store/port.ts'
import type { Control, KeyReused, NotServedYet, Request } from './control.ts'
import { earlierEntry, idOf } from './core/commit.ts'
import { replicasAhead } from './replicas.ts'

export type Decision = 'restore' | 'accept'

export type DecisionOutcome =
  /** `position` is where the new epoch begins. */
  | { readonly outcome: 'decided'; readonly position: StorePosition; readonly following: boolean }
  | { readonly outcome: 'would'; readonly known: StorePosition; readonly found: StorePosition }
  /** Nothing is to be decided. */
  | { readonly outcome: 'not-regressed'; readonly status: string }
  /** What is damaged cannot be taken as it is. */
  | { readonly outcome: 'damaged'; readonly problem: string }
  /** These replicas have served later changes, which this one's state would undo. */
  | { readonly outcome: 'behind'; readonly ahead: readonly string[] }
  /** The store has changed while it was being decided. */
  | { readonly outcome: 'moved-on' }
  | KeyReused
  | NotServedYet

/** Carries out a decision; `force` restores this replica's state although another one knows more. */
export async function decideRegressed(
  control: Control,
  request: Request,
  decision: Decision,
  { dryRun, force }: { readonly dryRun: boolean; readonly force: boolean },
): Promise<DecisionOutcome> {
  const { replica, store, clock } = control
  const kind = `store.${decision}`
  const earlier = dryRun ? null : await earlierEntry(control, request)
  if (earlier !== null && 'outcome' in earlier) return earlier
  if (earlier !== null) {
    request.onCommitted(earlier, true)
    return decided(control, await store.position())
  }
  const { state, fault } = replica
  const known = replica.knownPosition
  const damage = fault instanceof StoreDamaged && fault.found !== null ? fault : null
  if ((!(fault instanceof StoreRegressed) && damage === null) || state === null || known === null) {
    return { outcome: 'not-regressed', status: replica.problem ?? replica.status }
  }
  if (decision === 'accept' && damage !== null) return { outcome: 'damaged', problem: damage.message }
  const ahead = decision === 'restore' && !force ? await replicasAhead(control) : []
  if (ahead.length > 0) return { outcome: 'behind', ahead }
  const { position: found, isDamaged } = await foundPosition(store)
  // It was damaged when this replica last looked, and is whole again: what others have written since must not be undone.
  if (damage !== null && !isDamaged) return { outcome: 'moved-on' }
  if (dryRun) return { outcome: 'would', known, found }
  const { actor, reason } = request
  const restore = decision === 'restore' ? { ...known, documents: [...state.documents()] } : null
  try {
    const at = momentOf(clock.now())
    const position = await store.startEpoch({ at, actor, kind, reason, ...idOf(request), restore, known, found })
    return await decided(control, position)
  } catch (error) {
    if (error instanceof StoreRegressed) return { outcome: 'moved-on' }
    throw error
  }
}

async function decided(control: Control, position: StorePosition): Promise<DecisionOutcome> {
  const { replica } = control
  replica.retry()
  const following = await replica.until((state) => state.epoch === position.epoch)
  return { outcome: 'decided', position, following }
}

/** Where the store stands; a damaged one that can be restored says so in its error. */
async function foundPosition(store: Store): Promise<{ readonly position: StorePosition; readonly isDamaged: boolean }> {
  try {
    return { position: await store.position(), isDamaged: false }
  } catch (error) {
    if (error instanceof StoreDamaged && error.found !== null) return { position: error.found, isDamaged: true }
    throw error
  }
}
