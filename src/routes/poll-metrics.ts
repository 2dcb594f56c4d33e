// Metrics of the poll plane: sums of plain integers that the processes which answer polls have counted.
import { Counter, Gauge, type Registry } from 'prom-client'
import { STATUSES } from '../serve/answers.ts'
import { CUT_OFFS, POLL_PATHS, type PollTotals } from '../serve/poll-counts.ts'

export interface PollSources {
  /** Everything counted so far, never less than before. */
  readonly counts: () => PollTotals
  readonly processes: () => number
}

export function pollMetrics(registry: Registry, { counts, processes }: PollSources): void {
  const registers = [registry]
  const total = (
    name: string,
    help: string,
    labelNames: readonly string[],
    read: (counter: Counter, now: PollTotals) => void,
  ): void => {
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        read(this, counts())
      },
    })
  }
  total(
    'bellwether_polls_total',
    'Polls answered, by the status and by who answered: the fast path, or the HTTP server behind it.',
    ['path', 'status'],
    (counter, now) => {
      for (const path of POLL_PATHS) for (const status of STATUSES) counter.inc({ path, status }, now[path][status])
    },
  )
  total('bellwether_poll_connections_total', 'Connections taken by the poll plane.', [], (counter, { connections }) =>
    counter.inc(connections),
  )
  total(
    'bellwether_poll_connections_handed_over_total',
    'Connections on which something came that the fast path leaves to the HTTP server.',
    [],
    (counter, { handedOver }) => counter.inc(handedOver),
  )
  total(
    'bellwether_poll_connections_cut_off_total',
    'Connections of polls that were cut off, by why: silent from the start, idle, not reading answers, idle while there were too many connections, or one too many of its address.',
    ['why'],
    (counter, { cutOff }) => {
      for (const why of CUT_OFFS) counter.inc({ why }, cutOff[why])
    },
  )
  new Gauge({
    name: 'bellwether_poll_processes',
    help: 'Processes that answer polls now.',
    registers,
    collect() {
      this.set(processes())
    },
  })
}
