// The import table of ARCHITECTURE.md, checked: dependencies run one way.
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import { root, sourceFiles } from '../fixtures/source-tree.ts'

/** Which folders (or files) of src/ each folder may import, itself always included. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  channels: ['store/port.ts'],
  store: [],
  rollouts: ['channels', 'store'],
  serve: ['channels', 'store'],
  control: ['channels', 'store', 'rollouts', 'serve'],
  fleet: ['channels', 'store', 'rollouts', 'serve', 'control'],
  routes: ['channels', 'store', 'rollouts', 'serve', 'control', 'fleet', 'errors.ts'],
  app: ['channels', 'store', 'rollouts', 'serve', 'control', 'fleet', 'routes', 'errors.ts', 'build.ts'],
  'config.ts': [],
  'errors.ts': [],
  workers: ['channels', 'serve'],
  'poll-worker.ts': ['app', 'config.ts', 'heap.ts', 'listening.ts', 'serve', 'workers'],
  'open-poll-plane.ts': ['app', 'config.ts', 'listening.ts', 'serve', 'workers'],
  'listening.ts': ['config.ts'],
  'open-store.ts': ['config.ts', 'store'],
  'open-outside.ts': ['config.ts', 'control'],
  'build.ts': [],
  'heap.ts': [],
}

/** Packages that rules and the poll path may use; each one there would cost every poll, or make the rules impure. */
const packagesOf: Readonly<Record<string, readonly string[]>> = {
  channels: ['semver'],
  rollouts: ['semver'],
  // The fast path reads and writes connections; nothing else of them.
  serve: ['node:http', 'node:net'],
}

function imports(text: string): readonly string[] {
  return [...text.matchAll(/(?:from|import\()\s*'([^']+)'/g)].map((match) => match[1] ?? '')
}

t.test('imports run one way, as the table in ARCHITECTURE.md says', async (t) => {
  for (const { path, text } of sourceFiles('src')) {
    if (path === 'src/main.ts') continue
    const [, area = ''] = path.split('/')
    const rule = allowed[area]
    t.ok(rule !== undefined, `${path} is in an area that the table knows`)
    for (const name of imports(text)) {
      if (!name.startsWith('.')) continue
      const target = relative(join(root, 'src'), join(root, dirname(path), name))
      const [targetArea = ''] = target.split('/')
      const fine = targetArea === area || rule?.includes(targetArea) === true || rule?.includes(target) === true
      if (!fine) t.fail(`${path} must not import ${target}`)
    }
  }
})

t.test('the rules and the poll path use no packages but those they are given', async (t) => {
  for (const [area, packages] of Object.entries(packagesOf)) {
    for (const { path, text } of sourceFiles(`src/${area}`)) {
      const foreign = imports(text).filter((name) => !name.startsWith('.') && !packages.includes(name))
      t.same(foreign, [], `${path} imports no other package`)
    }
  }
})
