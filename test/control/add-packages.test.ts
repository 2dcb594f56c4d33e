// Saying where packages of a release are: with them it can be installed, so its rollouts begin.
import t from 'tap'
import { addPackages } from '../../src/control/add-packages.ts'
import type { ReleaseOutcome } from '../../src/control/release-result.ts'
import { blockedDocument, fleet, releaseDocument } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { REAL, type CommandRig, type Documents } from '../fixtures/command-rig.ts'
import { RELEASE } from '../fixtures/rollout-samples.ts'

const PACKAGE = 'https://packages.example.com/a.deb'
const BLOCKED = `blocked-version/${RELEASE}`
const KEPT: Documents = {
  ...fleet(),
  ...releaseDocument({ kind: 'control-plane', packages: [] }),
  ...blockedDocument(RELEASE, 'no packages'),
}

function add(rig: CommandRig, urls = [PACKAGE], areAll = false, version = RELEASE): Promise<ReleaseOutcome> {
  return addPackages(rig.control, rig.request(), { version, urls, areAll }, REAL)
}

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [KEPT],
    run: ({ control }, request, dryRun) =>
      addPackages(control, request, { version: RELEASE, urls: [PACKAGE], areAll: false }, { ...REAL, dryRun }),
    ...{ kind: 'release.artifacts', done: 'done' },
  }),
)

t.test('the release is full, off the block list, and its rollouts begin, in one commit', async (t) => {
  const rig = await started(t, KEPT)
  t.match(await add(rig), { outcome: 'done', record: { release: { kind: 'full' } }, rollouts: [{ pipeline: 'cloud' }] })
  t.equal(await rig.document(BLOCKED), undefined)
  t.same((await rig.entries())[0]?.subjects, [
    `release/${RELEASE}`,
    BLOCKED,
    `rollout/cloud/${RELEASE}`,
    'rollout-index/under-way',
  ])
})

t.test('what an operator has blocked stays blocked', async (t) => {
  const rig = await started(t, { ...KEPT, ...blockedDocument(RELEASE) })
  t.match(await add(rig), { outcome: 'done' })
  t.ok(await rig.document(BLOCKED))
})

t.test('packages are added to those that it has, or take their place', async (t) => {
  const rig = await started(t, releaseDocument())
  const more = await add(rig)
  t.equal(more.outcome === 'done' && more.record.release.packages.length, 2)
  t.match(await add(rig, [PACKAGE], true), { record: { release: { packages: [{ url: PACKAGE }] } } })
})

t.test('no other server is asked about a release that is not known', async (t) => {
  const rig = await started(t)
  rig.missing.add(PACKAGE)
  t.match(await add(rig), { outcome: 'refused', problem: 'unknown_release' })
})

t.test('nothing is changed with a package that is not there, nor at another revision', async (t) => {
  const rig = await started(t, KEPT)
  const asked = { version: RELEASE, urls: [PACKAGE], areAll: false }
  const stale = await addPackages(rig.control, rig.request(), asked, { dryRun: false, expectedRevisions: [7] })
  t.match(stale, { outcome: 'stale', current: { revision: 1 } })
  rig.missing.add(PACKAGE)
  t.match(await add(rig), { outcome: 'packages-missing', packages: [{ url: PACKAGE }] })
  t.equal(rig.commits.length, 0)
})

t.test('a withdrawn release gets no packages', async (t) => {
  const withdrawn = { reason: 'r', by: 'ada', at: '2026-02-28T23:00:00.000Z' }
  const rig = await started(t, releaseDocument({ withdrawn }))
  const refused = { outcome: 'refused', problem: 'release_over' }
  t.match(await add(rig), refused)
  rig.missing.add(PACKAGE)
  t.match(await add(rig), refused, 'whether they are there makes no difference')
})
