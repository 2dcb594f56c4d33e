// A last-known-good file that cannot be used: a real server sets it aside with one line and starts from its store.
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createChannel, dataFolder, run } from '../fixtures/fault-process.ts'
import { sized } from '../fixtures/test-form.ts'

const LINE = 'the last-known-good file cannot be used and is set aside'

/** A file with these members and the checksum that is right for them. */
function sealed(content: Readonly<Record<string, unknown>>, more: object): string {
  const { format, epoch, seq, mark, savedAt, documents } = { ...content, ...more } as Record<string, unknown>
  const whole = { format, epoch, seq, mark, savedAt, documents }
  const checksum = createHash('sha256').update(JSON.stringify(whole)).digest('hex')
  return JSON.stringify({ ...whole, checksum })
}

const junk: Readonly<Record<string, (content: Readonly<Record<string, unknown>>, text: string) => string>> = {
  nothing: () => '',
  'no JSON': () => 'not json',
  'a list': () => '[]',
  'a file that is cut': (_, text) => text.slice(0, -40),
  'a version that was changed': (_, text) => text.replace('15.1.4', '15.1.9'),
  'documents that are numbers': (content) => sealed(content, { documents: [7] }),
  'no documents': (content) => sealed(content, { documents: {} }),
  'a seq that is a text': (content) => sealed(content, { seq: '3' }),
  'a time that is none': (content) => sealed(content, { savedAt: 'yesterday' }),
  'nesting that nobody can follow': () =>
    `{"format":1,"epoch":"e","seq":1,"mark":"m","savedAt":"2026-01-01T00:00:00Z","documents":[{"key":"channel/a","revision":1,"format":1,"body":{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}}],"checksum":""}`,
}

t.test('a file that cannot be used is set aside, and the start goes on from the store', async (t) => {
  const dataDir = await dataFolder(t)
  const path = join(dataDir, 'last-known-good.json')
  const first = await run(t, { dataDir })
  await createChannel(first, 'a', '15.1.4')
  await first.end('SIGTERM')
  const right = await readFile(path, 'utf8')
  const content = JSON.parse(right) as Readonly<Record<string, unknown>> // As it was written.
  for (const [index, [what, change]] of Object.entries(junk).entries()) {
    if (index % sized(3, 1) !== 0) continue
    const text = change(content, right)
    await writeFile(path, text)
    const server = await run(t, { dataDir })
    t.equal(await server.asAgent('/v1/a/version'), '15.1.4', what)
    await server.end('SIGTERM')
    const lines = server
      .output()
      .stderr.split('\n')
      .filter((line) => line.includes(LINE))
    t.equal(lines.length, 1, `${what}: one line`)
    t.match(lines[0], /"movedTo":".*last-known-good\.refused\.json"/, what)
    t.equal(await readFile(join(dataDir, 'last-known-good.refused.json'), 'utf8'), text, `${what} is kept`)
    t.equal((await readFile(path, 'utf8')).includes('15.1.4'), true, `${what}: a new file is written`)
  }
})
