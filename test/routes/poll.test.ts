// The poll route: it reads the holder once for each poll, at the poll, and answers in the same turn.
import t from 'tap'
import { buildPollPlane } from '../../src/app/poll-plane.ts'
import { SnapshotHolder } from '../../src/serve/holder.ts'
import { ReplicaState } from '../../src/serve/replica-state.ts'
import type { Snapshot } from '../../src/serve/snapshot.ts'
import { NOW, sourceOf } from '../fixtures/channel-samples.ts'
import { malformedPaths } from '../fixtures/poll-paths.ts'
import { channelDocument, polls, stateOf } from '../fixtures/poll-worlds.ts'

/** A holder that notes each reading. */
class WatchedHolder extends SnapshotHolder {
  readings = 0

  override get current(): Snapshot | null {
    this.readings += 1
    return super.current
  }
}

function snapshotAt(seq: number, version: string): Snapshot {
  const documents = [channelDocument('a', seq, { source: sourceOf(version) })]
  return new ReplicaState({ documents, seq, mark: 'm', epoch: 'one' }, 10, NOW).snapshot
}

await t.test('the snapshot is read once for each poll', async (t) => {
  const holder = new WatchedHolder()
  const plane = buildPollPlane(holder)
  t.teardown(() => plane.close())
  await plane.ready()
  const state = stateOf('default')
  if (state === null) throw new Error('there is a world without a state')
  holder.swap(new ReplicaState(state, 10, NOW).snapshot)
  for (const url of [...new Set(polls.map(({ path }) => path)), ...malformedPaths.slice(0, 20)]) {
    for (const method of ['GET', 'HEAD'] as const) {
      holder.readings = 0
      await plane.inject({ method, url, headers: { 'if-none-match': '*' } })
      if (holder.readings !== 1) t.fail(`${method} ${url}: ${holder.readings} readings`)
    }
  }
  holder.readings = 0
  await plane.inject('/healthz')
  await plane.inject({ method: 'POST', url: '/v1/a/version' })
  t.equal(holder.readings, 0)
})

await t.test('a poll is answered from the newest snapshot', async (t) => {
  const holder = new SnapshotHolder()
  const plane = buildPollPlane(holder)
  t.teardown(() => plane.close())
  t.equal((await plane.inject('/v1/a/version')).statusCode, 503)
  for (const seq of [1, 2, 3]) {
    holder.swap(snapshotAt(seq, `15.1.${seq}`))
    const { statusCode, body, headers } = await plane.inject('/v1/a/version')
    t.match({ statusCode, body, headers }, { statusCode: 200, body: `15.1.${seq}`, headers: { etag: `"15.1.${seq}"` } })
    t.equal(headers['bellwether-revision'], String(seq))
  }
})

await t.test('a tag of before is not taken for the one of now', async (t) => {
  const holder = new SnapshotHolder()
  const plane = buildPollPlane(holder)
  t.teardown(() => plane.close())
  holder.swap(snapshotAt(1, '15.1.1'))
  const first = await plane.inject('/v1/a/version')
  const again = () => plane.inject({ url: '/v1/a/version', headers: { 'if-none-match': String(first.headers.etag) } })
  t.equal((await again()).statusCode, 304)
  holder.swap(snapshotAt(2, '15.1.2'))
  t.match(await again(), { statusCode: 200, body: '15.1.2' })
  holder.swap(snapshotAt(3, '15.1.1'))
  const back = await again()
  t.equal(back.statusCode, 304, 'the same body has the same tag, whatever was between')
  t.equal(back.headers['bellwether-revision'], '3', 'and the 304 says which state it comes from')
})
