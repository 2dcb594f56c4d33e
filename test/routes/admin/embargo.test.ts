// Embargoed fixes: while one is open nobody but an admin finds a trace of it, wherever they look; when it is lifted
// everybody does. And no release that was cut meanwhile goes out without it.
import t from 'tap'
import type { Store } from '../../../src/store/port.ts'
import { at, itemsOf, type Fields } from '../../fixtures/admin-json.ts'
import { channelPath, type Reply } from '../../fixtures/admin-session.ts'
import { listening, openStream } from '../../fixtures/admin-stream.ts'
import { cloud, codesOf, listAt, startRollouts, type RolloutSession } from '../../fixtures/rollout-session.ts'
import { wrapped } from '../../fixtures/store-wrapped.ts'

const FIX = 'CVE-2026-12345'
const TITLE = 'Check the signature of join tokens'
const AUTHOR = 'mallory-hunter'
const URL = 'https://git.example/private/pull/77'
const NOTES = 'https://notes.example/a-hole-in-joining'
const SECRETS = [FIX, TITLE, AUTHOR, URL, NOTES]
const reason = 'because'
const secret: Fields = {
  changes: [{ id: '77', title: TITLE, author: AUTHOR, url: URL }],
  security: { embargoed: true, fixes: [FIX] },
  notesUrl: NOTES,
}

function path(day: number, rest = ''): string {
  return `/releases/${cloud(day)}${rest}`
}

/** Which of the secrets a text tells, however it is written. */
function told(text: unknown): readonly string[] {
  const all = JSON.stringify(text).toLowerCase()
  return SECRETS.filter((one) => all.includes(one.toLowerCase()))
}

/** Everything that can be read of the server, by path. */
const PAGES = [
  '/releases',
  path(1),
  path(2),
  path(1, '/compatibility'),
  '/pipelines',
  '/pipelines/cloud',
  '/rollouts/cloud',
  `/rollouts/cloud/${cloud(1)}`,
  `/rollouts/cloud/${cloud(2)}`,
  '/journal',
  '/journal?limit=500&kind=release.register',
  `/journal?subject=release/${cloud(1)}`,
  '/blocked-versions',
  '/channels',
  channelPath('canary'),
  channelPath('pinned'),
  channelPath('halted'),
  channelPath('pinned', '/history'),
  channelPath('halted', '/history'),
  '/replicas',
  '/whoami',
] as const

/** A server on which an embargoed fix is on its way, and on which people have written of it wherever they can. */
async function startEmbargo(t: Parameters<typeof startRollouts>[0]): Promise<RolloutSession> {
  const session = await startRollouts(t)
  for (const name of ['pinned', 'halted']) await session.channel(name, cloud(0))
  await session.pipeline([
    { name: 'canary', channels: ['canary'], auto: true },
    { name: 'all', channels: ['all'] },
  ])
  const words = `for ${FIX.toLowerCase()}`
  await session.register(1, { ...secret, reason: `it has ${FIX}` })
  await session.look()
  // Registered before anybody said that it has the fix, too: what the journal tells of it then is hidden as well.
  await session.register(2, { changes: secret['changes'], notesUrl: NOTES })
  await session.done('PATCH', path(2), { security: { fixes: [FIX] }, reason: words })
  await session.done('PUT', channelPath('pinned', '/pin'), { version: cloud(0), reason: `${TITLE}, see ${URL}` })
  await session.done('PUT', channelPath('halted', '/halt'), { reason: words })
  await session.done('PATCH', channelPath('halted'), { description: `waits ${words}` })
  await session.done('PUT', '/blocked-versions/15.0.0-rc.1', { reason: `is open to ${FIX}` })
  await session.signOff(1, '77', { reason: `I have seen "${TITLE.toUpperCase()}" work` })
  t.equal((await session.step('pause', { reason: `until ${FIX} is public` }, 1)).status, 200)
  await session.done('PUT', '/pipelines/other', {
    description: words,
    stages: [{ name: 'all', channels: ['elsewhere'] }],
  })
  return session
}

