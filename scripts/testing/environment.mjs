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

/** The environment of test processes: full forms or short ones, and where random inputs begin. */
export function testEnvironment({ isFull, seed }, recordsDir) {
  const { TEST_RECORDS_DIR: _inherited, ...env } = process.env
  return {
    ...env,
    TEST_FORM: isFull ? 'full' : 'short',
    TEST_SEED: String(seed),
    ...(recordsDir === null ? {} : { TEST_RECORDS_DIR: recordsDir }),
  }
}
