// Which channels tell agents a version, and how many of them one answer names.
import t from 'tap'
import { blockVersion } from '../../src/control/block-version.ts'
import { servedByOf, SERVED_BY_MAX } from '../../src/control/served-by.ts'
import { channelDocument } from '../fixtures/command-documents.ts'
import { started } from '../fixtures/command-proof.ts'
import { REAL } from '../fixtures/command-rig.ts'
import { BEFORE } from '../fixtures/rollout-samples.ts'

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `c${10_000 + index}`)

t.test('all are named, and of very many the first by name, with the number of the others', async (t) => {
  t.strictSame(servedByOf([]), { servedBy: [] })
  const most = names(SERVED_BY_MAX)
  t.strictSame(servedByOf(most), { servedBy: most })
  t.strictSame(servedByOf(names(SERVED_BY_MAX + 7)), { servedBy: most, servedByMore: 7 })
})

t.test('a version that very many channels serve is blocked with an answer of bounded size', async (t) => {
  const channels = names(SERVED_BY_MAX + 1).map((name) => channelDocument(name))
  const half = SERVED_BY_MAX / 2
  const parts = [channels.slice(0, half), channels.slice(half, 2 * half), channels.slice(2 * half)]
  const rig = await started(t, ...parts.map((part) => Object.assign({}, ...part)))
  const blocked = await blockVersion(rig.control, rig.request(), BEFORE, REAL)
  t.match(blocked, { outcome: 'blocked', servedByMore: 1 })
  t.equal(blocked.outcome === 'blocked' && blocked.servedBy.length, SERVED_BY_MAX)
})