t.test('no page tells anybody but an admin of an embargoed fix; once it is lifted every page does', async (t) => {
  const session = await startEmbargo(t)
  const viewer = { token: await session.token('viewer') }
  const operator = { token: await session.token('operator') }
  const scoped = { token: await session.token('admin', ['pinned', 'halted']) }
  const known = new Set<string>()
  for (const page of PAGES) {
    const asAdmin = await session.call('GET', page)
    t.equal(asAdmin.status, 200, page)
    for (const one of told(asAdmin.body)) known.add(one)
    for (const who of [viewer, operator])
      t.strictSame(told((await session.call('GET', page, undefined, who)).body), [], page)
  }
  t.strictSame([...known].toSorted(), SECRETS.toSorted(), 'admins read all of it')
  const shown = await session.done('GET', path(1), undefined, viewer)
  t.hasStrict(shown, {
    changes: [{ id: '77', title: 'embargoed change', author: 'embargoed change', url: null }],
    security: { embargoed: true, fixes: ['embargoed change'], liftedAt: null },
    notesUrl: null,
  })
  t.equal((await session.call('GET', channelPath('pinned'), undefined, scoped)).status, 200)
  const low = await session.call('POST', path(1, '/embargo/lift'), { reason }, operator)
  t.equal(low.status, 403)
  t.equal(at(low.body, 'code'), 'role_too_low')
  const lifted = await session.done('POST', path(1, '/embargo/lift'), { reason: 'it is public' })
  t.equal(at(lifted, 'security', 'liftedAt'), '2026-03-01T00:00:00.000Z')
  for (const page of PAGES) {
    const asViewer = await session.call('GET', page, undefined, viewer)
    t.strictSame(told(asViewer.body), told((await session.call('GET', page)).body), page)
  }
  const twice = await session.call('POST', path(1, '/embargo/lift'), { reason })
  t.equal(twice.status, 409)
  t.equal(at(twice.body, 'code'), 'not_embargoed')
})

t.test('no answer to a change, and no problem, tells an operator of it', async (t) => {
  const session = await startEmbargo(t)
  const operator = { token: await session.token('operator') }
  const stale = { ...operator, headers: { 'if-match': '"1"' } }
  const replies: Reply[] = []
  for (const more of [operator, stale]) {
    replies.push(
      await session.call('PATCH', path(1, '?dryRun=true'), {}, more),
      await session.call('PATCH', path(1), { security: { fixes: ['CVE-2020-1'] } }, more),
      await session.call('POST', path(1, '/changes/77/verify'), {}, more),
      await session.call('POST', path(1, '/changes/78/verify'), {}, more),
      await session.call('POST', '/rollouts/cloud/promote', { release: cloud(1), stage: 'all' }, more),
      await session.call('POST', '/rollouts/cloud/approve', { release: cloud(1), stage: 'all' }, more),
      await session.call('POST', '/rollouts/cloud/pause?dryRun=true', { release: cloud(1), reason }, more),
      await session.call('PATCH', channelPath('pinned'), { description: 'x' }, more),
      await session.call('PUT', channelPath('halted', '/version?dryRun=true'), { version: cloud(0) }, more),
      await session.call('POST', path(1, '/withdraw?dryRun=true'), { reason }, more),
    )
  }
  for (const reply of replies) t.strictSame(told(reply.body), [], JSON.stringify(reply.body).slice(0, 300))
  t.ok(replies.some(({ status }) => status === 412))
  t.ok(replies.some(({ status }) => status === 200))
  const registered = await session.register(3, { ...secret, reason: FIX }, operator)
  t.equal(registered.status, 201)
  t.strictSame(told(registered.body), [], 'not even who has registered it')
})

t.test('the journal stream tells nobody but an admin, live or resumed', async (t) => {
  const session = await startRollouts(t)
  const port = await listening(session)
  const token = await session.token('viewer')
  const live = await openStream(port, { token })
  await live.until(({ comments }) => comments.length > 0)
  const admin = await openStream(port)
  await admin.until(({ comments }) => comments.length > 0)
  await session.register(1, { ...secret, reason: `it has ${FIX}` }, { headers: { 'idempotency-key': 'register-1' } })
  await session.channel('a', cloud(0))
  await session.done('PUT', channelPath('a', '/pin'), { version: cloud(0), reason: TITLE })
  const resumed = await openStream(port, { token, query: '?after=0' })
  for (const reader of [live, admin, resumed]) await reader.until(({ events }) => events.at(-1)?.id === 4)
  t.strictSame(told(live.events), [])
  t.strictSame(told(resumed.events), [])
  t.strictSame(told(admin.events), SECRETS)
  t.equal(at(live.events[0]?.data, 'changes', 0, 'after', 'body', 'changes', 0, 'title'), 'embargoed change')
  await session.done('POST', path(1, '/embargo/lift'), { reason })
  const after = await openStream(port, { token, query: '?after=0' })
  await after.until(({ events }) => events.at(-1)?.id === 5)
  t.strictSame(told(after.events), SECRETS)
  for (const reader of [live, admin, resumed, after]) reader.close()
})

