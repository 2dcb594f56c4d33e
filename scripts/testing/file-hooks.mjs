// Module hooks of a test process: in a test file, `import t from 'tap'` gives that file's own subtest instead of the root
// that all files of the process share. Runs in the loader's thread; the subtest itself is in the process's global scope.
const SCHEME = 'test-of:'

export function resolve(specifier, context, next) {
  const parent = context.parentURL ?? ''
  if (specifier !== 'tap' || !/\/test\/.*\.test\.ts(?:$|\?)/.test(parent)) return next(specifier, context)
  // A URL of its own for each file, so that each evaluates its own module.
  return { url: `${SCHEME}${encodeURIComponent(parent)}`, format: 'module', shortCircuit: true }
}

export function load(url, context, next) {
  if (!url.startsWith(SCHEME)) return next(url, context)
  const source = "export default globalThis[Symbol.for('bellwether.test-file')]"
  return { format: 'module', source, shortCircuit: true }
}
