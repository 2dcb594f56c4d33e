// Repairing documents that cannot be read.
import t from 'tap'
import { UnreadableDocument } from '../../src/control/core/unreadable-document.ts'
import { repairDocument, type RepairOutcome } from '../../src/control/repair.ts'
import { pinOf } from '../fixtures/channel-samples.ts'
import { blockedDocument, channelDocument, releaseDocument } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import type { CommandRig } from '../fixtures/command-rig.ts'

const KEY = 'channel/cloud'
const BROKEN = { [KEY]: { name: 'cloud', source: 7 } }

function repair(rig: CommandRig, force = false, key = KEY): Promise<RepairOutcome> {
  return repairDocument(rig.control, rig.request(), key, { dryRun: false, force })
}

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [channelDocument('cloud'), BROKEN],
    run: ({ control }, request, dryRun) => repairDocument(control, request, KEY, { dryRun, force: false }),
    ...{ kind: 'store.repair', done: 'repaired' },
  }),
)

t.test('the last version that can be read is written back, with force too', async (t) => {
  for (const force of [false, true]) {
    const rig = await started(
      t,
      channelDocument('cloud', { description: 'old' }),
      channelDocument('cloud'),
      BROKEN,
      BROKEN,
    )
    t.strictSame(await repair(rig, force), { outcome: 'repaired', key: KEY, from: 'journal' })
    t.match(await rig.document(KEY), { revision: 5, body: { description: '', source: { version: '15.1.4' } } })
  }
})

t.test('without one it is deleted, which takes force', async (t) => {
  const rig = await started(t, BROKEN)
  await t.rejects(repair(rig), UnreadableDocument)
  t.equal(rig.commits.length, 0)
  t.strictSame(await repair(rig, true), { outcome: 'repaired', key: KEY, from: 'nothing' })
  t.equal(await rig.document(KEY), undefined)
})

t.test('a version that is on the block list now is not brought back', async (t) => {
  for (const version of ['15.1.4', '15.1.3']) {
    const channel = channelDocument('cloud', { pin: pinOf('15.1.3') })
    const rig = await started(t, channel, { ...BROKEN, ...blockedDocument(version) })
    await t.rejects(repair(rig), new RegExp(`its last version has ${version}`))
    await t.rejects(repair(rig, true), UnreadableDocument)
    t.equal(rig.commits.length, 0)
  }
})

t.test('what can be read, or is not there, needs no repair', async (t) => {
  const rig = await started(t, channelDocument('cloud'))
  t.strictSame(await repair(rig), { outcome: 'readable' })
  t.strictSame(await repair(rig, true, 'channel/none'), { outcome: 'readable' })
  t.equal(rig.commits.length, 0)
})

t.test('a release that is repaired brings its embargo back with it', async (t) => {
  const security = { embargoed: true, fixes: ['CVE-2026-0001'], liftedAt: null }
  const rig = await started(t, releaseDocument({ security }), { 'release/15.2.0': { version: '15.2.0' } })
  t.match(await repair(rig, false, 'release/15.2.0'), { outcome: 'repaired', from: 'journal' })
  t.same((await rig.entries())[0]?.subjects, ['release/15.2.0', 'embargo/index'])
})