t.test(
  'a key of a request that names the fix is not told either, on the pages of the journal and on its stream',
  async (t) => {
    const session = await startRollouts(t)
    const port = await listening(session)
    const token = await session.token('viewer')
    await session.register(1, secret, { headers: { 'idempotency-key': `register-${FIX}` } })
    t.strictSame(told((await session.call('GET', '/journal', undefined, { token })).body), [])
    const reader = await openStream(port, { token, query: '?after=0' })
    await reader.until(({ events }) => events.at(-1)?.id === 2)
    t.strictSame(told(reader.events), [])
    reader.close()
  },
)

t.test(
  'a stream that is ahead of its replica tells nothing of an embargo that the replica has not seen yet',
  async (t) => {
    let isHeld = false
    const held: (() => void)[] = []
    let followers = 0
    const follow: (store: Store) => Store['follow'] = (store) => (after, on, signal) => {
      followers += 1
      // The first to follow is the replica; a stream reads the store on its own.
      if (followers > 1) return store.follow(after, on, signal)
      return store.follow(after, (entry) => (isHeld ? void held.push(() => on(entry)) : on(entry)), signal)
    }
    const session = await startRollouts(t, { wrapStore: (store) => wrapped(store, { follow: follow(store) }) })
    const port = await listening(session)
    const token = await session.token('viewer')
    const reader = await openStream(port, { token })
    await reader.until(({ comments }) => comments.length > 0)
    isHeld = true
    const registered = session.register(1, secret)
    // Many turns of the event loop, in which the stream either gives the entry or waits for its replica.
    for (let turns = 0; turns < 50; turns += 1) await session.planes.clock.advance(0)
    isHeld = false
    for (const give of held.splice(0)) give()
    t.equal((await registered).status, 201)
    await reader.until(({ events }) => events.length === 1)
    t.strictSame(told(reader.events), [])
    reader.close()
  },
)

t.test('an operator who sends back what they were shown loses nothing of it, and frees no word of it', async (t) => {
  const session = await startRollouts(t)
  const operator = { token: await session.token('operator') }
  await session.channel('a', cloud(0))
  await session.register(1, secret)
  await session.done('PUT', channelPath('a', '/pin'), { version: cloud(0), reason: `${TITLE}, see ${URL}` })
  const shown = listAt(await session.done('GET', path(1), undefined, operator), 'changes')
  const changes = [...shown, { id: '78' }].map((change) => ({
    id: at(change, 'id'),
    title: at(change, 'title') ?? 'Another change',
    author: at(change, 'author') ?? 'ada',
    url: at(change, 'url') ?? null,
  }))
  const sent = await session.call('PATCH', path(1), { changes, reason }, operator)
  t.ok(sent.status === 200 || at(sent.body, 'code') === 'invalid_request', 'what cannot be kept is refused')
  t.strictSame(told((await session.call('GET', channelPath('a'), undefined, operator)).body), [])
  t.hasStrict(await session.done('GET', path(1)), {
    changes: [{ title: TITLE, author: AUTHOR, url: URL }, ...(sent.status === 200 ? [{ id: '78' }] : [])],
  })
})

t.test(
  'a release that is cut during an embargo is held back without the fix, in words that do not name it',
  async (t) => {
    const session = await startRollouts(t)
    await session.pipeline([{ name: 'all', channels: ['all'] }])
    await session.register(1)
    await session.register(2, secret)
    // Another millisecond.
    await session.planes.clock.advance(1)
    await session.register(0)
    await session.register(3)
    await session.register(4, { security: { fixes: [FIX] } })
    t.equal(at(await session.stage(1, 0), 'state'), 'ready', 'it was on its way before')
    const [late] = listAt(await session.stage(0, 0), 'blockers')
    t.match(late, { code: 'embargo', message: /^it was registered while the fix of .* was embargoed/ }, 'dated before')
    t.equal(at(await session.stage(4, 0), 'state'), 'ready', 'it has the fix')
    const held = await session.step('promote', {}, 3)
    t.equal(held.status, 422)
    t.strictSame(codesOf(held.body), ['embargo'])
    t.match(at(held.body, 'detail'), `it was cut while the fix of ${cloud(2)} was embargoed`)
    t.strictSame(told(held.body), [], 'not even to an admin: everybody reads these words')
    t.strictSame(codesOf(await session.stage(3, 0)), ['embargo'])
    await session.done('POST', path(2, '/embargo/lift'), { reason })
    t.strictSame(codesOf(await session.stage(3, 0)), ['embargo'], 'it has not got the fix by that')
    await session.done('PATCH', path(3), { security: { fixes: ['CVE-2020-1', FIX] } })
    t.equal((await session.step('promote', {}, 3)).status, 200)
    const later = cloud(31)
    await session.planes.clock.advance(7 * 86_400_000)
    await session.done('POST', '/releases', { version: later, commit: 'abc031', kind: 'full', changes: [] })
    t.equal(
      at(await session.done('GET', `/rollouts/cloud/${later}`), 'stages', 0, 'state'),
      'ready',
      'cut after the lifting',
    )
  },
)

