// Which test files load a file, by way of whatever they import.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from '../child-process.mjs'
import { testFiles } from './slices.mjs'

const IMPORT = /(?:\bfrom\s+|\bimport\s+|\bimport\(\s*|new URL\()'(\.{1,2}\/[^']+)'/g

/** Paths of test files below `folders`, or in these slices where no folder is given, that load one of `changed`. */
export function testsThatLoad(changed, folders, slices) {
  const importsByPath = new Map()
  const isHit = (path) => loads(path, new Set(changed), importsByPath)
  return testFiles()
    .filter(({ path, slice }) =>
      folders.length === 0 ? slices.includes(slice.name) : folders.some((folder) => path.startsWith(folder)),
    )
    .map(({ path }) => path)
    .filter(isHit)
}

function loads(path, changed, importsByPath, seen = new Set()) {
  if (changed.has(path)) return true
  if (seen.has(path)) return false
  seen.add(path)
  return importsOf(path, importsByPath).some((next) => loads(next, changed, importsByPath, seen))
}

/** Programs that are started as processes count as well: tests name them by `new URL`. */
function importsOf(path, importsByPath) {
  const known = importsByPath.get(path)
  if (known !== undefined) return known
  const names = [...readFileSync(join(root, path), 'utf8').matchAll(IMPORT)].map(([, name]) => name)
  const imports = names
    .map((name) => join(dirname(path), name))
    .filter((name) => name.endsWith('.ts') && existsSync(join(root, name)))
  importsByPath.set(path, imports)
  return imports
}
