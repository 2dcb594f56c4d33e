// Registering releases: what begins with a full one, and what is kept from channels with another.
import t from 'tap'
import type { Request } from '../../src/control/control.ts'
import { registerRelease } from '../../src/control/register-release.ts'
import type { ReleaseOutcome } from '../../src/control/release-result.ts'
import { sourceOf } from '../fixtures/channel-samples.ts'
import {
  blockedDocument,
  channelDocument,
  fleet,
  pipelineDocument,
  releaseDocument,
} from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import type { CommandRig } from '../fixtures/command-rig.ts'
import { someStage } from '../fixtures/rollout-samples.ts'

type Draft = Parameters<typeof registerRelease>[2]

const DRAFT: Draft = { version: '15.2.5', commit: 'abcdef0', kind: 'full' }
const PACKAGE = 'https://packages.example.com/a.deb'
const KEPT: Draft = { ...DRAFT, kind: 'control-plane' }
const BLOCKED = 'blocked-version/15.2.5'

function register(rig: CommandRig, more: Partial<Draft> = {}, request: Partial<Request> = {}): Promise<ReleaseOutcome> {
  return registerRelease(rig.control, rig.request(request), { ...DRAFT, ...more }, false)
}

for (const draft of [DRAFT, KEPT]) {
  t.test(`a ${draft.kind} release is tried, made once, and answered again`, (t) =>
    proveCommand(t, {
      documents: [fleet()],
      run: ({ control }, request, dryRun) => registerRelease(control, request, draft, dryRun),
      ...{ kind: 'release.register', done: 'done' },
    }),
  )
}

t.test('a full release begins a rollout in every pipeline that takes it, in the same commit', async (t) => {
  const rig = await started(t, {
    ...fleet(),
    ...pipelineDocument([someStage('a')], { name: 'other', versions: '<15' }),
    ...pipelineDocument([someStage('b')], { name: 'third', versions: '>=15' }),
  })
  const done = await register(rig, { packages: [PACKAGE] })
  const release = { version: '15.2.5', registeredBy: 'grace/token-9', packages: [{ url: PACKAGE }] }
  t.match(done, { outcome: 'done', record: { release, revision: 1 }, servedBy: [] })
  t.same(done.outcome === 'done' && done.rollouts.map(({ pipeline, state }) => `${pipeline} ${state}`), [
    'cloud running',
    'third running',
  ])
  const [first, ...more] = (await rig.entries())[0]?.subjects ?? []
  t.equal(first, 'release/15.2.5')
  t.same(more, ['rollout/cloud/15.2.5', 'rollout/third/15.2.5', 'rollout-index/under-way'])
})

t.test('one without packages is put on the block list, unless its version is there already', async (t) => {
  const rig = await started(t, fleet())
  t.match(await register(rig, KEPT), { outcome: 'done', rollouts: [] })
  t.match((await rig.document(BLOCKED))?.body, { because: 'no packages', by: 'grace/token-9' })
  for (const there of [blockedDocument('15.2.5'), { [BLOCKED]: { version: 7 } }]) {
    const other = await started(t, there)
    t.match(await register(other, KEPT), { outcome: 'done' })
    t.strictSame((await other.entries())[0]?.subjects, ['release/15.2.5'], 'an unreadable entry blocks it, too')
  }
})

t.test('one without packages is refused while channels serve its version, a full one is not', async (t) => {
  const rig = await started(t, channelDocument('a', { source: sourceOf('15.2.5') }))
  t.match(await register(rig, KEPT), { outcome: 'refused', problem: 'version_served', message: /^a tell/ })
  t.match(await register(rig), { outcome: 'done', servedBy: ['a'] })
})

t.test('a release is registered once, and what it says must make sense', async (t) => {
  const rig = await started(t, releaseDocument({ version: '15.2.5' }))
  t.match(await register(rig), { outcome: 'refused', problem: 'release_exists' })
  t.match(await register(rig, { version: 'stable' }), { outcome: 'refused', field: 'version' })
  t.match(await register(rig, { ...KEPT, packages: [PACKAGE] }), { outcome: 'refused', field: 'packages' })
  t.equal(rig.commits.length, 0)
})

t.test('packages are asked for once, however often it is decided, and not where nobody may be asked', async (t) => {
  const rig = await started(t, fleet())
  const { checkPackages } = rig.control.outside
  const asked: (readonly string[])[] = []
  const outside = {
    ...rig.control.outside,
    checkPackages: (urls: readonly string[]) => (asked.push(urls), checkPackages(urls)),
  }
  const draft = { ...DRAFT, packages: [PACKAGE, PACKAGE] }
  rig.between = () => rig.writeBehind(blockedDocument('15.2.5'))
  const done = await registerRelease({ ...rig.control, outside }, rig.request(), draft, false)
  t.match(done, { outcome: 'done', record: { release: { packages: [{ url: PACKAGE }] } } })
  t.same([rig.commits.length, asked], [2, [[PACKAGE, PACKAGE]]])
  const tried = await registerRelease(
    { ...rig.control, outside },
    rig.request({ mayAskOthers: false }),
    { ...draft, version: '15.2.6' },
    true,
  )
  t.match(tried, { outcome: 'done' })
  t.equal(asked.length, 1)
})

t.test('nothing is registered with a package that is not there', async (t) => {
  const rig = await started(t)
  rig.missing.add(PACKAGE)
  t.strictSame(await register(rig, { packages: ['https://packages.example.com/b.deb', PACKAGE] }), {
    outcome: 'packages-missing',
    packages: [{ url: PACKAGE, problem: 'is not there' }],
  })
  t.equal(rig.commits.length, 0)
})
