// `npm run fuzz -- [--requests 2000000] [--seed N]`: the fuzz of the poll plane for as long as it takes, and on a difference
// everything that is needed to make it again.
import { parseArgs } from 'node:util'
import { startPollPlanes } from '../test/fixtures/fuzz-planes.ts'
import { fuzz } from '../test/fixtures/fuzz-run.ts'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '2000000' },
    seed: { type: 'string', default: String(Date.now() >>> 0) },
  },
})
const planes = await startPollPlanes()
const seed = Number(values.seed)
process.stdout.write(`seed ${seed}\n`)
const startedMs = performance.now()
const result = await fuzz({
  seed,
  requests: Number(values.requests),
  ...planes,
  onProgress: (requests) => process.stderr.write(`\r${requests.toLocaleString('en-US')} requests`),
})
await planes.close()
const { requests, conversations, cutShort, unconfirmed, difference } = result
const seconds = (performance.now() - startedMs) / 1_000
process.stdout.write(
  `\n${requests.toLocaleString('en-US')} requests in ${conversations.toLocaleString('en-US')} conversations, ` +
    `${Math.round(requests / seconds)} a second; ${cutShort} cut short, ${unconfirmed} that differed once; ` +
    `${planes.polls().toLocaleString('en-US')} answered by the fast path\n`,
)
if (difference !== null) {
  process.stdout.write(`DIFFERENCE\n${JSON.stringify(difference, null, 2)}\n`)
  process.exitCode = 1
}
