// A dry run shows exactly what the real call does, where a pin or a critical flag has just ended and nobody has recorded it yet:
// the same answer, and the same documents at the same revisions.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { addPackages } from '../../src/control/add-packages.ts'
import { blockVersion } from '../../src/control/block-version.ts'
import { changeChannel, type ChannelRequest } from '../../src/control/change-channel.ts'
import type { Preview, Request } from '../../src/control/control.ts'
import { endRollback } from '../../src/control/end-rollback.ts'
import { promoteStage } from '../../src/control/promote-stage.ts'
import { registerRelease } from '../../src/control/register-release.ts'
import { restoreHistory } from '../../src/control/restore-history.ts'
import { rollBack } from '../../src/control/roll-back.ts'
import { unblockVersion } from '../../src/control/unblock-version.ts'
import { withdrawRelease } from '../../src/control/withdraw-release.ts'
import type { Channel } from '../../src/channels/channel.ts'
import { inHours, pinOf, sourceOf } from '../fixtures/channel-samples.ts'
import {
  blockedDocument,
  channelDocument,
  fleet,
  reached,
  releaseDocument,
  rolledBack,
  waiting,
} from '../fixtures/command-documents.ts'
import { CommandRig, outcomeOf, REAL, type Documents } from '../fixtures/command-rig.ts'
import { BEFORE, RELEASE } from '../fixtures/rollout-samples.ts'
import { SEED, sized } from '../fixtures/test-form.ts'

interface Case {
  readonly documents: Documents
  readonly run: (rig: CommandRig, request: Request, dryRun: boolean) => Promise<unknown>
}

/** A second after the documents were written. */
const SOON = inHours(1 / 3_600)
const OF_CLOUD = { pipeline: 'cloud', release: RELEASE }
const FORCE = { to: null, critical: false, force: false }
const conditions = (dryRun: boolean) => ({ ...REAL, dryRun })
const change =
  (asked: ChannelRequest['change']): Case['run'] =>
  ({ control }, request, dryRun) =>
    changeChannel(control, { ...request, ...conditions(dryRun), name: 'canary', change: asked, force: false })

/** Every command that records expiries first, and some that move a channel without. */
const CASES: Readonly<Record<string, Case>> = {
  block: {
    documents: fleet(),
    run: ({ control }, request, dry) => blockVersion(control, request, BEFORE, conditions(dry)),
  },
  'block it again': {
    documents: { ...fleet(), ...blockedDocument(BEFORE) },
    run: ({ control }, request, dry) =>
      blockVersion(control, { ...request, reason: 'pulled' }, BEFORE, conditions(dry)),
  },
  unblock: {
    documents: { ...fleet(), ...blockedDocument(BEFORE) },
    run: ({ control }, request, dry) => unblockVersion(control, request, BEFORE, conditions(dry)),
  },
  'roll back': {
    documents: { ...reached(), ...releaseDocument({ version: BEFORE }) },
    run: ({ control }, request, dry) => rollBack(control, request, { ...OF_CLOUD, ...FORCE }, conditions(dry)),
  },
  unpin: {
    documents: rolledBack(),
    run: ({ control }, request, dry) =>
      endRollback(control, request, { ...OF_CLOUD, how: 'unpin', force: false }, conditions(dry)),
  },
  resume: {
    documents: { ...rolledBack(), ...releaseDocument({ minAgentVersion: '15.1.4' }) },
    run: ({ control }, request, dry) =>
      endRollback(control, request, { ...OF_CLOUD, how: 'resume', force: false }, conditions(dry)),
  },
  register: {
    documents: fleet(),
    run: ({ control }, request, dry) =>
      registerRelease(control, request, { version: '15.1.3', commit: 'abcdef0', kind: 'control-plane' }, dry),
  },
  'add packages': {
    documents: {
      ...fleet(),
      ...releaseDocument({ kind: 'control-plane', packages: [] }),
      ...blockedDocument(RELEASE, 'no packages'),
    },
    run: ({ control }, request, dry) =>
      addPackages(
        control,
        request,
        { version: RELEASE, urls: ['https://packages.example.com/a.deb'], areAll: false },
        conditions(dry),
      ),
  },
  withdraw: {
    documents: waiting(),
    run: ({ control }, request, dry) => withdrawRelease(control, request, RELEASE, conditions(dry)),
  },
  promote: {
    documents: waiting(),
    run: ({ control }, request, dry) =>
      promoteStage(control, request, { ...OF_CLOUD, stage: 'canary', critical: false, force: false }, conditions(dry)),
  },
  'set a version': { documents: fleet(), run: change({ kind: 'version', version: '15.1.9' }) },
  'take the pin away': { documents: fleet(), run: change({ kind: 'unpin' }) },
}

