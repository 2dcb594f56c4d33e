// Taking versions off the block list.
import t from 'tap'
import { unblockVersion, type UnblockOutcome } from '../../src/control/unblock-version.ts'
import { blockedDocument, releaseDocument } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL, type CommandRig } from '../fixtures/command-rig.ts'
import { RELEASE } from '../fixtures/rollout-samples.ts'

function unblock(rig: CommandRig, reason: string | null = 'fine', version = RELEASE): Promise<UnblockOutcome> {
  return unblockVersion(rig.control, rig.request({ reason }), version, REAL)
}

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [{ ...blockedDocument(RELEASE), ...releaseDocument() }],
    run: ({ control }, request, dryRun) => unblockVersion(control, request, RELEASE, { ...REAL, dryRun }),
    ...{ kind: 'version.unblock', done: 'unblocked' },
  }),
)

t.test('a version that is not on the list is not blocked', async (t) => {
  t.strictSame(await unblock(await started(t)), { outcome: 'not-blocked' })
})

t.test('a release without packages stays on the list', async (t) => {
  const rig = await started(t, { ...blockedDocument(RELEASE), ...releaseDocument({ kind: 'control-plane' }) })
  t.strictSame(await unblock(rig), { outcome: 'no-packages' })
  t.equal(rig.commits.length, 0)
})

t.test('an entry at another revision is stale; one that cannot be read is taken off all the same', async (t) => {
  const rig = await started(t, { [`blocked-version/${RELEASE}`]: { version: 7 } })
  const conditions = { dryRun: false, expectedRevisions: [7] }
  const stale = await unblockVersion(rig.control, rig.request(), RELEASE, conditions)
  t.match(stale, { outcome: 'stale', current: { revision: 1 } })
  t.strictSame(await unblock(rig), { outcome: 'unblocked' })
  t.equal(await rig.document(`blocked-version/${RELEASE}`), undefined)
})

t.test('it takes a version and a reason', async (t) => {
  const rig = await started(t)
  t.match(await unblock(rig, 'fine', 'stable'), { outcome: 'refused', field: 'version' })
  t.match(await unblock(rig, ' '), { outcome: 'refused', field: 'reason' })
  t.match(await unblock(rig, null), { outcome: 'refused', field: 'reason' })
})
