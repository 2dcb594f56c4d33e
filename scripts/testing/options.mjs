// The command line of `npm test`.
import { availableParallelism } from 'node:os'
import { relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../child-process.mjs'
import { chooseSeed } from './environment.mjs'
import { slices, testFiles } from './slices.mjs'

export const USAGE = `npm test -- [FILE or FOLDER …] [options]

  --slice NAME    only this slice and no static check: ${slices.map(({ name }) => name).join(', ')}; may be repeated
  --full          only files that have a long form, in that form (npm run test:full)
  --seed N        where tests with random inputs begin; "random" for another one each time
  --one           one file, by any part of its path (npm run test:one -- channels/cohort)
  --grep TITLE    only top-level tests whose title contains this
  --slowest       the twenty files that took longest, at the end
  --jobs N        how many cores to use; all unless given
`

/** Ends the process with 1 and a line where the arguments are wrong. */
export function readOptions(args) {
  try {
    return parse(args)
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}`)
    process.exit(1)
  }
}

function parse(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      slice: { type: 'string', multiple: true, default: [] },
      full: { type: 'boolean', default: false },
      seed: { type: 'string' },
      one: { type: 'boolean', default: false },
      grep: { type: 'string' },
      slowest: { type: 'boolean', default: false },
      jobs: { type: 'string', default: String(availableParallelism()) },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const unknown = values.slice.find((name) => slices.every((slice) => slice.name !== name))
  if (unknown !== undefined) throw new Error(`there is no slice ${unknown}`)
  const seed = chooseSeed(values.seed)
  const cores = Number(values.jobs)
  if (values.seed === '' || !Number.isInteger(seed) || seed < 0)
    throw new Error('--seed takes a whole number, or "random"')
  if (!Number.isInteger(cores) || cores < 1) throw new Error('--jobs takes a whole number from 1')
  const paths = values.one ? [oneFile(positionals)] : positionals.map(pathOf)
  const { slice, full: isFull, grep, slowest: showSlowest, help: isHelp } = values
  const isSeedChosen = values.seed !== undefined
  return { paths, slices: slice, isFull, seed, isSeedChosen, grep, showSlowest, cores, isHelp }
}

/** A path as the list of test files has it; one at which there is none is a mistake. */
function pathOf(text) {
  const path = relative(root, resolve(text)).replaceAll('\\', '/')
  if (testFiles().some((file) => file.path === path || file.path.startsWith(`${path}/`))) return path
  throw new Error(`there is no test file at ${text}`)
}

/** The one test file that the argument means: its path, or a part that only one path has. */
function oneFile(positionals) {
  const [text] = positionals
  if (text === undefined || positionals.length > 1) throw new Error('--one takes one file')
  const paths = testFiles().map(({ path }) => path)
  const found = paths.includes(text) ? [text] : paths.filter((path) => path.includes(text))
  if (found.length === 1) return found[0]
  throw new Error(
    found.length === 0 ? `no test file's path has ${text} in it` : `several are meant:\n${found.join('\n')}`,
  )
}
