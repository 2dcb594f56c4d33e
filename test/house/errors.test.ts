// Error codes: the catalogue, docs/errors.md and the tests say the same.
import t from 'tap'
import { errorCodes, statusOf, titleOf } from '../../src/errors.ts'
import { readText, sourceFiles } from '../fixtures/source-tree.ts'

t.test(
  'every error code has a section in docs/errors.md with its status and title, and there is no other section',
  async (t) => {
    const docs = readText('docs/errors.md')
    const sections = [...docs.matchAll(/^## (\w+)\n\n(\d+)\. ([^\n]+)/gm)]
    t.same(sections.map((section) => section[1] ?? '').toSorted(), errorCodes.toSorted())
    for (const [, code, status, text] of sections) {
      const known = errorCodes.find((candidate) => candidate === code)
      if (known === undefined) continue
      t.equal(Number(status), statusOf(known), `${code}'s status`)
      t.ok(text?.startsWith(titleOf(known)), `${code}'s title`)
    }
  },
)

t.test('every error code is named in a test that causes it', async (t) => {
  const tests = [...sourceFiles('test/routes'), ...sourceFiles('test/control'), ...sourceFiles('test/integration')]
  for (const code of errorCodes) {
    t.ok(
      tests.some(({ text }) => text.includes(`'${code}'`) || text.includes(`\`${code}\``) || text.includes(code)),
      code,
    )
  }
})
