// What callers may see is an allow-list: whatever a token that is limited to channels can read, by every GET route of the OpenAPI
// document, the journal, its stream and problem answers, has no word of a release under an embargo, nor of channels of others.
import t from 'tap'
import { at, isObject, itemsOf } from '../../fixtures/admin-json.ts'
import { bearer, channelPath } from '../../fixtures/admin-session.ts'
import { listening, openStream } from '../../fixtures/admin-stream.ts'
import { cloud, codesOf, startRollouts, type RolloutSession } from '../../fixtures/rollout-session.ts'

const FIX = 'CVE-2026-12345'
const TITLE = 'Check the signature of join tokens'
const AUTHOR = 'mallory-hunter'
const URL = 'https://git.example/private/pull/77'
const NOTES = 'https://notes.example/a-hole-in-joining'
const REPOSITORY = 'acme/agent-before-disclosure'
/** What only admins of the whole server read. */
const EMBARGOED = [FIX, TITLE, AUTHOR, URL, NOTES, REPOSITORY]
/** What only tokens for the whole server read of releases: who has cut them, and what was said of them. */
const OF_RELEASES = ['cutter-zelda', 'hurry-up-because', 'change-id-4711', 'blocked-until-packages', 'seen-and-signed']
/** Nothing of them is for a token whose channels they never reach. */
const OF_ROLLOUTS = ['registrar-otto', 'abc001', 'abc002', 'paused-for-lunch']
/** The same, but metrics, which need no token, count changes by these. */
const COUNTED = ['zcloud', '"release.', '"rollout.']
const FOREIGN = ['other/']
const ALL = [...EMBARGOED, ...OF_RELEASES, ...OF_ROLLOUTS, ...COUNTED, ...FOREIGN]
const reason = 'because'

/** A server on which embargoed releases are on their way through channels of several owners. */
async function startWorld(t: Parameters<typeof startRollouts>[0]): Promise<RolloutSession> {
  const session = await startRollouts(t)
  for (const name of ['mine/a', 'mine/b', 'other/a', 'other/b', 'other/c', 'bystander'])
    await session.channel(name, cloud(0))
  const stages = [
    { name: 'first', channels: ['other/a'], auto: true },
    { name: 'second', channels: ['mine/a', 'other/b'], approvals: 1 },
    { name: 'third', channels: ['other/c'] },
  ]
  await session.done('PUT', '/pipelines/zcloud', { requirePackages: false, stages })
  const otto = { token: await session.token('admin', null, null, 'registrar-otto') }
  const xena = { token: await session.token('admin', null, null, 'signer-xena') }
  const secret = {
    changes: [{ id: 'change-id-4711', title: TITLE, author: AUTHOR, url: URL }],
    security: { embargoed: true, fixes: [FIX] },
    notesUrl: NOTES,
    repository: REPOSITORY,
    cutBy: 'cutter-zelda',
    reason: `hurry-up-because of ${FIX}`,
  }
  await session.register(1, secret, otto)
  // Without packages: the same commit puts it on the block list.
  await session.register(2, { ...secret, kind: 'control-plane', reason: 'blocked-until-packages' }, otto)
  await session.look()
  const path = `/releases/${cloud(1)}`
  await session.done('POST', `${path}/changes/change-id-4711/verify`, { reason: `seen-and-signed ${TITLE}` }, xena)
  await session.done('POST', '/rollouts/zcloud/pause', { release: cloud(1), reason: `paused-for-lunch, ${FIX}` }, otto)
  await session.done('PUT', channelPath('mine/b', '/pin'), { version: cloud(0), reason: `until ${FIX} is out` })
  await session.done('PUT', '/blocked-versions/9.9.9', { reason: 'pulled' })
  return session
}

/** Every path that the OpenAPI document has for a method, with everything that could stand in it. */
async function pathsOf(
  session: RolloutSession,
  method: 'get' | 'post' | 'put' | 'patch' | 'delete',
): Promise<string[]> {
  const tokens = itemsOf(await session.done('GET', '/tokens')).map((token) => String(at(token, 'id')))
  const values: Readonly<Record<string, readonly string[]>> = {
    name: ['mine/a', 'mine/b', 'other/a', 'bystander', 'absent'],
    pipeline: ['zcloud', 'absent'],
    version: [cloud(1), cloud(2), cloud(0), '9.9.9'],
    id: ['change-id-4711', ...tokens.slice(0, 2)],
  }
  const paths = Object.entries(session.planes.control.swagger().paths ?? {})
  const named = paths.filter(([, operations]) => isObject(operations) && method in operations).map(([path]) => path)
  return named.flatMap((path) => {
    let filled = [path]
    for (const [whole, name = ''] of path.matchAll(/\{(\w+)\}/g)) {
      const candidates = values[name] ?? []
      if (candidates.length === 0) throw new Error(`nothing is known to stand for ${whole} of ${path}`)
      filled = filled.flatMap((one) => candidates.map((value) => one.replace(whole, encodeURIComponent(value))))
    }
    return filled
  })
}