/** What of these texts a viewer finds in the journal, in rollouts and in releases. */
async function foundBy(session: RolloutSession, token: string, texts: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const page of [
    '/journal?limit=500',
    '/rollouts/cloud',
    `/rollouts/cloud/${cloud(1)}`,
    '/releases',
    path(1),
    path(2),
  ]) {
    const all = JSON.stringify(await session.done('GET', page, undefined, { token })).toLowerCase()
    found.push(...texts.filter((text) => all.includes(text.toLowerCase())).map((text) => `${page}: ${text}`))
  }
  return found
}

/** A server with an embargoed release of these titles and one without, and a viewer of it. */
async function startTitled(t: Parameters<typeof startRollouts>[0], titles: readonly string[]) {
  const session = await startRollouts(t)
  const token = await session.token('viewer')
  await session.pipeline([{ name: 'canary', channels: ['canary'], soakMinutes: 100 }])
  await session.done('POST', '/releases', {
    version: cloud(1),
    commit: cloud(1).slice(-6),
    kind: 'full',
    security: { embargoed: true, fixes: [FIX] },
    changes: titled(...titles),
  })
  await session.register(2)
  return { session, token }
}

/** Changes of these titles, as they are asked for. */
function titled(...titles: readonly string[]): readonly Fields[] {
  return titles.map((title, index) => ({ id: `${index}`, title, author: AUTHOR, significant: false }))
}

/** Says `words` where a rollout, a release and the journal have them. */
async function say(session: RolloutSession, words: string): Promise<void> {
  const paused = await session.step('pause', { reason: words }, 2)
  if (paused.status !== 200) throw new Error(JSON.stringify(paused.body))
  await session.done('POST', path(1, '/changes/0/withdraw'), { reason: words })
}

t.test('a title is hidden in whatever form it is written, and however it is kept', async (t) => {
  const padded = '  Session tokens leak \u00a0to proxy logs '
  const accented = 'Größenprüfung der Schlüssel fehlt'
  const { session, token } = await startTitled(t, [padded, accented])
  const texts = ['Session tokens leak to proxy logs', accented.normalize('NFC'), accented.normalize('NFD')]
  for (const [index, words] of texts.entries()) {
    await say(session, `waits for "${words}" (${index})`)
    t.strictSame(await foundBy(session, token, texts), [], words)
    t.equal((await session.step('resume', { reason: words }, 2)).status, 200)
  }
  t.equal(at(await session.done('GET', path(1)), 'changes', 0, 'title'), texts[0], 'it is kept as it is meant')
  await session.done('POST', path(1, '/embargo/lift'), { reason })
  await say(session, accented.normalize('NFD'))
  const found = await foundBy(session, token, texts)
  for (const page of ['/journal?limit=500', '/rollouts/cloud', '/releases']) {
    t.ok(found.includes(`${page}: ${texts[2]}`), page)
  }
})

t.test(
  'a title that was corrected, or dropped with its change, stays hidden until the embargo is lifted',
  async (t) => {
    const first = 'Heap overflow in the SFTP handler'
    const second = 'Another title altogether'
    const { session, token } = await startTitled(t, [first, second])
    const texts = [first, second, '"earlier"', '"lifted"']
    await say(session, `${first}; ${second}`)
    await session.done('PATCH', path(1), {
      reason: 'typo',
      changes: titled('Heap overflow in an SFTP handler', second),
    })
    t.strictSame(await foundBy(session, token, texts), [], 'corrected')
    await session.done('PATCH', path(1), { reason: 'moved', changes: titled() })
    t.strictSame(await foundBy(session, token, texts), [], 'dropped')
    const operator = { token: await session.token('operator'), headers: { 'if-match': '"1"' } }
    for (const more of [operator, { headers: { 'if-match': '"1"' } }]) {
      const stale = await session.call('PATCH', path(1), { notesUrl: null }, more)
      t.equal(stale.status, 412)
      t.strictSame(Object.keys(Object(at(stale.body, 'current', 'security'))), ['embargoed', 'fixes', 'liftedAt'])
    }
    t.strictSame(Object.keys(Object(at(await session.done('GET', path(1)), 'security'))), [
      'embargoed',
      'fixes',
      'liftedAt',
    ])
    await session.done('POST', path(1, '/embargo/lift'), { reason })
    const found = await foundBy(session, token, texts)
    for (const text of [first, second]) {
      for (const page of ['/journal?limit=500', '/rollouts/cloud'])
        t.ok(found.includes(`${page}: ${text}`), `${page} ${text}`)
    }
  },
)

