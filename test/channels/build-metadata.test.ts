// Build metadata: who lets it in, and what a channel remembers of it.
import t from 'tap'
import { remembersBuilds, SERVED_BUILDS_MAX } from '../../src/channels/build-metadata.ts'
import type { Channel } from '../../src/channels/channel.ts'
import type { ChannelChange } from '../../src/channels/draft.ts'
import { lapse } from '../../src/channels/lapse.ts'
import { targetAt } from '../../src/channels/target.ts'
import {
  accept,
  channelOf,
  guardOf,
  HALT,
  HOUR_MS,
  inHours,
  nothingBlocked,
  NOW,
  pinOf,
  refuse,
  sourceOf,
} from '../fixtures/channel-samples.ts'

const BUILD = '15.1.5+k3s1'
const ALLOWED = { allowBuildMetadata: true }

const forward: Channel['source'] = {
  kind: 'forward',
  url: 'https://up.example/v1/stable',
  version: '15.1.4',
  critical: false,
  criticalUntil: null,
  answeredAt: inHours(-1),
  problem: null,
}

const ways: Readonly<Record<string, { readonly channel?: Partial<Channel>; readonly change: ChannelChange }>> = {
  'a version': { change: { kind: 'version', version: BUILD } },
  'a version under a pin': { channel: { pin: pinOf('15.1.2') }, change: { kind: 'version', version: BUILD } },
  'a version under a halt': { channel: { halt: HALT }, change: { kind: 'version', version: BUILD } },
  'an edited source': { change: { kind: 'edit', source: { kind: 'static', version: BUILD } } },
  'a pin': { change: { kind: 'pin', version: BUILD } },
  'a pin under a halt': { channel: { halt: HALT }, change: { kind: 'pin', version: BUILD } },
  'a rollback to what was never served': { change: { kind: 'rollback', version: BUILD } },
  "an upstream's answer": {
    channel: { source: forward },
    change: { kind: 'upstream', version: BUILD, critical: false },
  },
  'a promotion': { change: { kind: 'promote', version: BUILD, critical: false, seed: 'cloud/b', ramp: null } },
  'a ramp that nobody on the plain path sees': {
    change: {
      kind: 'promote',
      ...{ version: BUILD, critical: false, seed: 'cloud/b', ramp: { percent: 1, plainPath: 'last' } },
    },
  },
}

for (const [way, { channel = {}, change }] of Object.entries(ways)) {
  t.test(`${way} with build metadata needs a channel that allows it, force or not`, async (t) => {
    t.equal(guardOf(channelOf(channel), change), 'build_metadata')
    t.equal(guardOf(channelOf(channel), change, { force: true }), 'build_metadata')
    accept(channelOf({ ...channel, ...ALLOWED }), change)
    accept(channelOf({ ...channel, servedBuilds: [BUILD] }), change)
  })
}

t.test('a refusal says what to do', async (t) => {
  const { message } = refuse(channelOf(), { kind: 'version', version: BUILD })
  t.match(message, /^15\.1\.5\+k3s1 has build metadata .* set allowBuildMetadata of the channel first$/)
})

t.test('a channel is created and edited with the permission, and the version may come with it', async (t) => {
  const source = { kind: 'static', version: BUILD } as const
  t.equal(guardOf(null, { kind: 'create', name: 'k3s', source }), 'build_metadata')
  t.equal(accept(null, { kind: 'create', name: 'k3s', source, ...ALLOWED }).channel.allowBuildMetadata, true)
  const edited = accept(channelOf(), { kind: 'edit', source, ...ALLOWED }).channel
  t.match(edited, { allowBuildMetadata: true, servedBuilds: [BUILD] })
  t.equal(accept(edited, { kind: 'edit', description: 'k3s' }).channel.allowBuildMetadata, true, 'it stays')
  t.notOk('allowBuildMetadata' in accept(edited, { kind: 'edit', allowBuildMetadata: false }).channel)
})

t.test('a version that the channel has served is not refused once the permission is gone', async (t) => {
  const served = accept(channelOf(ALLOWED), { kind: 'version', version: BUILD }).channel
  const closed = accept(served, { kind: 'edit', allowBuildMetadata: false }).channel
  t.equal(targetAt(closed, nothingBlocked, NOW).version, BUILD, 'it is served still')
  const moved = accept(closed, { kind: 'version', version: '15.1.6' }).channel
  for (const kind of ['rollback', 'pin'] as const) t.equal(accept(moved, { kind, version: BUILD }).after.version, BUILD)
  t.equal(guardOf(moved, { kind: 'pin', version: '15.1.5+k3s2' }), 'build_metadata', 'another build was not served')
  t.equal(accept(closed, { kind: 'critical', critical: true }).after.critical, true)
})

t.test(
  'a pin does not end by time onto a build that the channel does not allow any more and has not served',
  async (t) => {
    const pinned = channelOf({ source: sourceOf(BUILD), pin: pinOf('15.1.4', { until: inHours(1) }) })
    const then = NOW + HOUR_MS
    t.equal(targetAt(pinned, nothingBlocked, then).version, '15.1.4')
    t.equal(lapse(pinned, nothingBlocked, then)?.pin?.held?.guard, 'build_metadata')
    const ended = lapse({ ...pinned, ...ALLOWED }, nothingBlocked, then)
    t.match(ended, { pin: null, lastServed: BUILD, servedBuilds: [BUILD] }, 'what it serves since is remembered')
  },
)

t.test(
  'what a document without servedBuilds was last served counts as served, unless it is from default',
  async (t) => {
    const halted = channelOf({ source: sourceOf(BUILD), halt: HALT, lastServed: BUILD })
    t.match(accept(halted, { kind: 'resume' }), { after: { version: BUILD }, channel: { servedBuilds: [BUILD] } })
    t.equal(guardOf({ ...halted, lastServedFrom: 'default' }, { kind: 'resume' }), 'build_metadata')
    const ramped = channelOf({ lastServedBeside: BUILD })
    t.equal(accept(ramped, { kind: 'pin', version: BUILD }).after.version, BUILD)
    t.equal(guardOf(ramped, { kind: 'pin', version: '15.1.5+k3s2' }), 'build_metadata')
    const served = channelOf({ source: sourceOf(BUILD), lastServed: BUILD })
    const moved = accept(served, { kind: 'version', version: '15.1.6' }).channel
    t.strictSame(moved.servedBuilds, [BUILD], 'it is remembered once the channel serves another version')
    t.equal(accept(moved, { kind: 'rollback', version: BUILD }).after.version, BUILD)
  },
)

t.test('a channel remembers so many builds, the newest', async (t) => {
  const builds = Array.from({ length: SERVED_BUILDS_MAX + 1 }, (_, n) => `1.0.0+b${n}`)
  t.strictSame(remembersBuilds({}, builds).servedBuilds, builds.slice(1))
  t.strictSame(
    remembersBuilds({ servedBuilds: builds.slice(1) }, [builds[5] ?? '', '1.0.0']).servedBuilds,
    builds.slice(1),
  )
  t.strictSame(remembersBuilds({}, ['1.0.0']), {})
})