/** What ends on the channel a second later: its pin, the pin's critical flag, that of its source, or any of them. */
const anyEnding = fc.record({
  source: fc.constantFrom(BEFORE, RELEASE, '15.1.3'),
  pin: fc.constantFrom(BEFORE, RELEASE, '15.1.3', '16.0.0'),
  pinEnds: fc.boolean(),
  pinIsCalmed: fc.boolean(),
  sourceIsCalmed: fc.boolean(),
  /** Blocked from before, so that a guard holds the pin whose end would bring it. */
  blocked: fc.constantFrom(null, BEFORE, RELEASE),
})

function endingOf({
  source,
  pin,
  pinEnds,
  pinIsCalmed,
  sourceIsCalmed,
}: typeof anyEnding extends fc.Arbitrary<infer T> ? T : never): Partial<Channel> {
  const urgent = (isCalmed: boolean) => ({ critical: isCalmed, criticalUntil: isCalmed ? SOON : null })
  return {
    source: sourceOf(source, urgent(sourceIsCalmed)),
    pin: pinOf(pin, { by: 'ada/token-2', until: pinEnds ? SOON : null, ...urgent(pinIsCalmed) }),
  }
}

t.test('a dry run shows what the real call does where something has just ended', async (t) => {
  const seen = new Map<string, number>()
  const anyCase = fc.constantFrom(...Object.keys(CASES))
  await fc.assert(
    fc.asyncProperty(anyCase, anyEnding, fc.constantFrom('canary', 'fleet'), async (name, ending, channel) => {
      const { documents, run } = CASES[name] ?? { documents: {}, run: async () => null }
      const closing: (() => Promise<void>)[] = []
      const rig = await CommandRig.start((close) => closing.push(close), {
        ...documents,
        ...(ending.blocked === null ? {} : blockedDocument(ending.blocked)),
        ...channelDocument(channel, endingOf(ending)),
      })
      await restoreHistory(rig.control)
      await rig.clock.advance(1_000)
      let preview: Preview | null = null
      const request = rig.request({ onPreviewed: (previewed) => (preview = previewed) })
      const would = await outcomeOf(run(rig, request, true))
      deepStrictEqual(rig.commits, [], 'a dry run writes nothing')
      const real = await outcomeOf(run(rig, request, false))
      deepStrictEqual(would, real)
      const entries = await rig.entries()
      const last = entries.findLast(({ actor }) => actor !== 'bellwether')
      deepStrictEqual(preview, last === undefined ? null : { subjects: last.subjects, changes: last.changes })
      const isRecorded = entries.some(({ actor }) => actor === 'bellwether')
      const what = `${last === undefined ? 'refused' : 'done'}${isRecorded ? ' after an expiry' : ''}`
      seen.set(what, (seen.get(what) ?? 0) + 1)
      if (last !== undefined && isRecorded) seen.set(name, (seen.get(name) ?? 0) + 1)
      for (const close of closing) await close()
    }),
    { seed: SEED, numRuns: sized(150, 1_500) },
  )
  for (const what of ['refused', 'done', 'refused after an expiry', 'done after an expiry']) {
    t.ok((seen.get(what) ?? 0) > 5, `${what}: ${seen.get(what) ?? 0}`)
  }
  for (const name of ['block', 'unblock', 'roll back', 'unpin', 'register', 'add packages', 'withdraw']) {
    t.ok((seen.get(name) ?? 0) > 0, `${name}: ${seen.get(name) ?? 0}`)
  }
})
