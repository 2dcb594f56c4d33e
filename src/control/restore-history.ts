// Restores what channels served before this process knew them: reads the journal backwards, each entry once for all
// channels, in the background. Until that is done, what was before is not known, and holds promotions back.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parseDuration } from '../channels/time.ts'
import { startPeriodicTask, type StopTask } from '../lib/periodic-task.ts'
import { PIPELINE_KIND, pipelineOf } from '../rollouts/pipeline.ts'
import { ROLLOUT_KIND, rolloutOf } from '../rollouts/rollout.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import { EPOCH_SUBJECT, StoreUnavailable } from '../store/port.ts'
import type { Control } from './control.ts'

/** How often it is looked whether anything is to be read: after the start, and after a state was loaded anew. */
const CHECK_MS = 1_000

/** Entries read at once. An entry that changes hundreds of channels has half a megabyte, and a page is parsed in one go. */
const PAGE_ENTRIES = 8

/** The grace period that the API asks about unless told (RFD 109). */
const GRACE_MIN_MS = 14 * 86_400_000

/** Readings under way, one for each state at most. */
const underWay = new WeakMap<ReplicaState, Promise<void>>()

type Reader = Pick<Control, 'store' | 'replica' | 'clock'>

/** Starts restoring; the answer stops it, once the page under way was read. */
export function restoreHistories(control: Reader, log: ReplicaLog): StopTask {
  let problem: string | null = null
  return startPeriodicTask({
    clock: control.clock,
    intervalMs: CHECK_MS,
    firstMs: 0,
    async run(signal) {
      await restoreHistory(control, signal)
      problem = null
    },
    failed(error) {
      // The next look goes on where this one has stopped; what stays wrong is told once.
      const found = error instanceof Error ? error.message : String(error)
      const isTold = error instanceof StoreUnavailable || found === problem
      problem = found
      if (!isTold) log.warn({ err: error }, 'what channels served could not be restored; promotions wait for it')
    },
  })
}

/** The same for somebody who has asked and does not wait; while the store is away, whoever asks next tries again. */
export function restoreInBackground(control: Reader): void {
  restoreHistory(control).catch(() => {})
}

/** Reads what is missing of the history of the state that is known now; nothing where it is whole, or the store is not followed. */
export function restoreHistory(control: Reader, signal?: AbortSignal): Promise<void> {
  const { state, fault } = control.replica
  if (state === null || fault !== null || !isWanted(control, state)) return Promise.resolve()
  const reading = underWay.get(state) ?? read(control, state, signal).finally(() => underWay.delete(state))
  underWay.set(state, reading)
  return reading
}

/** Whether all is known of what channels served that anybody may ask about now, so that nothing is read in the background. */
export function isHistoryRestored(control: Pick<Reader, 'replica' | 'clock'>): boolean {
  const { state } = control.replica
  return state !== null && !isWanted(control, state)
}

function isWanted({ clock }: Pick<Reader, 'clock'>, state: ReplicaState): boolean {
  const { history } = state
  return history.cursor !== null && history.wants(clock.now() - graceInUseMs(state))
}

async function read(control: Reader, state: ReplicaState, signal?: AbortSignal): Promise<void> {
  const { store, replica, clock } = control
  const { history } = state
  const isOver = (): boolean => signal?.aborted === true || replica.state !== state
  while (!isOver() && isWanted(control, state) && history.cursor !== null) {
    const { entries, next } = await store.journal({ limit: PAGE_ENTRIES, beforeSeq: history.cursor }, 'reader')
    const begins = next === null ? await store.journalBegins() : null
    if (isOver()) return
    for (const entry of entries) {
      const { seq, at, subjects, changes } = entry
      if (entry.unreadable !== undefined) {
        replica.unreadableEntries.note(entry)
        return history.lostBefore()
      }
      // What was served before an operator decided what the store holds, no entry tells.
      if (subjects.includes(EPOCH_SUBJECT)) return history.learnedAll({ epochAt: timeOr(at, clock.now()) })
      history.learn({ seq, at: Date.parse(at), changes }, clock.now())
    }
    if (next !== null) history.learnedTo(next)
    else history.learnedAll({ beginsAt: begins === null ? null : timeOr(begins, clock.now()) })
    await nextTurn()
  }
}

/** A time in milliseconds since the epoch; `otherwise` where the text is none. */
function timeOr(text: string, otherwise: number): number {
  const time = Date.parse(text)
  return Number.isNaN(time) ? otherwise : time
}

/** The longest grace period that anybody may ask about, in milliseconds. */
function graceInUseMs(state: ReplicaState): number {
  const pipelines = [...state.documentsOf(PIPELINE_KIND)].map((document) => pipelineOf(document).grace)
  const rollouts = [...state.documentsOf(ROLLOUT_KIND)]
    .map(rolloutOf)
    .filter(({ state: stands }) => stands === 'running')
  const graces = [...new Set([...pipelines, ...rollouts.map(({ rules }) => rules.grace)])].map((grace) => {
    const duration = parseDuration(grace)
    return duration.outcome === 'parsed' ? duration.value : 0
  })
  return Math.max(GRACE_MIN_MS, state.history.askedMs, ...graces)
}
