// What the poll bench has found, as tables to read and as JSON to make charts of.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { showSummary } from '../summary.ts'
import type { Outcome } from './scenarios.ts'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryMb: number
  readonly kernel: string
}

export interface Report {
  readonly at: string
  readonly machine: Machine
  readonly versions: Readonly<Record<string, string>>
  readonly generator: string
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  /** By the major version of Node.js that ran the servers. */
  readonly runs: Readonly<Record<string, Outcome>>
}

export function thisMachine(): Machine {
  const model = cpus()[0]?.model ?? 'unknown'
  const memoryMb = Math.round(totalmem() / 1_000_000)
  return { cpu: model, cores: availableParallelism(), memoryMb, kernel: release() }
}

/** The versions of everything that took part, as each tells them. */
export function versionsOf(nodes: readonly string[]): Readonly<Record<string, string>> {
  const said = (program: string, argument: string): string => {
    const { stdout, stderr } = spawnSync(program, [argument], { encoding: 'utf8' })
    return /\d+\.\d+(?:\.\d+)?/.exec(`${stdout}${stderr}`)?.[0] ?? 'absent'
  }
  return {
    node: nodes.map((node) => said(node, '--version')).join(', '),
    nginx: said('nginx', '-v'),
    wrk: said('wrk', '-v'),
    redis: said('redis-server', '--version'),
    ...Object.fromEntries(['fastify', 'ioredis', 'autocannon'].map((name) => [name, packageVersion(name)])),
  }
}

function packageVersion(name: string): string {
  const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version // Every package has one.
}

/** The tables of one run. */
export function showOutcome({ rows, ratios, figures, skipped }: Outcome): string {
  const lines: string[] = []
  let scenario = ''
  for (const row of rows) {
    if (row.scenario !== scenario) lines.push('', `${row.scenario.padEnd(40)}${'polls/s'.padEnd(30)}µs CPU/poll`)
    scenario = row.scenario
    lines.push(`  ${row.server.padEnd(38)}${showSummary(row.perSecond, 0).padEnd(30)}${showSummary(row.cpuUs, 1)}`)
  }
  if (ratios.length > 0) lines.push('', `${'ratio'.padEnd(82)}${'median [min..max]'.padEnd(24)}at least  aim`)
  for (const { name, by, ratio, atLeast, aimFor } of ratios) {
    const what = `  ${name} (${by})`.padEnd(82)
    const wanted = atLeast === 0 ? '' : `${String(atLeast).padEnd(10)}${aimFor}`
    lines.push(`${what}${showSummary(ratio, 2).padEnd(24)}${wanted}${atLeast > ratio.median ? '  NOT REACHED' : ''}`)
  }
  if (figures.length > 0) lines.push('')
  for (const { name, unit, value, atMost, aimFor } of figures) {
    const wanted = atMost === null ? '' : `at most ${atMost}${aimFor === null ? '' : `, aim ${aimFor}`}`
    const missed = atMost !== null && value.median > atMost ? '  NOT REACHED' : ''
    lines.push(`  ${name.padEnd(70)}${`${showSummary(value, 2)} ${unit}`.padEnd(34)}${wanted}${missed}`)
  }
  for (const what of skipped) lines.push(`SKIPPED ${what}`)
  return lines.join('\n')
}
