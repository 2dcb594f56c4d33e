// Which pull request a change is, in every form that people and GitHub write it.
import t from 'tap'
import {
  isSamePullRequest,
  nameOfPullRequest,
  pullRequestOf,
  readFullId,
  readPullRequestUrl,
  readRepository,
} from '../../src/rollouts/pull-request.ts'

const WEB = { host: 'github.com', repository: 'acme/web', number: 12 }

t.test('a link to a pull request is the same in whatever form it is written', async (t) => {
  for (const url of [
    'https://github.com/acme/web/pull/12',
    'https://GitHub.com/Acme/WEB/pull/12',
    'http://github.com/acme/web/pull/12/',
    'https://www.github.com/acme/web/pull/12',
    'https://github.com:443/acme/web/pull/12',
    'https://github.com//acme/web/pull/12',
    'https://github.com/acme/web/pull/12/files#diff-1',
    'https://github.com/acme/web/pull/12/commits/abc?w=1',
    'https://github.com/acme/web/pull/12.patch',
    'https://github.com/acme/web/issues/12#issuecomment-1',
    'https://api.github.com/repos/acme/web/pulls/12',
  ]) {
    t.strictSame(readPullRequestUrl(url), WEB, url)
  }
  t.strictSame(readPullRequestUrl('https://git.example.com/api/v3/repos/acme/web/pulls/12'), {
    ...WEB,
    host: 'git.example.com',
  })
  t.equal(readPullRequestUrl('https://github.com/pull/pull/pull/7')?.repository, 'pull/pull')
})

t.test('what links to no pull request is none', async (t) => {
  for (const url of [
    'https://github.com/acme/web',
    'https://github.com/acme/web/pull/',
    'https://github.com/acme/web/pull/012',
    'https://github.com/acme/web/pull/0',
    'https://github.com/acme/web/pull/12a',
    'https://github.com/acme/web/pull/1234567890',
    'https://github.com/web/pull/12',
    'https://github.com/acme/web/tree/12',
    'https://github.com/acme/w%20b/pull/12',
    'https://tickets.example.com/12',
    'ftp://github.com/acme/web/pull/12',
    'acme/web#12',
    '',
  ]) {
    t.equal(readPullRequestUrl(url), null, url)
  }
})

t.test('a repository is its name, or its URL', async (t) => {
  for (const text of ['acme/web', ' Acme/Web ', 'https://github.com/acme/web.git', 'https://github.com/Acme/web/']) {
    t.equal(readRepository(text), 'acme/web', text)
  }
  for (const text of ['web', 'acme/', '/web', 'acme/web/more', 'a b/c', '', 'https://github.com/', '-a/b']) {
    t.equal(readRepository(text), null, text)
  }
})

t.test("a repository by its URL in GitHub's API is the same, and nothing else there is one", async (t) => {
  const hosts = ['https://api.github.com', 'https://git.example.com/api/v3', 'https://api.example.ghe.com']
  for (const host of hosts) {
    for (const path of ['/repos/acme/web', '/repos/Acme/web/', '/repos/acme/web/pulls/12']) {
      t.equal(readRepository(`${host}${path}`), 'acme/web', `${host}${path}`)
    }
    for (const path of ['', '/', '/repos', '/repos/acme', '/orgs/acme/web', '/repositories/12', '/acme/web']) {
      t.equal(readRepository(`${host}${path}`), null, `${host}${path}`)
    }
  }
  t.equal(readRepository('https://github.com/repos/acme'), 'repos/acme', 'an owner may have that name')
})

t.test('an id that names its repository is a pull request there', async (t) => {
  t.strictSame(readFullId('Acme/Web#12'), { ...WEB, host: null })
  for (const id of ['12', '#12', 'web#12', 'acme/web#', 'acme/web#0', 'acme/web#1#2']) t.equal(readFullId(id), null, id)
})

t.test('a change is what its link says, then its id, then its number in the repository of the release', async (t) => {
  const url = 'https://github.com/acme/web/pull/12'
  t.strictSame(pullRequestOf({ id: '7', url }, 'acme/agent'), WEB)
  t.strictSame(pullRequestOf({ id: 'acme/web#12', url: null }, 'acme/agent'), { ...WEB, host: null })
  t.strictSame(pullRequestOf({ id: 'acme/web#12', url: 'https://tickets.example.com/1' }, null), { ...WEB, host: null })
  for (const id of ['12', '#12']) {
    t.strictSame(pullRequestOf({ id, url: null }, 'acme/web'), { ...WEB, host: null })
    t.equal(pullRequestOf({ id, url: null }, null), null, 'of no repository')
    t.equal(pullRequestOf({ id, url: 'https://tickets.example.com/12' }, 'acme/web'), null, 'a number elsewhere')
  }
  for (const id of ['JIRA-12', '0', '012', '#']) t.equal(pullRequestOf({ id, url: null }, 'acme/web'), null, id)
})

t.test('the same number of another repository or host is another pull request', async (t) => {
  t.ok(isSamePullRequest(WEB, { ...WEB, host: null }))
  t.notOk(isSamePullRequest(WEB, { ...WEB, repository: 'acme/agent' }))
  t.notOk(isSamePullRequest(WEB, { ...WEB, number: 13 }))
  t.notOk(isSamePullRequest(WEB, { ...WEB, host: 'git.example.com' }))
  t.equal(nameOfPullRequest(WEB), 'github.com/acme/web#12')
  t.equal(nameOfPullRequest({ ...WEB, host: null }), 'acme/web#12')
})
