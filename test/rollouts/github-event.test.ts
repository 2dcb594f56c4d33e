// GitHub's payloads: which of them mean something to the release process, and what is wrong with those that cannot.
import fc from 'fast-check'
import t from 'tap'
import type { Refusal } from '../../src/channels/outcome.ts'
import { isSameLabel } from '../../src/rollouts/github-label.ts'
import { readGithubEvent, type GithubEvent } from '../../src/rollouts/github-event.ts'
import { isOneShortLine, strangeText } from '../fixtures/channel-texts.ts'

const LABEL = 'verified'
const RULES = { verifiedLabel: LABEL, repositories: null }
const COMMIT = 'aabbccddeeff00112233445566778899aabbccdd'
const TAG_OBJECT = '1234567890123456789012345678901234567890'
const VERSION = '15.0.0-cloud.20230712T123633.aabbcc'

interface Payload {
  readonly [member: string]: unknown
}

/** As GitHub sends it when a label is added, shortened to what matters and some of what does not. */
const labeled: Payload = {
  action: 'labeled',
  number: 2,
  pull_request: {
    id: 279147437,
    number: 2,
    html_url: 'https://github.com/Codertocat/Hello-World/pull/2',
    title: 'Update the README with new information.',
    user: { login: 'Codertocat', type: 'User' },
    labels: [{ name: LABEL }],
    created_at: '2019-05-15T15:20:33Z',
    updated_at: '2019-05-15T15:20:35Z',
  },
  label: { id: 1362937026, name: LABEL, color: '0e8a16' },
  repository: { full_name: 'Codertocat/Hello-World' },
  sender: { login: 'mona-lisa', type: 'User' },
}

/** As GitHub sends it when an annotated tag is pushed: `after` is the tag object. */
const pushed: Payload = {
  ref: `refs/tags/v${VERSION}`,
  before: '0'.repeat(40),
  after: TAG_OBJECT,
  created: true,
  deleted: false,
  forced: false,
  base_ref: 'refs/heads/master',
  commits: [],
  head_commit: { id: COMMIT, message: 'Release', timestamp: '2023-07-12T14:36:33+02:00', author: { name: 'Mona' } },
  repository: { full_name: 'Codertocat/Hello-World' },
  pusher: { name: 'Codertocat', email: 'codertocat@example.com' },
  sender: { login: 'mona-lisa', type: 'User' },
}

/** A payload with the member at a path (`label/name`) replaced, or left out where it is undefined. */
function withMember(payload: Payload, path: string, value: unknown): Payload {
  const [name = '', ...rest] = path.split('/')
  if (rest.length > 0) {
    const inner = (payload[name] ?? {}) as Payload // Objects of the two samples above.
    return { ...payload, [name]: withMember(inner, rest.join('/'), value) }
  }
  const entries = Object.entries({ ...payload, [name]: value }).filter(([, member]) => member !== undefined)
  return Object.fromEntries(entries)
}

function whyIgnored(event: string, payload: unknown): string {
  const read = readGithubEvent(event, payload, RULES)
  if ('outcome' in read || read.kind !== 'ignored') throw new Error(`${JSON.stringify(read)} is not ignored`)
  return read.why
}

function refusalOf(event: string, payload: unknown): Extract<Refusal, { why: 'malformed' }> {
  const read = readGithubEvent(event, payload, RULES)
  if (!('outcome' in read) || read.why !== 'malformed') throw new Error(`${JSON.stringify(read)} is not malformed`)
  return read
}

t.test('a pull request that gets the label is verified, one that loses it is not any more', async (t) => {
  const expected: GithubEvent = {
    kind: 'label',
    isVerified: true,
    pullRequest: { host: 'github.com', repository: 'codertocat/hello-world', number: 2 },
    url: 'https://github.com/Codertocat/Hello-World/pull/2',
    by: 'mona-lisa',
    at: '2019-05-15T15:20:35.000Z',
  }
  t.strictSame(readGithubEvent('pull_request', labeled, RULES), expected)
  const unlabeled = { ...labeled, action: 'unlabeled' }
  t.strictSame(readGithubEvent('pull_request', unlabeled, RULES), { ...expected, isVerified: false })
})

