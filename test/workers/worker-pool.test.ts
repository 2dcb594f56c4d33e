// The pool with real workers, in the moments that a whole server hardly ever shows: changes while they start.
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { systemClock } from '../../src/lib/clock.ts'
import { SnapshotHolder } from '../../src/serve/holder.ts'
import { Lifecycle } from '../../src/serve/lifecycle.ts'
import { renderChannel } from '../../src/serve/answers.ts'
import { Snapshot } from '../../src/serve/snapshot.ts'
import { WorkerPool } from '../../src/workers/worker-pool.ts'
import { head } from '../fixtures/poll-row.ts'
import { openWire } from '../fixtures/poll-wire.ts'
import { silent } from '../fixtures/silent-log.ts'

const ENTRY = fileURLToPath(new URL('../../src/poll-worker.ts', import.meta.url))
const WORKERS = 3
/** So many connections end up at each of a few workers, as good as surely. */
const CONNECTIONS = 30
/** Enough to take a moment to be sent and rendered, and few enough to be through before the next ones come. */
const CHANNELS = 300

function snapshotAt(seq: number): Snapshot {
  const target = { version: `1.0.${seq}`, critical: false, because: 'source', detail: null } as const
  const channels = Array.from({ length: CHANNELS }, (_, index) =>
    renderChannel({ name: `channel-${index}`, revision: seq }, target, 10),
  )
  return Snapshot.of(channels, { seq, epoch: 'one', at: 0 }, 10)
}

t.setTimeout(120_000)

await t.test('what is served is complete, whatever was published while the workers started', async (t) => {
  process.env['BELLWETHER_POLL_PORT'] = '0'
  t.teardown(() => delete process.env['BELLWETHER_POLL_PORT'])
  const holder = new SnapshotHolder()
  const options = { count: WORKERS, entry: ENTRY, ticketSecret: null, withheld: {}, clock: systemClock, log: silent }
  const pool = new WorkerPool({ ...options, holder, lifecycle: new Lifecycle() })
  t.teardown(() => pool.stop())
  let seq = 0
  let isOver = false
  const publishing = (async () => {
    while (!isOver) {
      seq += 1
      holder.swap(snapshotAt(seq))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  const address = await pool.start()
  isOver = true
  await publishing
  // Nothing is published any more: what a worker has missed it would miss for good.
  await holder.spreading
  t.ok(seq > 10, `${seq} snapshots`)
  const { hostname: host, port } = new URL(address)
  const told = new Set<string>()
  for (let connection = 0; connection < CONNECTIONS; connection += 1) {
    const wire = await openWire(t, { host, port: Number(port) })
    wire.send(head(`/v1/channel-${connection}/version`))
    told.add((await wire.answer()).body)
    wire.destroy()
  }
  t.same([...told], [`1.0.${seq}`])
})
