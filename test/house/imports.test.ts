// Dependencies run one way: the import table of ARCHITECTURE.md is read, and every import of src/ held against it.
import t from 'tap'
import { importsOf, type Import } from '../fixtures/source-imports.ts'
import { readText, sourceFiles } from '../fixtures/source-tree.ts'

/** What one folder or file of src/ may import beside itself: folders and files, of some only the types. */
interface Row {
  readonly owner: string
  readonly targets: readonly { readonly name: string; readonly typesOnly: boolean }[]
}

/** Packages that rules and the poll path may use; each one there would cost every poll, or make the rules impure. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  channels: ['semver'],
  rollouts: ['semver'],
  // The fast path reads and writes connections; nothing else of them.
  serve: ['node:http', 'node:net'],
}

const table = readTable(readText('ARCHITECTURE.md'))

function readTable(text: string): readonly Row[] {
  const [, section = ''] = text.split('\n## Who may import whom\n')
  const rows = (section.split('\n## ', 1)[0] ?? '').split('\n').filter((line) => line.startsWith('| `'))
  return rows.flatMap((line) => {
    const [, owners = '', , imports = ''] = line.split('|')
    const targets = [...imports.matchAll(/`([^`]+)`( \(types\))?/g)].map(([, name = '', types]) => ({
      name: name.replace(/\/$/, ''),
      typesOnly: types !== undefined,
    }))
    return [...owners.matchAll(/`([^`]+)`/g)].map(([, owner = '']) => ({ owner: owner.replace(/\/$/, ''), targets }))
  })
}

function isIn(target: string, name: string): boolean {
  return target === name || target.startsWith(`${name}/`)
}

function isAllowed({ owner, targets }: Row, { target, isTypeOnly }: Import): boolean {
  if (isIn(target, owner)) return true
  return targets.some(({ name, typesOnly }) => isIn(target, name) && (isTypeOnly || !typesOnly))
}

t.test('imports of values and of types run one way, as the table in ARCHITECTURE.md says', async (t) => {
  t.ok(table.length > 10, 'the table is read')
  for (const file of sourceFiles('src')) {
    const place = file.path.slice('src/'.length)
    const row = table.find(({ owner }) => isIn(place, owner))
    t.ok(row !== undefined, `the table has a row for ${place}`)
    const foreign = importsOf(file).filter((one) => one.isLocal || one.target === '')
    for (const one of foreign) {
      if (row !== undefined && !isAllowed(row, one)) t.fail(`${place} must not import ${one.target}`)
    }
  }
})

t.test('every row of the table is about something, and lists nothing that is not imported', async (t) => {
  const files = sourceFiles('src').map((file) => ({ place: file.path.slice('src/'.length), imports: importsOf(file) }))
  for (const { owner, targets } of table) {
    const own = files.filter(({ place }) => isIn(place, owner))
    t.not(own.length, 0, owner)
    // Rows of several files list what any of them imports.
    for (const { name } of targets) {
      const isUsed = own.some(({ imports }) => imports.some(({ target }) => isIn(target, name)))
      t.ok(isUsed, `${owner} imports ${name}`)
    }
  }
})

t.test('the rules and the poll path use no packages but those they are given', async (t) => {
  for (const [area, packages] of Object.entries(PACKAGES)) {
    for (const file of sourceFiles(`src/${area}`)) {
      const foreign = importsOf(file).filter(({ target, isLocal }) => !isLocal && !packages.includes(target))
      t.same(foreign, [], `${file.path} imports no other package`)
    }
  }
})