t.test('other labels and other actions of a pull request are ignored, with words that name them', async (t) => {
  t.match(whyIgnored('pull_request', withMember(labeled, 'label/name', 'bug')), /"bug", not "verified"/)
  const other = withMember(labeled, 'label/name', 'Verified')
  t.hasStrict(readGithubEvent('pull_request', other, RULES), { kind: 'label' }, 'GitHub has one label of both')
  for (const action of ['opened', 'closed', 'synchronize', 'edited', '']) {
    t.match(whyIgnored('pull_request', { action }), new RegExp(`"${action}"`))
  }
})

t.test('a pushed tag of the Cloud form is a release, of the commit that the tag points to', async (t) => {
  const expected: GithubEvent = {
    kind: 'release',
    version: VERSION,
    commit: COMMIT,
    repository: 'codertocat/hello-world',
    by: 'Codertocat',
    at: '2023-07-12T12:36:33.000Z',
  }
  t.strictSame(readGithubEvent('push', pushed, RULES), expected)
  t.strictSame(readGithubEvent('push', { ...pushed, ref: `refs/tags/${VERSION}` }, RULES), expected)
  t.strictSame(readGithubEvent('push', withMember(pushed, 'deleted', undefined), RULES), expected)
})

t.test('without a head commit a tag is of the commit in `after`, made nobody knows when', async (t) => {
  const repository = 'codertocat/hello-world'
  const expected = { kind: 'release', version: VERSION, commit: COMMIT, repository, by: 'Codertocat', at: null }
  for (const headCommit of [null, undefined, { id: null }]) {
    const payload = { ...withMember(pushed, 'head_commit', headCommit), after: COMMIT }
    t.strictSame(readGithubEvent('push', payload, RULES), expected)
  }
})

t.test('without a pusher whoever GitHub calls the sender has pushed', async (t) => {
  for (const pusher of [undefined, null, {}, { name: null }, { name: '' }, { name: 'deploy key' }, { name: 5 }]) {
    t.hasStrict(readGithubEvent('push', { ...pushed, pusher }, RULES), { kind: 'release', by: 'mona-lisa' })
  }
})

t.test('a pull request whose link is not that of its number and repository is refused', async (t) => {
  for (const [path, value] of [
    ['pull_request/number', 3],
    ['repository/full_name', 'Codertocat/Other'],
    ['pull_request/html_url', 'https://github.com/Codertocat/Other/pull/2'],
    ['pull_request/html_url', 'https://github.com/Codertocat/Hello-World'],
  ] as const) {
    t.equal(refusalOf('pull_request', withMember(labeled, path, value)).field, 'pull_request/html_url', String(value))
  }
  const folded = withMember(labeled, 'repository/full_name', 'codertocat/HELLO-world')
  t.hasStrict(readGithubEvent('pull_request', folded, RULES), { kind: 'label' })
  const none = withMember(labeled, 'repository', undefined)
  t.hasStrict(readGithubEvent('pull_request', none, RULES), { kind: 'label' })
})

t.test('a tag of a release that does not point to the commit it names is refused', async (t) => {
  const other = withMember(pushed, 'head_commit/id', TAG_OBJECT)
  t.strictSame(refusalOf('push', other).field, 'head_commit/id')
  t.match(refusalOf('push', other).message, new RegExp(`${TAG_OBJECT}.*not the commit.*${VERSION}`))
  // The object of an annotated tag is no commit, so it cannot stand for one either.
  t.equal(refusalOf('push', withMember(pushed, 'head_commit', null)).field, 'after')
})

t.test('pushes of branches, of other tags, and deletions of tags are ignored', async (t) => {
  t.match(whyIgnored('push', { ...pushed, ref: 'refs/heads/master' }), /"refs\/heads\/master" is no tag/)
  t.match(whyIgnored('push', { ...pushed, ref: VERSION }), /is no tag/)
  t.match(whyIgnored('push', { ...pushed, ref: 'refs/tags/v15.1.4' }), /not a Cloud release/)
  t.match(whyIgnored('push', { ...pushed, ref: 'refs/tags/nightly' }), /"nightly"/)
  t.match(whyIgnored('push', { ...pushed, ref: `refs/tags/vv${VERSION}` }), /vv15/)
  t.match(whyIgnored('push', { ...pushed, ref: `refs/tags/release/${VERSION}` }), /release/)
  const deletion = { ...pushed, deleted: true, after: '0'.repeat(40), head_commit: null }
  t.match(whyIgnored('push', deletion), /was deleted/)
})

