// What is kept of a round with violations: a folder with the violations, its faults with their times, the journal, everything that
// was polled and written, and the logs of the servers.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Run } from '../../test/fixtures/fleet-checker.ts'
import type { ProcessRecord } from '../../test/fixtures/fleet-processes.ts'

/** The last of a server's log. */
const LOG_MAX_CHARACTERS = 200_000

export interface RoundViolation {
  readonly kind: string
  readonly detail: string
}

/** A fault as it was caused; times are those of the observations. */
export interface CausedFault {
  readonly kind: string
  readonly part: string
  readonly plannedMs: number
  readonly fromMs: number
  readonly toMs: number
  readonly outcome: string
}

export interface Evidence {
  readonly violations: readonly RoundViolation[]
  readonly faults: readonly CausedFault[]
  readonly processes: readonly ProcessRecord[]
  /** null where the round did not get to the checker. */
  readonly run: Run | null
}

export async function keepEvidence(folder: string, { violations, faults, processes, run }: Evidence): Promise<void> {
  await mkdir(folder, { recursive: true })
  const keep = (name: string, items: readonly unknown[]): Promise<void> =>
    writeFile(join(folder, name), items.map((item) => `${JSON.stringify(item)}\n`).join(''))
  await keep('violations.jsonl', violations)
  await keep('faults.jsonl', faults)
  for (const [index, { id, server, how }] of processes.entries()) {
    const { stdout, stderr } = server.output()
    const text = `${stdout}${stderr.slice(-LOG_MAX_CHARACTERS)}\n${how === null ? 'it runs' : `it ended with ${how}`}\n`
    await writeFile(join(folder, `${id}-${String(index).padStart(3, '0')}.log`), text)
  }
  if (run === null) return
  await keep('journal.jsonl', run.journal)
  await keep('observations.jsonl', run.observations)
  await keep('attempts.jsonl', run.attempts)
  await keep('asks.jsonl', run.asks ?? [])
}
