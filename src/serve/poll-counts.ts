// What the poll plane counts: plain integers, added to per poll and read when metrics are asked for.
import { STATUSES, type Status } from './answers.ts'

/** Who has answered: the fast path, or the HTTP server behind it. */
export const POLL_PATHS = ['fast', 'http'] as const

/** Why a connection was cut off. `crowded`: it was idle where there were too many; `address_limit`: one too many of its address. */
export const CUT_OFFS = ['silent', 'idle', 'not reading', 'crowded', 'address_limit'] as const

export type CutOff = (typeof CUT_OFFS)[number]

/** What was counted, as it also comes from another process. */
export interface PollTotals {
  readonly fast: Readonly<Record<Status, number>>
  readonly http: Readonly<Record<Status, number>>
  /** Connections taken. */
  readonly connections: number
  /** Connections given to the HTTP server, for good. */
  readonly handedOver: number
  readonly cutOff: Readonly<Record<CutOff, number>>
}

export class PollCounts implements PollTotals {
  readonly fast: Record<Status, number> = { 200: 0, 304: 0, 400: 0, 404: 0, 405: 0, 503: 0 }
  readonly http: Record<Status, number> = { 200: 0, 304: 0, 400: 0, 404: 0, 405: 0, 503: 0 }
  connections = 0
  handedOver = 0
  readonly cutOff: Record<CutOff, number> = {
    silent: 0,
    idle: 0,
    'not reading': 0,
    crowded: 0,
    address_limit: 0,
  }

  /** Adds what another process has counted. */
  add(other: PollTotals): void {
    for (const path of POLL_PATHS) for (const status of STATUSES) this[path][status] += other[path][status]
    for (const why of CUT_OFFS) this.cutOff[why] += other.cutOff[why]
    this.connections += other.connections
    this.handedOver += other.handedOver
  }
}
