// Many changes at the same time, through the API: none is lost, none slips past what another has decided.
import t from 'tap'
import { changeChannel, type ChannelRequest } from '../../src/control/change-channel.ts'
import { blockVersion } from '../../src/control/block-version.ts'
import { at } from '../fixtures/admin-json.ts'
import { channelPath, startAdmin, type AdminSession } from '../fixtures/admin-session.ts'
import { range } from '../fixtures/store-changes.ts'

const CLOUD = channelPath('stable/cloud')
const reason = 'because'

function statuses(replies: readonly { readonly status: number }[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

t.test('parallel changes of one channel all succeed, each with its own revision and journal entry', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.0')
  const versions = range(1, 120).map((patch) => `15.1.${patch}`)
  const replies = await Promise.all(
    versions.map((version) => session.call('PUT', `${CLOUD}/version`, { version, reason })),
  )
  t.strictSame(statuses(replies), { 200: versions.length })
  const revisions = replies.map(({ body }) => Number(at(body, 'revision')))
  t.strictSame(
    revisions.toSorted((a, b) => a - b),
    range(2, versions.length + 1),
  )
  const journal = await session.journal()
  t.strictSame(
    journal.map(({ seq }) => seq),
    range(1, versions.length + 1),
  )
  for (const [index, version] of versions.entries()) {
    const revision = revisions[index] ?? 0
    const change = journal.find((entry) => entry.changes[0]?.after?.revision === revision)?.changes[0]
    t.equal(at(change?.after?.body, 'source', 'version'), version)
    t.equal(change?.before?.revision, revision - 1)
  }
  const last = await session.done('GET', CLOUD)
  t.equal(await session.planes.asAgent('/v1/stable/cloud/version'), at(last, 'source', 'version'))
})

t.test(
  'of parallel changes with the same If-Match exactly one wins, and the others are told what is there',
  async (t) => {
    const session = await startAdmin(t)
    await session.channel('stable/cloud', '15.1.0')
    const headers = { 'if-match': '"1"' }
    const replies = await Promise.all(
      range(1, 40).map((patch) => session.call('PUT', `${CLOUD}/version`, { version: `15.1.${patch}` }, { headers })),
    )
    t.strictSame(statuses(replies), { 200: 1, 412: 39 })
    const won = replies.find(({ status }) => status === 200)
    for (const { body, status } of replies)
      if (status === 412) t.strictSame(at(body, 'current', 'source'), at(won?.body, 'source'))
    t.equal((await session.journal()).length, 2)
  },
)

t.test('of parallel creations of one name exactly one wins', async (t) => {
  const session = await startAdmin(t)
  const replies = await Promise.all(
    range(1, 40).map((patch) =>
      session.call('POST', '/channels', { name: 'a', source: { kind: 'static', version: `1.0.${patch}` } }),
    ),
  )
  t.strictSame(statuses(replies), { 201: 1, 409: 39 })
  t.equal((await session.journal()).length, 1)
})

t.test('parallel changes of different kinds are each decided on what the one before left', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.0')
  const replies = await Promise.all(
    range(1, 30).map((index) =>
      index % 2 === 0
        ? session.call('PUT', `${CLOUD}/halt`, { reason })
        : session.call('DELETE', `${CLOUD}/halt`, { reason }),
    ),
  )
  const journal = (await session.journal()).slice(1)
  t.equal(journal.length, replies.filter(({ status }) => status === 200).length)
  for (const { kind, changes } of journal) {
    if (kind === 'channel.resume') t.not(at(changes[0]?.before?.body, 'halt'), null, 'only a halted channel is resumed')
  }
})

t.test('parallel rollbacks each go back one version further', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.1.0')
  for (const patch of range(1, 8)) await session.done('PUT', `${CLOUD}/version`, { version: `15.1.${patch}` })
  const replies = await Promise.all(range(1, 8).map(() => session.call('POST', `${CLOUD}/rollback`, { reason })))
  t.strictSame(statuses(replies), { 200: 8 })
  const served = (await session.journal()).slice(-8).map(({ changes }) => at(changes[0]?.after?.body, 'pin', 'version'))
  t.strictSame(
    served,
    range(1, 8).map((back) => `15.1.${8 - back}`),
  )
})

/** Whether, by the journal, a version was put into service after it was blocked. */
async function slippedThrough(session: AdminSession, version: string): Promise<boolean> {
  let blocked = false
  for (const { kind, changes } of await session.journal()) {
    if (kind === 'version.block') blocked ||= changes[0]?.key === `blocked-version/${version}`
    else {
      const after = changes[0]?.after?.body
      const serves = at(after, 'source', 'version') === version || at(after, 'pin', 'version') === version
      const before = changes[0]?.before?.body
      const served = at(before, 'source', 'version') === version || at(before, 'pin', 'version') === version
      if (blocked && serves && !served) return true
    }
  }
  return false
}

t.test('a version that is blocked while it is being set is never set after the block', async (t) => {
  const session = await startAdmin(t)
  await session.channel('stable/cloud', '15.0.0')
  for (const round of range(1, 25)) {
    const version = `15.0.${round}`
    const block = () => session.call('PUT', `/blocked-versions/${version}`, { reason })
    const set = () => session.call('PUT', `${CLOUD}/version`, { version })
    const pin = () => session.call('PUT', `${CLOUD}/pin`, { version, reason })
    const calls = [block, set, pin, set, pin]
    const order = calls.map((_, index) => calls[(index + round) % calls.length] ?? block)
    await Promise.all(order.map((call) => call()))
    t.equal(await slippedThrough(session, version), false, version)
    await session.call('DELETE', `${CLOUD}/pin`, { reason })
    await session.done('PUT', `${CLOUD}/version`, { version: '15.0.0', reason, force: true })
  }
})

t.test('not even where the two are interleaved step by step', async (t) => {
  const session = await startAdmin(t)
  const { deps } = session.planes
  await session.channel('stable/cloud', '15.0.0')
  const asked = { actor: 'ann', reason, requestId: null, mayBeRetry: false, onCommitted: () => {} }
  const base = { ...asked, name: 'stable/cloud', force: false, expectedRevisions: null, dryRun: false }
  for (const lead of range(0, 24)) {
    for (const first of ['block', 'change'] as const) {
      const version = `15.${first === 'block' ? 1 : 2}.${lead}`
      const changes: ChannelRequest['change'][] = [
        { kind: 'version', version },
        { kind: 'pin', version },
      ]
      const change: ChannelRequest = { ...base, change: changes[lead % 2] ?? { kind: 'halt' } }
      const block = () => blockVersion(deps, asked, version, { dryRun: false, expectedRevisions: null })
      const set = () => changeChannel(deps, change)
      const [one, two] = first === 'block' ? [block, set] : [set, block]
      const running = one()
      for (let turn = 0; turn < lead >> 1; turn += 1) await Promise.resolve()
      await Promise.all([running, two()])
      t.equal(await slippedThrough(session, version), false, `${first} first, ${lead >> 1} steps ahead`)
    }
  }
})