t.test('ping, the creation of a tag and every other event are ignored, whatever they carry', async (t) => {
  t.equal(whyIgnored('ping', { zen: 'Keep it logically awesome.' }), 'ping')
  t.match(whyIgnored('create', { ref: `v${VERSION}`, ref_type: 'tag' }), /push event/)
  for (const event of ['issues', 'release', 'PUSH', '__proto__', '']) {
    for (const payload of [pushed, labeled, null, [], 5, 'text']) t.match(whyIgnored(event, payload), `"${event}"`)
  }
})

t.test('a payload without a member that it must have is malformed, and the path of the member is told', async (t) => {
  for (const [event, payload, path] of [
    ['pull_request', labeled, 'action'],
    ['pull_request', labeled, 'label/name'],
    ['pull_request', labeled, 'pull_request/number'],
    ['pull_request', labeled, 'pull_request/html_url'],
    ['pull_request', labeled, 'pull_request/updated_at'],
    ['pull_request', labeled, 'sender/login'],
    ['push', pushed, 'ref'],
  ] as const) {
    for (const value of [undefined, null]) {
      t.hasStrict(refusalOf(event, withMember(payload, path, value)), { field: path, message: 'is missing' })
    }
  }
  for (const [parent, path] of [
    ['label', 'label/name'],
    ['pull_request', 'pull_request/number'],
    ['sender', 'sender/login'],
  ] as const) {
    for (const value of [undefined, null, 'text', 5, []]) {
      const refusal = refusalOf('pull_request', withMember(labeled, parent, value))
      t.hasStrict(refusal, { field: path, message: 'is missing' })
    }
  }
  const nobody = { ...pushed, pusher: undefined, sender: undefined }
  t.hasStrict(refusalOf('push', nobody), { field: 'sender/login', message: 'is missing' })
  const nothing = { ...pushed, head_commit: null, after: undefined }
  t.hasStrict(refusalOf('push', nothing), { field: 'after', message: 'is missing' })
  for (const payload of [null, [], 5, 'text', {}]) {
    t.equal(refusalOf('pull_request', payload).field, 'action')
    t.equal(refusalOf('push', payload).field, 'ref')
  }
})

t.test('a member of another form than GitHub gives it is malformed', async (t) => {
  for (const [event, payload, path, values] of [
    ['pull_request', labeled, 'action', [5, {}, true]],
    ['pull_request', labeled, 'label/name', [5, [LABEL]]],
    ['pull_request', labeled, 'pull_request/number', ['2', 0, -1, 1.5, 2 ** 53, true]],
    ['pull_request', labeled, 'pull_request/updated_at', ['yesterday', 1557933635, '2019-02-31T00:00:00Z']],
    [
      'pull_request',
      labeled,
      'pull_request/html_url',
      [
        'javascript:alert(1)',
        '//github.com',
        'https://',
        'https://a b',
        `https://${'a'.repeat(500)}`,
        'https://a\n',
        5,
      ],
    ],
    ['push', pushed, 'ref', [5, ['refs/tags/v1']]],
    ['push', pushed, 'head_commit/id', [COMMIT.toUpperCase(), COMMIT.slice(1), `${COMMIT}0`, `${COMMIT}\n`, '', 5]],
    ['push', pushed, 'head_commit/timestamp', ['yesterday', 5, '2023-07-12']],
  ] as const) {
    for (const value of values) {
      const refusal = refusalOf(event, withMember(payload, path, value))
      t.equal(refusal.field, path, `${path} ${String(value)}`)
      t.not(refusal.message, 'is missing')
    }
  }
})

t.test('who did it is a login of GitHub and nothing else, as it becomes part of the actor', async (t) => {
  const paths = [
    ['pull_request', labeled, 'sender/login'],
    ['push', withMember(pushed, 'sender', undefined), 'pusher/name'],
  ] as const
  for (const [event, payload, path] of paths) {
    for (const login of ['a', 'Codertocat', '0-9', 'a'.repeat(39), 'dependabot[bot]', 'github-actions[bot]']) {
      t.hasStrict(readGithubEvent(event, withMember(payload, path, login), RULES), { by: login })
    }
    for (const login of [
      '',
      '-a',
      'a'.repeat(40),
      'a/b',
      'a b',
      'a[bot',
      'a[bot]b',
      '[bot]',
      'a\n',
      'ä',
      'admin/x',
      5,
    ]) {
      t.equal(refusalOf(event, withMember(payload, path, login)).field, 'sender/login', String(login))
    }
  }
})

