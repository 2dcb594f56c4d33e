// GitHub's deliveries to a real server, signed and over real sockets, by the real clock: labels that come before their release
// outlive a crash, and what has to be told apart is.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { at, type Fields } from '../fixtures/admin-json.ts'
import { labelPayload, signedDelivery, tagPayload, type LabelSample } from '../fixtures/github-deliveries.ts'
import { startServer, type ServerProcess } from '../fixtures/server-process.ts'

const SECRET = 'a secret of sixteen characters or more'
const ENV = {
  BELLWETHER_GITHUB_WEBHOOK_SECRET: SECRET,
  BELLWETHER_GITHUB_REPOSITORIES: 'Acme/Agent,acme/web',
  BELLWETHER_GITHUB_LABEL: 'Cloud/Verified',
}
const COMMIT = 'aabbccddeeff00112233445566778899aabbccdd'

interface Answer {
  readonly status: number
  readonly body: unknown
}

async function dataFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bellwether-github-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function start(t: Test, folder: string): Promise<ServerProcess> {
  const server = await startServer(folder, ENV)
  t.teardown(() => server.end('SIGKILL'))
  return server
}

async function deliver({ controlUrl }: ServerProcess, event: string, payload: Fields): Promise<Answer> {
  const { headers, body } = signedDelivery(event, payload, SECRET)
  const response = await fetch(`${controlUrl}/admin/v1/webhooks/github`, { method: 'POST', headers, body })
  return { status: response.status, body: await response.json() }
}

/** As GitHub writes it, without fractions of a second; by its clock, so many seconds from this one. */
function second(after = 0): string {
  return new Date(Date.now() + after * 1_000).toISOString().replace(/\.\d+Z$/, 'Z')
}

function label(action: 'labeled' | 'unlabeled', when: string, more: LabelSample = {}): Fields {
  return labelPayload(action, when, { repository: 'acme/agent', ...more })
}

async function made({ admin }: ServerProcess, method: string, path: string, body?: Fields): Promise<unknown> {
  const reply = await admin(method, path, body)
  if (reply.status >= 300)
    throw new Error(`${method} ${path} is answered ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

/** Who has signed the changes of a release off, in their order. */
async function signers(server: ServerProcess, version: string): Promise<readonly unknown[]> {
  const changes = at(await made(server, 'GET', `/releases/${version}`), 'changes')
  return (changes as readonly unknown[]).map((change) => {
    const signedOff = at(change, 'signedOff')
    return signedOff === null ? null : at(signedOff, 'by')
  })
}

/** Changes 12 of the release's own repository and of another one, and 13 by its link. */
const changes = [
  { id: '12', title: 'joins', author: 'ada' },
  { id: 'Acme/Web#12', title: 'colors', author: 'ada' },
  { id: 'other', title: 'words', author: 'ada', url: 'https://www.GitHub.com/acme/AGENT/pull/13/files?w=1' },
]
const release = {
  version: '15.2.0',
  commit: COMMIT,
  kind: 'full',
  repository: 'https://github.com/acme/agent',
  changes,
}

t.test('a label before its release outlives a crash, and is read as the release is registered', async (t) => {
  const folder = await dataFolder(t)
  const first = await start(t, folder)
  const kept = await deliver(first, 'pull_request', label('labeled', second(), { label: 'CLOUD/verified' }))
  t.equal(kept.status, 202)
  t.match(kept.body, { outcome: 'kept', why: /no release has the change/ })
  const removed = second()
  await deliver(first, 'pull_request', label('unlabeled', removed, { number: 13 }))
  await deliver(first, 'pull_request', label('labeled', removed, { number: 13 }))
  await first.end('SIGKILL')
  const server = await start(t, folder)
  await made(server, 'POST', '/releases', release)
  t.same(await signers(server, '15.2.0'), ['mona-lisa/github', null, null])
  const web = label('labeled', second(), { repository: 'acme/web', login: 'octocat' })
  t.match((await deliver(server, 'pull_request', web)).body, { outcome: 'applied', releases: ['15.2.0'] })
  t.same(await signers(server, '15.2.0'), ['mona-lisa/github', 'octocat/github', null])
  await deliver(server, 'pull_request', label('unlabeled', second()))
  t.same(await signers(server, '15.2.0'), [null, 'octocat/github', null])
  t.equal(await server.end(), 0)
})

t.test("a clock of GitHub's that is a minute behind is allowed, an hour is named", async (t) => {
  const server = await start(t, await dataFolder(t))
  await made(server, 'POST', '/releases', release)
  const old = await deliver(server, 'pull_request', label('labeled', second(-3_600), { number: 13 }))
  t.match(old, {
    status: 202,
    body: { outcome: 'kept', why: /more than 2 minutes before release 15\.2\.0 was registered/ },
  })
  const behind = await deliver(server, 'pull_request', label('labeled', second(-60), { number: 13 }))
  t.match(behind, { status: 200, body: { outcome: 'applied', releases: ['15.2.0'] } })
  t.same(await signers(server, '15.2.0'), [null, null, 'mona-lisa/github'])
})

t.test(
  'tags: of an annotated tag the commit, of a deploy key the sender, and no other commit than the registered',
  async (t) => {
    const server = await start(t, await dataFolder(t))
    const version = '15.0.0-cloud.20260101T000000.aabbcc'
    const annotated = { after: '1'.repeat(40), pusher: { name: 'deploy key', email: '' } }
    const tagged = await deliver(server, 'push', tagPayload(`v${version}`, COMMIT, annotated, 'acme/agent'))
    t.match(tagged, { status: 200, body: { outcome: 'applied', releases: [version] } })
    const registered = await made(server, 'GET', `/releases/${version}`)
    t.match(registered, { commit: COMMIT, cutBy: 'octocat/github', repository: 'acme/agent', kind: 'control-plane' })
    const moved = await deliver(server, 'push', tagPayload(`v${version}`, COMMIT.replace('dd', 'd0'), {}, 'acme/agent'))
    t.match(moved, {
      status: 409,
      body: { code: 'release_exists', detail: new RegExp(`with the commit ${COMMIT}, not with`) },
    })
    const ahead = await deliver(
      server,
      'push',
      tagPayload('v15.0.0-cloud.20990101T000000.aabbcc', COMMIT, {}, 'acme/agent'),
    )
    t.match(ahead, { status: 400, body: { code: 'invalid_request', errors: [{ field: 'version' }] } })
  },
)