const JOURNAL_QUERIES = [
  ...['?limit=500', '?limit=1', '?kind=release.register', '?kind=rollout.start', '?limit=1&kind=release.register'],
  ...[`?subject=release/${cloud(1)}`, `?subject=rollout/zcloud/${cloud(1)}`, `?subject=blocked-version/${cloud(2)}`],
]

/** Everything that a token can read, by where it stands. A cursor is read as what it is made of. */
async function readAll(session: RolloutSession, token: string, port: number): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  const read = async (url: string): Promise<void> => {
    const { body, headers } = await session.planes.control.inject({ url, headers: bearer(token) })
    const isJson = String(headers['content-type']).includes('json')
    const next = isJson ? String(at(JSON.parse(body), 'next')) : ''
    found.set(`GET ${url}`, `${body} ${Buffer.from(next, 'base64url').toString()} ${JSON.stringify(headers)}`)
  }
  for (const url of await pathsOf(session, 'get')) {
    if (url.endsWith('/journal/stream')) continue
    await read(url)
    if (!/\/(?:journal|history)$/.test(url)) await read(`${url}?limit=1`)
  }
  for (const query of JOURNAL_QUERIES) await read(`/admin/v1/journal${query}`)
  const last = (await session.lastEntry()).seq
  const reader = await openStream(port, { token, query: '?after=0' })
  await reader.until(({ events }) => events.at(-1)?.id === last)
  reader.close()
  found.set('stream', JSON.stringify(reader.events))
  return found
}

/** Which of these words stand in what was read, and where; what the request itself has said does not count. */
function told(found: ReadonlyMap<string, string>, words: readonly string[]): readonly string[] {
  return [...found].flatMap(([where, text]) => {
    const asked = decodeURIComponent(where).toLowerCase()
    const shown = text.toLowerCase()
    return words
      .map((word) => word.toLowerCase())
      .filter(
        (word) =>
          shown.includes(word) &&
          !(COUNTED.includes(word) && asked.includes('/metrics')) &&
          !asked.includes(word.replaceAll('"', '')),
      )
      .map((word) => `${where}: ${word}`)
  })
}

t.test('nothing that a limited token, or a viewer, can read tells of a release under an embargo', async (t) => {
  const session = await startWorld(t)
  const port = await listening(session)
  const tokens = {
    none: await session.token('viewer', ['nothing/*']),
    noneAdmin: await session.token('admin', ['nothing/*']),
    mine: await session.token('operator', ['mine/*']),
    viewer: await session.token('viewer'),
    admin: await session.token('admin'),
  }
  const asAdmin = await readAll(session, tokens.admin, port)
  for (const word of ALL) t.not(told(asAdmin, [word]).length, 0, `admins read ${word}`)
  t.strictSame(told(await readAll(session, tokens.none, port), ALL), [])
  t.strictSame(told(await readAll(session, tokens.noneAdmin, port), ALL), [])
  t.strictSame(told(await readAll(session, tokens.mine, port), [...EMBARGOED, ...OF_RELEASES, ...FOREIGN]), [])
  t.strictSame(told(await readAll(session, tokens.viewer, port), EMBARGOED), [])
})

t.test('no answer to a write of a limited token tells of it, dry or not', async (t) => {
  const session = await startWorld(t)
  const bodies = [
    {},
    { reason },
    { reason, version: '9.9.9' },
    { reason, version: cloud(2) },
    { reason, release: cloud(1), stage: 'second' },
    { reason, to: cloud(0) },
  ]
  // Others for each path: a caller has so many dry runs under an embargo a minute.
  const newTokens = async (): Promise<readonly string[]> => [
    await session.token('operator', ['nothing/*']),
    await session.token('admin', ['mine/*']),
    await session.token('viewer', ['mine/*']),
  ]
  const seen = new Set<number>()
  for (const method of ['post', 'put', 'patch', 'delete'] as const) {
    for (const path of await pathsOf(session, method)) {
      for (const token of await newTokens()) {
        for (const payload of bodies) {
          const headers = { ...bearer(token), ...(payload.reason === undefined ? { 'if-match': '"1"' } : {}) }
          const url = `${path}?dryRun=true`
          const answer = await session.planes.control.inject({ url, method, headers, payload })
          seen.add(answer.statusCode)
          const where = `${method} ${url} ${encodeURIComponent(JSON.stringify(payload))}`
          const words = [...EMBARGOED, ...OF_RELEASES, ...FOREIGN]
          const leaks = told(new Map([[where, answer.body]]), words)
          if (leaks.length > 0) t.fail(leaks.join('; '))
        }
      }
    }
  }
  t.notOk(seen.has(429))
  for (const status of [200, 400, 403, 404, 409, 412]) t.ok(seen.has(status), `some are answered ${status}`)
})