t.test('a short title is hidden where another release has a change of that title, and in no other words', async (t) => {
  const { session, token } = await startTitled(t, ['Fix XSS', 'There is no such release'])
  await session.done('PATCH', path(2), { changes: titled(' fix  xss', 'Fix XSS in tests') })
  t.strictSame(await foundBy(session, token, ['"Fix XSS"']), [])
  const shown = await session.done('GET', path(2), undefined, { token })
  t.match(at(shown, 'changes'), [{ title: 'embargoed change', author: AUTHOR }, { title: 'Fix XSS in tests' }])
  t.equal((await session.step('pause', { reason: 'Fix XSS' }, 2)).status, 200)
  t.match(await foundBy(session, token, ['"Fix XSS"']), ['/journal?limit=500: "Fix XSS"', '/rollouts/cloud: "Fix XSS"'])
  const none = await session.call('GET', path(9), undefined, { token })
  t.equal(none.status, 404)
  t.equal(at(none.body, 'title'), 'There is no such release', 'what the server itself says')
})

t.test('an operator hides nothing again that an admin has made public, and makes nothing public', async (t) => {
  const { session, token } = await startTitled(t, [TITLE])
  const operator = { token: await session.token('operator') }
  await session.done('POST', path(1, '/embargo/lift'), { reason: `${FIX} is public` })
  const pages = ['/journal?limit=500', path(1), '/rollouts/cloud']
  const read = async () => Promise.all(pages.map((page) => session.done('GET', page, undefined, { token })))
  await say(session, `for ${FIX} and ${TITLE}`)
  const [, before, rollouts] = await read()
  t.strictSame(told(before), [FIX, TITLE, AUTHOR])
  const own = 'A hole that nobody knows of'
  const other = 'CVE-2026-77777'
  const author = 'trent'
  const changes = [{ id: '9', title: own, author }]
  const fixes = [FIX.toLowerCase(), other]
  await session.planes.clock.advance(1)
  const third = await session.register(3, { security: { embargoed: true, fixes }, changes }, operator)
  t.equal(third.status, 201)
  t.strictSame((await read()).slice(1, 2), [before], 'what was lifted is shown as before')
  t.strictSame(told((await read())[2]), told(rollouts))
  t.strictSame(told((await read())[0]), [FIX, TITLE, AUTHOR])
  const hidden = async () => {
    for (const page of ['/journal?limit=500', '/releases', path(3), '/rollouts/cloud', path(1)]) {
      const text = JSON.stringify(await session.done('GET', page, undefined, { token }))
      for (const secret of [own, other, `"${author}"`]) t.notOk(text.includes(secret), `${page} ${secret}`)
    }
  }
  t.equal((await session.step('resume', { reason: `not for ${own}` }, 2)).status, 200)
  await hidden()
  const security = { embargoed: true, fixes: [FIX, other] }
  t.equal((await session.call('PATCH', path(1), { security, reason }, operator)).status, 400, 'it was lifted')
  await hidden()
})

t.test('an embargo is not taken back by an edit, and needs a reason and an open one to be lifted', async (t) => {
  const session = await startRollouts(t)
  await session.register(1, secret)
  for (const security of [{ fixes: [FIX] }, { embargoed: true, fixes: ['CVE-2020-1'] }]) {
    const reply = await session.call('PATCH', path(1), { security })
    t.equal(at(reply.body, 'errors', 0, 'field'), 'security')
    t.match(at(reply.body, 'detail'), /lift it with POST …\/embargo\/lift/)
  }
  const more = { embargoed: true, fixes: [FIX, 'CVE-2026-2'] }
  t.strictSame(at(await session.done('PATCH', path(1), { security: more }), 'security', 'fixes'), more.fixes)
  t.equal((await session.call('POST', path(1, '/embargo/lift'), {})).status, 400)
  await session.register(2, { security: { fixes: [FIX] } })
  for (const day of [2, 9]) {
    const none = await session.call('POST', path(day, '/embargo/lift'), { reason })
    t.equal(at(none.body, 'code'), day === 2 ? 'not_embargoed' : 'unknown_release')
  }
  t.equal(itemsOf(await session.done('GET', '/releases')).length, 2)
})
