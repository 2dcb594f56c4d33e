// What test processes are told by their environment; test/fixtures/test-form.ts reads it.
import { randomInt } from 'node:crypto'

/** The same inputs in every run, so that a run says something about the change and not about luck. */
const SEED = 20_261_128
const SEED_MAX = 2 ** 31

/** The seed that `--seed` asks for. */
export function chooseSeed(text) {
  if (text === undefined) return SEED
  if (text === 'random') return randomInt(SEED_MAX)
  return Number(text)
}

/** The environment of test processes: full forms or short ones, where random inputs begin, and which titles. */
export function testEnvironment({ isFull, seed, grep }, recordsDir) {
  return {
    ...process.env,
    TEST_FORM: isFull ? 'full' : 'short',
    TEST_SEED: String(seed),
    ...(recordsDir === null ? {} : { TEST_RECORDS_DIR: recordsDir }),
    // tap filters each level by a line of its own: any file, then the title. Other titles are left out without a word.
    ...(grep === undefined ? {} : { TAP_GREP: `/^/\n${escaped(grep)}`, TAP_FILTER_QUIETLY: '1' }),
  }
}

function escaped(text) {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}
