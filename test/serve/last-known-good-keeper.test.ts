// The keeper of the last-known-good file: what it says where the file cannot be written.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { LastKnownGoodKeeper } from '../../src/serve/last-known-good-keeper.ts'
import { ReplicaState } from '../../src/serve/replica-state.ts'
import { readLastKnownGood } from '../../src/store/last-known-good.ts'
import type { Document } from '../../src/store/port.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'
import { startPlanes } from '../fixtures/planes.ts'
import { freshFolder } from '../fixtures/store-process.ts'

/** A disk that is slower than so many turns is none that tests are run on. */
const TURNS_MAX = 10_000

function keeperOf(dataDir: string, documents: readonly Document[] = []) {
  const clock = new FakeClock()
  const lines: string[] = []
  const note = (_: object, message: string): void => void lines.push(message)
  const log = { info: note, warn: note, error: note }
  const state = (seq: number) => new ReplicaState({ documents, seq, mark: `m${seq}`, epoch: 'e' }, 10, clock.now())
  let current = state(1)
  const keeper = new LastKnownGoodKeeper({ clock, log, dataDir, current: () => current })
  const change = (): void => {
    current = state(current.seq + 1)
    keeper.changed()
  }
  return { keeper, clock, lines, change }
}

t.test('a file that cannot be written is logged once, and warned of after a while', async (t) => {
  const dataDir = join(await freshFolder(t), 'data')
  await writeFile(dataDir, 'no folder')
  const { keeper, clock, lines, change } = keeperOf(dataDir)
  change()
  await clock.advance(10_000)
  t.equal(keeper.warning, null, 'a slow disk is no fault yet')
  change()
  await clock.advance(25_000)
  for (let turn = 0; lines.length === 0 && turn < TURNS_MAX; turn += 1) await clock.advance(1_000)
  t.match(keeper.warning, /lacks changes since 2026-03-01T00:00:00.000Z/)
  t.same(lines, ['the last-known-good file could not be written; the older one stays'])
  await rm(dataDir)
  await clock.advance(10_000)
  await keeper.stop()
  t.equal(keeper.warning, null)
  t.equal(lines.at(-1), 'the last-known-good file is written again')
  t.match(await readLastKnownGood(dataDir), { outcome: 'read', state: { seq: 3 } })
})

t.test('a document that cannot be written is named once', async (t) => {
  const dataDir = await freshFolder(t)
  const newer = { key: 'thing/newer', revision: 1, format: 2, body: {} }
  const { keeper, clock, lines, change } = keeperOf(dataDir, [newer])
  for (const _ of [1, 2, 3]) {
    change()
    await clock.advance(10_000)
  }
  await keeper.stop()
  t.same(lines, ['documents cannot be written to the last-known-good file'])
})

t.test('readiness and metrics tell that changes are not in the file', async (t) => {
  const { admin, asAgent, clock, control } = await startPlanes((close) => t.teardown(close), {
    prepare: async (_store, dataDir) =>
      void (await mkdir(join(dataDir, 'last-known-good.json.tmp', 'in-the-way'), { recursive: true })),
  })
  await admin('POST', '/channels', { name: 'a', source: { kind: 'static', version: '14.0.0' } })
  const metric = async () =>
    /^bellwether_last_known_good_unsaved (\d)/m.exec((await control.inject('/metrics')).body)?.[1]
  t.equal(await metric(), '0')
  await clock.advance(31_000)
  const ready = (await control.inject('/readyz')).json()
  t.match(ready, { ready: true, warnings: [{ code: 'last_known_good_unsaved' }] })
  t.equal(await metric(), '1')
  t.equal(await asAgent('/v1/a/version'), '14.0.0')
})