t.test('how far the journal was searched does not tell of what is not shown', async (t) => {
  const session = await startWorld(t)
  const token = await session.token('viewer', ['nothing/*'])
  const next = async (query: string): Promise<unknown> =>
    at(await session.done('GET', `/journal?limit=1&${query}`, undefined, { token }), 'next')
  for (const query of [
    'kind=release.register',
    `subject=release/${cloud(1)}`,
    'actor=admin',
    'subject=channel/other/a',
  ])
    t.equal(await next(query), await next('kind=no.such'), query)
  const mine = { token: await session.token('viewer', ['mine/*']) }
  const filtered = async (query: string): Promise<unknown[]> => {
    const page = await session.done('GET', `/journal?limit=500&${query}`, undefined, mine)
    return itemsOf(page).map((entry) => at(entry, 'kind'))
  }
  t.strictSame(await filtered('kind=channel.pin'), ['channel.pin'])
  t.strictSame(await filtered('kind=channel.pin&actor=nobody'), [])
  t.strictSame(await filtered('subject=channel/mine/b'), ['channel.pin', 'channel.create'])
  t.strictSame(await filtered(`subject=rollout/zcloud/${cloud(1)}&kind=rollout.pause`), ['rollout.pause'])
})

t.test('an entry whose subject is not shown has no kind, actor, reason or request either', async (t) => {
  const session = await startWorld(t)
  const token = await session.token('viewer', ['mine/*'])
  const page = await session.done('GET', '/journal?limit=500', undefined, { token })
  const registered = itemsOf(page).find((entry) => String(at(entry, 'subjects', 0)).includes(cloud(1)))
  t.hasStrict(
    itemsOf(page).findLast((entry) => String(at(entry, 'subjects')).includes('rollout/')),
    {
      actor: '(hidden)',
      kind: '(hidden)',
      reason: null,
      requestId: null,
      subjects: [`rollout/zcloud/${cloud(1)}`],
    },
  )
  t.equal(at(registered, 'kind'), 'rollout.pause', 'what is about a rollout of the own channels is shown as it is')
})

t.test('a limited token reads the stages of its own channels, and of nothing else', async (t) => {
  const session = await startWorld(t)
  const mine = { token: await session.token('viewer', ['mine/*']) }
  const none = { token: await session.token('viewer', ['nothing/*']) }
  const pipeline = await session.done('GET', '/pipelines/zcloud', undefined, mine)
  t.hasStrict(pipeline, { stages: [{ name: 'second', channels: ['mine/a'] }] })
  t.equal(at(pipeline, 'stages', 'length') ?? at(pipeline, 'stages', 1), undefined, 'only that stage')
  t.strictSame(itemsOf(await session.done('GET', '/pipelines', undefined, mine)), [pipeline])
  const path = `/rollouts/zcloud/${cloud(1)}`
  const rollout = await session.done('GET', path, undefined, mine)
  t.hasStrict(rollout, {
    paused: { by: at(await session.done('GET', path), 'paused', 'by'), reason: 'embargoed change' },
  })
  t.hasStrict(at(rollout, 'stages'), [
    { name: 'second', channels: ['mine/a'], moved: [], rules: { channels: ['mine/a'] } },
  ])
  t.strictSame(codesOf(at(rollout, 'stages', 0)), ['paused', 'approvals'])
  t.strictSame(itemsOf(await session.done('GET', '/rollouts/zcloud', undefined, mine)), [rollout])
  t.strictSame(itemsOf(await session.done('GET', '/pipelines', undefined, none)), [])
  for (const [url, code] of [
    ['/pipelines/zcloud', 'unknown_pipeline'],
    ['/rollouts/zcloud', 'unknown_pipeline'],
    [path, 'unknown_rollout'],
  ] as const) {
    const reply = await session.call('GET', url, undefined, none)
    t.match([reply.status, at(reply.body, 'code')], [404, code], url)
  }
  const blocked = await session.done('GET', '/blocked-versions', undefined, mine)
  t.strictSame(
    itemsOf(blocked).map((one) => at(one, 'version')),
    ['9.9.9'],
    'what is blocked for a release is for those who may read releases',
  )
  const hidden = await session.call('GET', `/blocked-versions/${cloud(2)}`, undefined, mine)
  t.equal(at(hidden.body, 'code'), 'not_blocked')
})

t.test('what holds a stage back beyond its own channels is named to a limited token as out_of_scope', async (t) => {
  const session = await startWorld(t)
  await session.done('POST', '/rollouts/zcloud/resume', { release: cloud(1), reason })
  await session.done('PUT', channelPath('other/a', '/halt'), { reason })
  const mine = { token: await session.token('viewer', ['mine/*']) }
  const later = { token: await session.token('viewer', ['other/c']) }
  const path = `/rollouts/zcloud/${cloud(1)}`
  const codes = async (more: { token: string }): Promise<unknown> =>
    codesOf(at(await session.done('GET', path, undefined, more), 'stages', 0))
  t.strictSame(await codes(later), ['stage-before'])
  const before = await session.done('GET', path, undefined, later)
  t.equal(at(before, 'stages', 0, 'blockers', 0, 'message'), 'a stage before it is not done')
  await session.done('PUT', `/blocked-versions/${cloud(1)}`, { reason })
  t.strictSame(await codes(mine), ['approvals', 'out_of_scope'])
  t.notMatch(JSON.stringify(await session.done('GET', path, undefined, mine)), /other\/|block list/)
})
