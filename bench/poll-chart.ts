// Makes the README's chart of the poll bench from bench/results/poll.json.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { barChart } from './chart.ts'
import type { Report } from './polls/report.ts'

const SCENARIO = 'keep-alive'

const results = fileURLToPath(new URL('results/poll.json', import.meta.url))
const charts = fileURLToPath(new URL('../docs/charts/', import.meta.url))
const { runs, versions } = JSON.parse(await readFile(results, 'utf8')) as Report // Written by the poll bench.
const rows = runs['20']?.rows.filter(({ scenario }) => scenario === SCENARIO) ?? []
const bars = rows.map(({ server, perSecond: { median: value, min, max } }) => ({ name: server, value, min, max }))
const title = `Polls a second on one core, kept connections (Node.js ${versions['node']?.split(',')[0]}, nginx ${versions['nginx']})`
await mkdir(charts, { recursive: true })
await writeFile(`${charts}polls.svg`, barChart({ title, unit: '/s', bars: bars.toSorted((a, b) => b.value - a.value) }))
