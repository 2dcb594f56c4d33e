// The command line of `npm run soak`.
import { parseArgs } from 'node:util'

export type WorldName = 'redis' | 'embedded'

const WORLDS: readonly WorldName[] = ['redis', 'embedded']

/** More than this, and faults wait for each other instead of being caused. */
const FAULTS_PER_MINUTE_MAX = 120
const MINUTES_MAX = 60 * 24 * 30
const SEEDS = 2 ** 32

export const USAGE = `npm run soak -- [options]

  --minutes N             how long faults are caused; 60 unless given
  --rounds N              end after so many rounds of each world, even if there is time left
  --round-seconds N       how long faults are caused in one round; 150 unless given
  --faults-per-minute N   of all worlds together; 28 unless given
  --only WORLD            one world alone: ${WORLDS.join(', ')}
  --seed N                the seed of the first round of each world; another one each time unless given
  --help                  this text

A round with a violation prints the command that repeats it.
`

export interface SoakOptions {
  readonly minutes: number
  readonly roundsMax: number
  readonly roundSeconds: number
  readonly faultsPerMinute: number
  readonly worlds: readonly WorldName[]
  readonly seed: number
  readonly isHelp: boolean
}

/** Throws an Error with one line for an option that is wrong. */
export function parseOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '60' },
      rounds: { type: 'string' },
      'round-seconds': { type: 'string', default: '150' },
      'faults-per-minute': { type: 'string', default: '28' },
      only: { type: 'string' },
      seed: { type: 'string', default: String(Date.now() % SEEDS) },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { only } = values
  const worlds = only === undefined ? WORLDS : WORLDS.filter((name) => name === only)
  if (worlds.length === 0) throw new Error(`--only takes one of: ${WORLDS.join(', ')}`)
  const number = (name: keyof typeof values, isRight: (value: number) => boolean, what: string): number => {
    const text = values[name]
    const value = Number(text)
    if (text === '' || !isRight(value)) throw new Error(`--${name} takes ${what}`)
    return value
  }
  const wholeFrom1 = (value: number): boolean => Number.isInteger(value) && value >= 1
  return {
    minutes: number(
      'minutes',
      (value) => value > 0 && value <= MINUTES_MAX,
      `a number above 0, at most ${MINUTES_MAX}`,
    ),
    roundsMax: values.rounds === undefined ? Infinity : number('rounds', wholeFrom1, 'a whole number from 1'),
    roundSeconds: number('round-seconds', wholeFrom1, 'a whole number from 1'),
    faultsPerMinute: number(
      'faults-per-minute',
      (value) => value > 0 && value <= FAULTS_PER_MINUTE_MAX,
      `a number above 0, at most ${FAULTS_PER_MINUTE_MAX}`,
    ),
    worlds,
    seed: number(
      'seed',
      (value) => Number.isInteger(value) && value >= 0 && value < SEEDS,
      'a whole number below 2^32',
    ),
    isHelp: values.help,
  }
}
