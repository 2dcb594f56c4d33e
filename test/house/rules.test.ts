// House rules that a program can check: where the environment is read, where the process ends, how files open.
import t from 'tap'
import { loadedWith } from '../fixtures/source-imports.ts'
import { readText, sourceFiles } from '../fixtures/source-tree.ts'

const LINES_MAX = 300
/** Tests of processes. */
const REAL_TIME = /^test\/(?:integration|workers|main\.)/

t.test('process.env is read only in config.ts', async (t) => {
  const readers = sourceFiles('src').filter(({ text }) => text.includes('process.env'))
  t.same(
    readers.map(({ path }) => path).filter((path) => !/^src\/(cli|console)\//.test(path)),
    ['src/config.ts'],
  )
})

t.test('process.exit is called only in entry files', async (t) => {
  const callers = sourceFiles('src').filter(({ text }) => /process\.exit\(/.test(text))
  t.same(
    callers.map(({ path }) => path).filter((path) => !path.startsWith('src/cli/')),
    ['src/main.ts', 'src/poll-worker.ts'],
  )
})

t.test('the rules know no clock, no randomness and no I/O', async (t) => {
  for (const { path, text } of [...sourceFiles('src/channels'), ...sourceFiles('src/rollouts')]) {
    t.notMatch(
      text,
      /Date\.now|new Date\b(?!\(\w)|performance\.now|Math\.random|crypto\.|fetch\(|node:(?!.*type)|process\.|console\./,
      path,
    )
  }
})

t.test('the poll path awaits nothing and logs nothing', async (t) => {
  // What answers a poll, and what a poll is answered from; with them everything of serve/ and channels/ that they load.
  const loaded = loadedWith([
    'src/routes/poll.ts',
    'src/serve/fast-path.ts',
    'src/serve/holder.ts',
    'src/serve/snapshot.ts',
    'src/serve/answers.ts',
  ])
  t.ok(loaded.length > 8)
  for (const path of loaded) {
    t.match(path, /^src\/(?:serve|channels|store\/port|routes\/poll)/, `${path} belongs on the poll path`)
    t.match(codeOf(readText(path)), /\bexport\b/, `${path} has code`)
    t.notMatch(codeOf(readText(path)), /\bawait\b|\basync\b|\.then\(|\.log\.|logger\.(info|warn|error)/, path)
  }
})

t.test('time is injected: tests of rules, routes, use cases and stores set no timer of their own', async (t) => {
  // Faults take the real time of real processes.
  const files = sourceFiles('test').filter(({ path }) => path.endsWith('.test.ts') && !REAL_TIME.test(path))
  for (const { path, text } of files) {
    if (path !== 'test/house/rules.test.ts')
      t.notMatch(text, /(?<!\bt\.|')\bsetTimeout\b|(?<!')\bsetInterval\b|scheduler\.wait|AbortSignal\.timeout/, path)
  }
})

/** A file without its comments. */
function codeOf(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
}

t.test('fixtures use only types of tap: a test of theirs would belong to no file', async (t) => {
  for (const { path, text } of sourceFiles('test').filter(({ path }) => !path.endsWith('.test.ts'))) {
    t.notMatch(text, /^import (?!type\b).* from 'tap'/m, path)
  }
})

t.test('every file opens with a comment that says what lives there, and none is longer than the limit', async (t) => {
  for (const { path, text } of [...sourceFiles('src'), ...sourceFiles('test'), ...sourceFiles('bench')]) {
    t.match(text, /^\/\/ \S/, `${path} opens with a comment`)
    if (path.startsWith('src/'))
      t.ok(text.split('\n').length <= LINES_MAX + 1, `${path} is at most ${LINES_MAX} lines long`)
  }
})

t.test('what a command reads untracked says beside it why no commit depends on it', async (t) => {
  const LINES_ABOVE = 3
  const uses = sourceFiles('src/control').flatMap(({ path, text }) => {
    if (path.startsWith('src/control/core/')) return []
    const lines = text.split('\n')
    return lines.flatMap((line, index) =>
      line.includes('.untracked')
        ? { path: `${path}:${index + 1}`, above: lines.slice(index - LINES_ABOVE, index) }
        : [],
    )
  })
  t.ok(uses.length > 5, 'the uses are found')
  for (const { path, above } of uses) {
    t.ok(
      above.some((line) => /^\s*(?:\/\/|\*|\/\*\*) ?\S/.test(line)),
      `${path} has a comment above it`,
    )
  }
})

t.test('exports are named, and no file is a drawer for odds and ends', async (t) => {
  for (const { path, text } of sourceFiles('src')) {
    t.notMatch(text, /^export default/m, path)
    t.notMatch(path, /(utils?|helpers?|common|index)\.ts$/, path)
  }
})