t.test('where repositories are listed only what is about one of them counts, whatever the case of its name', (t) => {
  const rules = { ...RULES, repositories: ['acme/agent', 'codertocat/hello-world'] }
  t.hasStrict(readGithubEvent('pull_request', labeled, rules), { kind: 'label', by: 'mona-lisa' })
  t.hasStrict(readGithubEvent('push', pushed, rules), { kind: 'release', version: VERSION })
  const lists = 'BELLWETHER_GITHUB_REPOSITORIES lists'
  const others = [
    'Codertocat/Hello-World2',
    'Codertocat',
    'Hello-World',
    '',
    'acme/agent ',
    'acme/agent/',
    'xacme/agent',
  ]
  for (const name of others) {
    const why = `the repository ${JSON.stringify(name)} is not among those that ${lists}`
    for (const [event, payload] of [['pull_request', labeled] as const, ['push', pushed] as const]) {
      const foreign = withMember(payload, 'repository/full_name', name)
      t.strictSame(readGithubEvent(event, foreign, rules), { kind: 'ignored', why }, `${event} of ${name}`)
    }
    t.strictSame(readGithubEvent('ping', { repository: { full_name: name } }, rules), { kind: 'ignored', why })
  }
  const why = `it names no repository, and ${lists} those that count`
  for (const name of [undefined, null, 5, ['acme/agent'], { full_name: 'acme/agent' }]) {
    const foreign = withMember(labeled, 'repository/full_name', name)
    t.strictSame(readGithubEvent('pull_request', foreign, rules), { kind: 'ignored', why })
  }
  t.end()
})

/** Whether what was read can be told to anybody: words of one short line, and members of the forms they must have. */
function isSound(read: GithubEvent | Refusal): boolean {
  if ('outcome' in read) return read.why === 'malformed' && isOneShortLine(read.message) && isOneShortLine(read.field)
  switch (read.kind) {
    case 'ignored':
      return isOneShortLine(read.why)
    case 'label':
      return (
        Number.isSafeInteger(read.pullRequest.number) &&
        /^https?:\/\/\S+$/.test(read.url) &&
        /^[\w[\]-]+$/.test(read.by)
      )
    case 'release':
      return /^[0-9a-f]{40}$/.test(read.commit) && /^[\w[\]-]+$/.test(read.by)
  }
}

const anyEvent = fc.oneof(fc.constantFrom('pull_request', 'push', 'ping', 'create'), strangeText())

t.test('no JSON value makes the reader throw, or say more than one short line', async () => {
  fc.assert(fc.property(anyEvent, fc.jsonValue(), (event, payload) => isSound(readGithubEvent(event, payload, RULES))))
  const rules = { ...RULES, repositories: ['acme/agent'] }
  fc.assert(
    fc.property(anyEvent, strangeText(), (event, name) => {
      const read = readGithubEvent(event, { ...labeled, repository: { full_name: name } }, rules)
      return !('outcome' in read) && read.kind === 'ignored' && isSound(read)
    }),
  )
})

t.test(
  'no payload that is right but for one member makes the reader throw, or say more than one short line',
  async () => {
    const paths = [
      ...['action', 'label', 'label/name', 'sender', 'sender/login', 'pull_request', 'pull_request/number'],
      ...['pull_request/html_url', 'pull_request/updated_at', 'ref', 'deleted', 'after', 'pusher', 'pusher/name'],
      ...['head_commit', 'head_commit/id', 'head_commit/timestamp'],
    ]
    const value = fc.oneof(fc.jsonValue(), strangeText(), fc.constantFrom(COMMIT, `refs/tags/${VERSION}`, LABEL))
    const tag = strangeText().map((text) => `refs/tags/${text}`)
    fc.assert(
      fc.property(
        fc.constantFrom(labeled, pushed),
        fc.constantFrom(...paths),
        fc.oneof(value, tag),
        (payload, path, one) =>
          ['pull_request', 'push'].every((event) =>
            isSound(readGithubEvent(event, withMember(payload, path, one), RULES)),
          ),
      ),
      { numRuns: 1_000 },
    )
  },
)

t.test('whatever the verified label is called, only that label counts', async () => {
  fc.assert(
    fc.property(strangeText(), strangeText(), (name, verified) => {
      const read = readGithubEvent('pull_request', withMember(labeled, 'label/name', name), {
        ...RULES,
        verifiedLabel: verified,
      })
      return 'outcome' in read
        ? false
        : read.kind === (isSameLabel(name, verified) ? 'label' : 'ignored') && isSound(read)
    }),
  )
})
