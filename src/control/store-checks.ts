// Looks at the store's settings at the start and every minute: whether it could lose what it was given.
import { BLOCKED_KIND } from '../channels/blocked-version.ts'
import { CHANNEL_KIND } from '../channels/channel.ts'
import { PIPELINE_KIND } from '../rollouts/pipeline.ts'
import { RELEASE_KIND } from '../rollouts/release.ts'
import { ROLLOUT_KIND } from '../rollouts/rollout.ts'
import type { Clock } from '../lib/clock.ts'
import { startPeriodicTask, type StopTask } from '../lib/periodic-task.ts'
import type { Replica } from '../serve/replica.ts'
import type { ReplicaState } from '../serve/replica-state.ts'
import type { ReplicaLog } from '../serve/replica-log.ts'
import { SETTINGS_UNCHECKED, type StoreWarning } from '../store/warning.ts'
import { TOKEN_KIND } from './tokens.ts'

const KINDS: ReadonlySet<string> = new Set([
  CHANNEL_KIND,
  BLOCKED_KIND,
  TOKEN_KIND,
  RELEASE_KIND,
  PIPELINE_KIND,
  ROLLOUT_KIND,
])

const CHECK_INTERVAL_MS = 60_000
/** What could not be checked is looked at again soon: it may be what the store loses changes by. */
const RECHECK_INTERVAL_MS = 5_000

/** Warnings name this many documents, and entries, at most; the metrics count all. */
const NAMED_MAX = 20

/**
 * A warning for each channel that this replica cannot act on, and one for each other kind of document. Readiness is told without a
 * token, and a release's key may be what an embargo hides, so only channels are named; the log and the API name all of them.
 */
export function documentWarnings({ state }: Pick<Replica, 'state'>): readonly StoreWarning[] {
  const channels: string[] = []
  const others = new Map<string, number>()
  for (const { key, unreadable: why = '' } of state?.unreadable.values() ?? []) {
    const kind = kindOf(key)
    if (kind !== CHANNEL_KIND) others.set(kind, (others.get(kind) ?? 0) + 1)
    else if (channels.length < NAMED_MAX) channels.push(`the document ${key} cannot be read: ${why}`)
  }
  const counted = [...others]
    .slice(0, NAMED_MAX)
    .map(([kind, count]) => `documents that cannot be read: ${count} of the kind ${kind}`)
  return [...channels, ...counted].map((found) => ({
    code: 'unreadable_document',
    message: `${found}. GET /admin/v1/store/unreadable names all; mend them with POST /admin/v1/store/repair`,
  }))
}

/** A warning for each channel whose pin is held past its time: it stays until an operator acts. */
export function heldPinWarnings({ state }: Pick<Replica, 'state'>): readonly StoreWarning[] {
  const held = [...(state?.held ?? [])]
  const named = held.slice(0, NAMED_MAX).map(([name, guard]) => `the pin of channel ${name} is held (${guard})`)
  if (held.length > NAMED_MAX) named.push(`the pins of ${held.length - NAMED_MAX} more channels are held`)
  return named.map((found) => ({
    code: 'pin_held',
    message: `${found} although its time is over; read the channel for why and what to do`,
  }))
}

/** A document that this replica cannot act on, and why. */
export interface UnreadableView {
  readonly key: string
  readonly detail: string
}

/** Those whose keys come after this one, by their keys; one more than `limit` where there are more. */
export function listUnreadable(state: ReplicaState, after: string, limit: number): readonly UnreadableView[] {
  const keys = [...state.unreadable.keys()].filter((key) => key > after).toSorted()
  return keys.slice(0, limit + 1).map((key) => ({ key, detail: state.unreadable.get(key)?.unreadable ?? '' }))
}

/** What another program has written may have any key; only the kinds of this build are told as they are. */
function kindOf(key: string): string {
  const kind = key.slice(0, key.indexOf('/'))
  return KINDS.has(kind) ? kind : 'other'
}

/** A warning for each journal entry that this process has met and cannot read. */
export function entryWarnings({ unreadableEntries }: Pick<Replica, 'unreadableEntries'>): readonly StoreWarning[] {
  return unreadableEntries.newest(NAMED_MAX).map(([seq, why]) => ({
    code: 'unreadable_entry',
    message: `the journal entry ${seq} cannot be read: ${why}. What channels served before it counts as unknown`,
  }))
}

/** A warning while a restart without the store would serve an older state. */
export function lastKnownGoodWarnings({ lastKnownGood }: Pick<Replica, 'lastKnownGood'>): readonly StoreWarning[] {
  const { warning } = lastKnownGood
  return warning === null ? [] : [{ code: 'last_known_good_unsaved', message: warning }]
}

export interface StoreChecks {
  /** As of the last look; settings that could not be checked then are as of the last look that could. */
  readonly warnings: () => readonly StoreWarning[]
  /** Looks once. A store that cannot be asked is the warning `settings_unchecked`. */
  look(): Promise<readonly StoreWarning[]>
  /** Looks every minute from now on, and sooner where something could not be checked; the answer stops it. */
  start(): StopTask
}

/** `ask` gives what is wrong now. Each warning is logged when it comes and when it goes. */
export function storeChecks(ask: () => Promise<readonly StoreWarning[]>, clock: Clock, log: ReplicaLog): StoreChecks {
  let current: readonly StoreWarning[] = []
  const look = async (): Promise<readonly StoreWarning[]> => {
    const found = await askOrWarn(ask, current)
    for (const { code, message } of found) {
      if (!current.some((known) => known.code === code)) log.warn({ code }, message)
    }
    for (const { code } of current) {
      if (!found.some((still) => still.code === code)) log.info({ code }, 'the store has been put right')
    }
    current = found
    return found
  }
  return {
    warnings: () => current,
    look,
    start: () =>
      startPeriodicTask({
        clock,
        intervalMs: () => (isUnchecked(current) ? RECHECK_INTERVAL_MS : CHECK_INTERVAL_MS),
        async run() {
          await look()
        },
        failed: (error) => log.error({ err: error }, 'the settings of the store could not be checked'),
      }),
  }
}

/** Whether these warnings say that something could not be checked. */
export function isUnchecked(warnings: readonly StoreWarning[]): boolean {
  return warnings.some(({ code }) => code === SETTINGS_UNCHECKED)
}

async function askOrWarn(
  ask: () => Promise<readonly StoreWarning[]>,
  before: readonly StoreWarning[],
): Promise<readonly StoreWarning[]> {
  try {
    return await ask()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const message = `the settings of the store could not be checked (${why}); they are checked again in ${RECHECK_INTERVAL_MS / 1_000} s`
    return [...before.filter(({ code }) => code !== SETTINGS_UNCHECKED), { code: SETTINGS_UNCHECKED, message }]
  }
}
