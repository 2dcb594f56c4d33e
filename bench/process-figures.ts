// What the kernel says of a process: the processor time it has used, and the memory it holds.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Processor time is counted in ticks of this length on every Linux that Node.js is built for. */
const TICK_MS = 10

/** User and system time of a process and all its threads, in milliseconds. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name stands in parentheses and may hold spaces; utime and stime are the 14th and 15th fields.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/** Resident memory in megabytes of 1,000,000 bytes. */
export function residentMb(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  return (Number(kilobytes) * 1_024) / 1_000_000
}

/** Puts this process, with all its threads, on one core; says whether that could be done. */
export function pinSelf(core: number): boolean {
  return spawnSync('taskset', ['-a', '-p', '-c', String(core), String(process.pid)]).status === 0
}
