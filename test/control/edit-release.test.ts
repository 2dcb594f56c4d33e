// Changes of a release's document alone: say more of it, judge one of its changes, lift its embargo.
import t from 'tap'
import type { Conditions, Request } from '../../src/control/control.ts'
import { editRelease, judgeChange, liftEmbargo } from '../../src/control/edit-release.ts'
import type { ReleaseOutcome } from '../../src/control/release-result.ts'
import { releaseDocument } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL, type CommandRig } from '../fixtures/command-rig.ts'
import { RELEASE, someChange } from '../fixtures/rollout-samples.ts'

type Run = (rig: CommandRig, request: Request, conditions: Conditions) => Promise<ReleaseOutcome>

const edit: Run = ({ control }, request, conditions) =>
  editRelease(control, request, { version: RELEASE, edit: { minAgentVersion: '15.0.0' } }, conditions)
const lift: Run = ({ control }, request, conditions) => liftEmbargo(control, request, RELEASE, conditions)

function judge(verdict: 'verify' | 'unverify' | 'withdraw', id = '1'): Run {
  return ({ control }, request, conditions) =>
    judgeChange(control, request, { version: RELEASE, id, verdict }, conditions)
}

const signedOff = { by: 'bob/token-3', at: '2026-02-28T23:00:00.000Z' }
const open = releaseDocument({
  changes: [someChange('1'), someChange('2', { signedOff })],
  security: { embargoed: true, fixes: ['CVE-2026-0001'], liftedAt: null },
})

const commands: readonly { readonly kind: string; readonly run: Run; readonly writes?: readonly string[] }[] = [
  { kind: 'release.edit', run: edit },
  { kind: 'release.verify', run: judge('verify') },
  { kind: 'release.unverify', run: judge('unverify', '2') },
  { kind: 'release.withdraw', run: judge('withdraw') },
  { kind: 'release.lift-embargo', run: lift, writes: ['embargo/index'] },
]

for (const { kind, run, writes = [] } of commands) {
  t.test(`${kind} is tried, made once, and answered again`, (t) =>
    proveCommand(t, {
      documents: [open],
      run: (rig, request, dryRun) => run(rig, request, { ...REAL, dryRun }),
      ...{ kind, done: 'done' },
    }),
  )

  t.test(
    `${kind} writes the release, and the index where its embargo changes; never at another revision`,
    async (t) => {
      const rig = await started(t, open)
      t.match(await run(rig, rig.request(), { dryRun: false, expectedRevisions: [7] }), { outcome: 'stale' })
      const record = { revision: 2, release: { version: RELEASE } }
      t.match(await run(rig, rig.request(), REAL), { outcome: 'done', record, rollouts: [], servedBy: [] })
      t.strictSame((await rig.entries())[0]?.subjects, [`release/${RELEASE}`, ...writes])
      const nobody = await started(t)
      t.match(await run(nobody, nobody.request(), REAL), { outcome: 'refused', problem: 'unknown_release' })
    },
  )
}

t.test('what the release says already changes nothing', async (t) => {
  const rig = await started(
    t,
    releaseDocument({ minAgentVersion: '15.0.0', changes: [someChange('1', { signedOff })] }),
  )
  t.match(await edit(rig, rig.request(), REAL), { outcome: 'done', record: { revision: 1 } })
  t.match(await judge('verify')(rig, rig.request(), REAL), { outcome: 'done', record: { revision: 1 } })
  t.equal(rig.commits.length, 0)
})

t.test('refusals of the rules are answered, and write nothing', async (t) => {
  const rig = await started(t, releaseDocument())
  const malformed = { version: RELEASE, edit: { minAgentVersion: 'stable' } }
  t.match(await editRelease(rig.control, rig.request(), malformed, REAL), {
    outcome: 'refused',
    field: 'minAgentVersion',
  })
  t.match(await judge('verify', 'none')(rig, rig.request(), REAL), { outcome: 'refused' })
  t.match(await lift(rig, rig.request(), REAL), { outcome: 'refused' })
  t.equal(rig.commits.length, 0)
})
