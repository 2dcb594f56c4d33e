// The first token: given, found, or made; only its owner reads it.
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { adminToken } from '../../src/control/admin-token.ts'

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'bellwether-token-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

t.test('a token from the environment is used as it is, and nothing is written', async (t) => {
  const dataDir = join(await folder(t), 'data')
  t.strictSame(await adminToken(dataDir, 'given'), { text: 'given', path: null })
  await t.rejects(stat(dataDir), { code: 'ENOENT' })
})

t.test('where there is none, one is made for the owner alone, and found again', async (t) => {
  const dataDir = join(await folder(t), 'deep', 'data')
  const made = await adminToken(dataDir, null)
  t.match(made.text, /^bw_admin_[A-Za-z0-9_-]{43}$/)
  t.equal(made.path, join(dataDir, 'admin-token'))
  t.equal((await stat(join(dataDir, 'admin-token'))).mode & 0o777, 0o600)
  t.equal(await readFile(join(dataDir, 'admin-token'), 'utf8'), `${made.text}\n`)
  t.strictSame(await adminToken(dataDir, null), made)
  await chmod(join(dataDir, 'admin-token'), 0o644)
  await adminToken(dataDir, null)
  t.equal((await stat(join(dataDir, 'admin-token'))).mode & 0o777, 0o600, 'a file that others could read is closed')
})

t.test('a file that a crash left empty is filled, for its owner alone', async (t) => {
  const dataDir = await folder(t)
  await writeFile(join(dataDir, 'admin-token'), ' \n', { mode: 0o644 })
  const { text } = await adminToken(dataDir, null)
  t.match(text, /^bw_admin_/)
  t.equal((await adminToken(dataDir, null)).text, text)
  t.equal((await stat(join(dataDir, 'admin-token'))).mode & 0o777, 0o600)
})

t.test('a data directory that cannot be used is said in one sentence', async (t) => {
  const dataDir = join(await folder(t), 'file')
  await writeFile(dataDir, '')
  await t.rejects(adminToken(dataDir, null), { message: /^the admin token in .*admin-token cannot be used: / })
})
