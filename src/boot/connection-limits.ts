// How many connections each listener takes, so that polls never use up the file descriptors that the control plane and the store need.
import { readFileSync } from 'node:fs'
import type { Config } from '../config.ts'
import type { StoreWarning } from '../store/warning.ts'

/** Agents come one connection each; past this the kernel's queue and their next try are the better place to wait. */
const POLL_CONNECTIONS_MAX = 50_000
/** Operators, their tools and a hundred journal streams need far fewer. */
const CONTROL_CONNECTIONS_MAX = 2_000
/** For the store, its file, the log, connections to Redis, upstreams, gates and packages, and a new connection before it is refused. */
const RESERVED_DESCRIPTORS = 160
/** Of what the limit leaves, where it does not leave enough for both. */
const CONTROL_SHARE = 0.2
/** Fewer connections of polls than this are few for a fleet that starts at once, and are warned of. */
const WARNED_BELOW = 10_000
/** However low the limit is, a listener that takes no connection would be of no use. */
const CONNECTIONS_LEAST = 16

export interface ConnectionLimits {
  readonly poll: number
  readonly control: number
  /** Where the limit on file descriptors leaves less than the server would take. */
  readonly warnings: readonly StoreWarning[]
}

/** Which listeners the process has. */
export interface Listeners {
  readonly poll: boolean
  readonly control: boolean
}

/** The listeners of the server's own process; workers have the other one. */
export function listenersOf({ role, pollWorkers }: Pick<Config, 'role' | 'pollWorkers'>): Listeners {
  return { poll: role !== 'control' && pollWorkers === 1, control: role !== 'poll' }
}

/** The limits of a process with these listeners, of which `descriptors` may be open; null where that is not known. */
export function connectionLimits({ poll, control }: Listeners, descriptors: number | null): ConnectionLimits {
  const most = { poll: POLL_CONNECTIONS_MAX, control: CONTROL_CONNECTIONS_MAX }
  const needed = RESERVED_DESCRIPTORS + (poll ? most.poll : 0) + (control ? most.control : 0)
  if (descriptors === null || descriptors >= needed) return { ...most, warnings: [] }
  const left = Math.max(0, descriptors - RESERVED_DESCRIPTORS)
  const forControl = poll ? Math.floor(left * CONTROL_SHARE) : left
  const limits = {
    control: atLeast(Math.min(most.control, forControl)),
    poll: atLeast(Math.min(most.poll, control ? left - Math.min(most.control, forControl) : left)),
  }
  const taken = [...(poll ? [`${limits.poll} of polls`] : []), ...(control ? [`${limits.control} of operators`] : [])]
  // Most machines allow some ten thousand, which is no fault of theirs.
  if (limits.poll >= WARNED_BELOW) return { ...limits, warnings: [] }
  const message = `the limit on open files (RLIMIT_NOFILE) is ${descriptors}, so at most ${taken.join(' and ')} are taken as connections; raise it to ${needed} (ulimit -n, LimitNOFILE= of systemd)`
  return { ...limits, warnings: [{ code: 'open_files_limited', message }] }
}

function atLeast(count: number): number {
  return Math.max(CONNECTIONS_LEAST, count)
}

/** How many file descriptors this process may have open; null where the system does not say, or sets no limit. */
export function descriptorLimit(path = '/proc/self/limits'): number | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return null
  }
  const soft = /^Max open files\s+(\d+)\s/m.exec(text)?.[1]
  return soft === undefined ? null : Number(soft)
}
