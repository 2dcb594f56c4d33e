// Error codes: the catalogue and docs/errors.md say the same. That tests cause each is checked by errors-caused.test.ts.
import t from 'tap'
import { errorCodes, statusOf, titleOf } from '../../src/errors.ts'
import { readText } from '../fixtures/source-tree.ts'

t.test(
  'every error code has a section in docs/errors.md with its status and title, and there is no other section',
  async (t) => {
    const docs = readText('docs/errors.md')
    const sections = [...docs.matchAll(/^## (.+)\n\n(?:(\d+)\. ([^\n]+))?/gm)]
    t.same(sections.map((section) => section[1] ?? '').toSorted(), errorCodes.toSorted())
    for (const [, code, status, text] of sections) {
      const known = errorCodes.find((candidate) => candidate === code)
      if (known === undefined) continue
      t.equal(Number(status), statusOf(known), `${code}'s status`)
      t.ok(text?.startsWith(titleOf(known)), `${code}'s title`)
    }
  },
)
