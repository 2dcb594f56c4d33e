// Mirroring channels of another server: all of them or none.
import t from 'tap'
import { mirrorChannels, type MirrorOutcome } from '../../src/control/mirror.ts'
import { sourceOf } from '../fixtures/channel-samples.ts'
import { channelDocument } from '../fixtures/command-documents.ts'
import { proveCommand, started } from '../fixtures/command-proof.ts'
import { retryable, type CommandRig } from '../fixtures/command-rig.ts'

const URL = 'https://up.example.com'

function mirror(rig: CommandRig, channels: readonly string[], url = URL): Promise<MirrorOutcome> {
  return mirrorChannels(rig.control, rig.request(), { url, channels }, false)
}

t.test('it is tried, made once, and answered again', (t) =>
  proveCommand(t, {
    documents: [channelDocument('default')],
    run: ({ control }, request, dryRun) => mirrorChannels(control, request, { url: URL, channels: ['b', 'a'] }, dryRun),
    ...{ kind: 'channel.mirror', done: 'mirrored' },
  }),
)

t.test('names that are not there become forward channels in one entry; those that forward there stay', async (t) => {
  const rig = await started(t)
  t.match(await mirror(rig, ['a']), { outcome: 'mirrored', channels: [{ name: 'a', outcome: 'created' }] })
  t.match(await mirror(rig, ['a', 'b']), {
    channels: [
      { name: 'a', outcome: 'exists' },
      { name: 'b', outcome: 'created' },
    ],
  })
  t.match((await rig.document('channel/b'))?.body, { source: { kind: 'forward', version: null } })
  t.strictSame(
    (await rig.entries()).map(({ subjects }) => subjects),
    [['channel/a'], ['channel/b']],
  )
  t.match(await mirror(rig, ['b', 'a']), { channels: [{ outcome: 'exists' }, { outcome: 'exists' }] })
  t.equal(rig.commits.length, 2, 'where all are there nothing is written')
})

t.test('where all are there, the request changes nothing when it is sent again either', async (t) => {
  const rig = await started(t)
  await mirror(rig, ['a', 'b'])
  const ask = async () => {
    const { request, told } = retryable(rig, 'one')
    return { answer: await mirrorChannels(rig.control, request, { url: URL, channels: ['a', 'b'] }, false), told }
  }
  const { answer, told } = await ask()
  t.match(answer, { outcome: 'mirrored', channels: [{ outcome: 'exists' }, { outcome: 'exists' }] })
  t.same(told.unchanged, [false])
  await rig.write({ 'channel/b': null })
  t.same((await ask()).told.unchanged, [true])
  t.equal(await rig.document('channel/b'), undefined)
})

t.test('one name that cannot be mirrored keeps all others from it', async (t) => {
  const rig = await started(t, channelDocument('static', { source: sourceOf('15.1.4') }))
  t.match(await mirror(rig, ['a', 'static']), { outcome: 'refused', problem: 'channel_exists' })
  t.match(await mirror(rig, ['a', 'a']), { outcome: 'refused', field: 'channels/1' })
  t.match(await mirror(rig, ['a', 'not a name']), { outcome: 'refused', why: 'malformed' })
  t.match(await mirror(rig, ['a'], 'ftp://up.example.com'), { outcome: 'refused', field: 'url' })
  t.equal(await rig.document('channel/a'), undefined)
})
